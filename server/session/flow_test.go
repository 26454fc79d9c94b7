package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/delivery"
)

func TestSend(t *testing.T) {
	both(t, func(t *testing.T, e codec.Encoding) {
		r := newRig(t)
		p := r.connect("alice", e, "device=phone")
		p.send("m1", "bob,carol", "hi")
		if len(r.sends) != 1 {
			t.Fatalf("%d sends", len(r.sends))
		}
		s := r.sends[0]
		m := text("alice", "bob,carol", "hi")
		m.ID = []byte("m1")
		id := backplane.Identify([]byte("phone"), m)
		var got backplane.Message
		if err := backplane.ParseMessage(s.Value, &got); err != nil || got.MessageID != id || string(got.Body) != "hi" ||
			string(got.From) != "alice" || string(got.ID) != "m1" || len(got.To) != 2 {
			t.Errorf("value %+v (%v)", got, err)
		}
		if s.ID != id || string(s.From) != "alice" || len(s.To) != 2 || string(s.To[1]) != "carol" || s.Session != p.s.id {
			t.Errorf("send %+v", s.Send)
		}
		p.none()
		r.answer(0, backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeTimeout})
		if a := p.want(codec.FrameAck).Ack; string(a.ID) != "m1" || a.Status != backplane.Unknown || a.Code != "timeout" || a.MessageID != id {
			t.Errorf("ack %+v", a)
		}
		// A retry is the same message; from another device it is another.
		p.send("m1", "bob,carol", "hi")
		other := r.connect("alice", e, "device=laptop")
		other.send("m1", "bob,carol", "hi")
		if r.sends[1].ID != id || r.sends[2].ID == id {
			t.Error("message ids do not tell a retry from another device's message")
		}
		nameless := r.connect("alice", e)
		nameless.send("m1", "bob,carol", "hi")
		nameless2 := r.connect("alice", e)
		nameless2.send("m1", "bob,carol", "hi")
		if r.sends[3].ID == r.sends[4].ID {
			t.Error("two sessions without a device name share message ids")
		}
		for i := 1; i < 5; i++ {
			r.answer(i, backplane.Outcome{Status: backplane.Stored})
		}
		if r.loop.Waiting() != 0 {
			t.Errorf("%d credits are out", r.loop.Waiting())
		}
	})
}

func TestSendRefusedByTheProducer(t *testing.T) {
	r := newRig(t)
	p := r.connect("alice", codec.JSON)
	r.refuse = &backplane.Rejection{Code: backplane.CodeOverloaded}
	for range 10 {
		p.send("m1", "bob", "hi")
		if a := p.want(codec.FrameAck).Ack; a.Status != backplane.Rejected || a.Code != backplane.CodeOverloaded {
			t.Errorf("ack %+v", a)
		}
	}
	if r.loop.Waiting() != 0 || p.s.producing != 0 || p.s.answers != 0 {
		t.Errorf("%d credits, %d sends, %d answers are out", r.loop.Waiting(), p.s.producing, p.s.answers)
	}
}

// TestCreditsOfTheLoop uses all credits of a loop: a further send is refused, and
// one that is answered makes room.
func TestCreditsOfTheLoop(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Answers = 2 })
	p := r.connect("alice", codec.JSON)
	for i := range 3 {
		p.send(fmt.Sprint(i), "bob", "x")
	}
	if a := p.want(codec.FrameAck).Ack; string(a.ID) != "2" || a.Code != backplane.CodeOverloaded {
		t.Errorf("ack %+v", a)
	}
	r.answer(0, backplane.Outcome{Status: backplane.Stored})
	p.want(codec.FrameAck)
	p.send("3", "bob", "x")
	p.none()
	// An answer for a connection that has gone gives the credit back, too.
	p.s.Closed(r.loop)
	delete(r.peers, p.s.handle)
	r.answer(1, backplane.Outcome{Status: backplane.Stored})
	r.answer(2, backplane.Outcome{Status: backplane.Stored})
	if r.loop.Waiting() != 0 {
		t.Errorf("%d credits are out", r.loop.Waiting())
	}
}

// TestAnswersNotRead has a client ask more than it reads.
func TestAnswersNotRead(t *testing.T) {
	r := newRig(t)
	p := r.connect("alice", codec.JSON)
	p.blocked = true
	for i := range 4 {
		p.send(fmt.Sprint(i), "bob", "x")
		r.answer(i, backplane.Outcome{Status: backplane.Stored})
	}
	if p.s.state != stateOpen {
		t.Fatal("closed although within its limit")
	}
	p.frame(codec.ClientFrame{Type: codec.FramePing})
	p.send("5", "bob", "x")
	p.blocked = false
	p.pump()
	for range 4 {
		if a := p.want(codec.FrameAck).Ack; a.Status != backplane.Stored {
			t.Errorf("ack %+v", a)
		}
	}
	if e := p.want(codec.FrameError).Error; e.Code != codec.CodeSlow || p.closed != 4100 || len(r.sends) != 4 {
		t.Errorf("%+v, closed with %d, %d sends", e, p.closed, len(r.sends))
	}
}

func TestRate(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Rate, c.InFlight = NewRate(10, 20), 1000 })
	p := r.connect("alice", codec.JSON)
	stored, limited := 0, 0
	for i := range 30 {
		p.send(fmt.Sprint(i), "bob", "x")
	}
	for i := range r.sends {
		r.answer(i, backplane.Outcome{Status: backplane.Stored})
	}
	for len(p.frames) > 0 {
		switch a := p.want(codec.FrameAck).Ack; a.Code {
		case "":
			stored++
		case codec.CodeRateLimited:
			limited++
		}
	}
	if stored != 20 || limited != 10 {
		t.Errorf("%d stored and %d limited, want 20 and 10", stored, limited)
	}
	r.at(2)
	p.send("later", "bob", "x")
	if p.none(); len(r.sends) != 21 {
		t.Error("the bucket does not fill")
	}
	for range 60 {
		p.frame(codec.ClientFrame{Type: codec.FramePing})
	}
	if p.closed != 4101 {
		t.Errorf("a flood: closed with %d", p.closed)
	}
}

func TestDeliver(t *testing.T) {
	both(t, func(t *testing.T, e codec.Encoding) {
		r := newRig(t)
		alice, laptop, bob := r.connect("alice", e, "device=phone"), r.connect("alice", codec.JSON), r.connect("bob", e)
		alice.send("m1", "bob", "hi")
		var m backplane.Message
		if err := backplane.ParseMessage(r.sends[0].Value, &m); err != nil {
			t.Fatal(err)
		}
		// One record for each partition; here they may be one and the same.
		if backplane.PartitionOf("alice", 4) == backplane.PartitionOf("bob", 4) {
			t.Fatal("choose other users")
		}
		r.record(3, &m, alice.s.id, "alice")
		r.record(9, &m, alice.s.id, "bob")
		own := alice.want(codec.FrameDeliver).Deliver
		if !own.Self || own.Seq != 1 || len(own.Message.Body) != 0 || string(own.Message.ID) != "m1" || string(own.Message.To[0]) != "bob" {
			t.Errorf("the sending session got %+v", own)
		}
		if d := laptop.want(codec.FrameDeliver).Deliver; !d.Self || string(d.Message.Body) != "hi" {
			t.Errorf("the sender's other device got %+v", d)
		}
		d := bob.want(codec.FrameDeliver).Deliver
		pos, err := codec.ParseCursor(d.Cursor)
		if d.Self || d.Seq != 1 || d.Time != start || string(d.Message.Body) != "hi" || string(d.Message.From) != "alice" ||
			err != nil || pos != (backplane.Position{Generation: 1, Partition: backplane.PartitionOf("bob", 4), Offset: 9}) {
			t.Errorf("bob got %+v at %v (%v)", d, pos, err)
		}
		if c := &r.dispatcher.Counters; c.Dispatched.Load() != 2 || c.Targets.Load() != 3 || r.loop.Counters.Put.Load() != 3 {
			t.Error("miscounted")
		}
	})
}

func TestDuplicate(t *testing.T) {
	r := newRig(t)
	bob := r.connect("bob", codec.Proto)
	r.record(0, text("alice", "bob", "one"), 0, "bob")
	r.record(0, text("alice", "bob", "one"), 0, "bob") // the same message id at a later place
	bob.want(codec.FrameDeliver)
	bob.none()
	if r.dispatcher.Counters.Duplicates.Load() != 1 {
		t.Error("not counted")
	}
}

// TestBeforeStart has a record in the mailbox, addressed to a user, when another
// device of that user joins: it lay before the start of the new one, and the
// handle it was found under is not the new one's. A record that the new handle is
// a target of, but that the tail had already, is ignored.
func TestBeforeStart(t *testing.T) {
	r := newRig(t)
	first := r.connect("bob", codec.JSON)
	r.hold = true
	r.record(0, text("alice", "bob", "zero"), 0, "bob")
	second := r.connect("bob", codec.JSON)
	r.record(1, text("alice", "bob", "one"), 0, "bob")
	r.hold = false
	r.takeEntries()
	for _, want := range []string{"zero", "one"} {
		if d := first.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != want {
			t.Errorf("the first device got %q, want %q", d.Message.Body, want)
		}
	}
	if d := second.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != "one" || d.Seq != 1 {
		t.Errorf("the second device got %q", d.Message.Body)
	}

	// The worker has noted offset 2 and not yet asked the registry.
	p := backplane.PartitionOf("bob", 4)
	r.deps.Tails.Worker(0).Pass(&backplane.Record{Position: backplane.Position{Generation: 1, Partition: p, Offset: 2}})
	third := r.connect("bob", codec.JSON)
	r.record(2, text("alice", "bob", "two"), 0, "bob")
	first.want(codec.FrameDeliver)
	third.none()
	if n := r.loop.Counters.Drops[DropBeforeStart].Load(); n != 1 {
		t.Errorf("%d dropped as before the start, want 1", n)
	}
}

// TestCursorNeverPasses holds the mailbox back: however far the log has come, no
// heartbeat may tell a position beyond what was put on the connection.
func TestCursorNeverPasses(t *testing.T) {
	r := newRig(t)
	bob := r.connect("bob", codec.JSON)
	r.hold = true
	r.record(5, text("alice", "bob", "five"), 0, "bob")
	r.dispatcher.Tick()
	r.record(6, text("alice", "bob", "six"), 0, "bob")
	r.dispatcher.Tick()
	held := r.entries
	if len(held) != 4 {
		t.Fatalf("%d entries in the mailbox, want two messages and two positions", len(held))
	}
	seconds := 0
	heartbeat := func() (cursor int64) {
		seconds += 400 // more than the lag that a cursor may have
		r.at(seconds)
		cursor = -1
		for len(bob.frames) > 0 {
			if f := bob.next(); f.Type == codec.FrameHeartbeat {
				cursor = offset(t, f.Heartbeat.Cursor)
			}
		}
		bob.receive(nil) // it is there
		return cursor
	}
	if c := heartbeat(); c != -1 {
		t.Errorf("the heartbeat tells %d while everything is in the mailbox", c)
	}
	for i, put := range []int64{5, 5, 6, 6} {
		r.entries = held[i : i+1]
		r.takeEntries()
		if c := heartbeat(); c > put || bob.s.told != put {
			t.Errorf("after entry %d: heartbeat %d, told %d, but put is %d", i, c, bob.s.told, put)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	r := newRig(t)
	bob := r.connect("bob", codec.Proto)
	p := backplane.PartitionOf("bob", 4)
	for i := 1; i <= 1000; i++ {
		r.loop.Tell([]backplane.Position{{Generation: 1, Partition: p, Offset: int64(i)}}, false)
		r.at(i)
		if bob.pings > 0 { // it is there
			bob.receive(nil)
		}
	}
	beats := 0
	last := int64(-1)
	for len(bob.frames) > 0 {
		h := bob.want(codec.FrameHeartbeat).Heartbeat
		pos, err := codec.ParseCursor(h.Cursor)
		if err != nil || pos.Offset <= last || h.Seq != 0 {
			t.Errorf("heartbeat %+v at %v", h, pos)
		}
		last = pos.Offset
		beats++
	}
	if beats < 2 || beats > 3 {
		t.Errorf("%d heartbeats in 1000 s, with 300 s to 375 s between them", beats)
	}
}

// overflowed returns a session whose outbox overflowed: 8 deliveries wait, and 3
// were dropped.
func overflowed(t *testing.T) (*rig, *peer) {
	r := newRig(t)
	bob := r.connect("bob", codec.JSON, "overflow=gap")
	bob.blocked = true
	for i := range 11 {
		r.record(int64(i), text("alice", "bob", fmt.Sprint(i)), 0, "bob")
	}
	if n := r.loop.Counters.Drops[DropOutboxFull].Load(); n != 3 {
		t.Fatalf("%d dropped, want 3", n)
	}
	return r, bob
}

func offset(t *testing.T, cursor []byte) int64 {
	t.Helper()
	p, err := codec.ParseCursor(cursor)
	if err != nil {
		t.Fatal(err)
	}
	return p.Offset
}

// TestGap drops the last messages, after which nothing comes: the gap shows when
// the client reads again.
func TestGap(t *testing.T) {
	r, bob := overflowed(t)
	// Its acks are not lost, and it gets no heartbeat.
	bob.send("m1", "alice", "x")
	r.answer(0, backplane.Outcome{Status: backplane.Stored})
	r.config.CursorLag = 10 * time.Second
	r.loop.Tell([]backplane.Position{{Generation: 1, Partition: bob.s.partition, Offset: 10}}, false)
	r.at(30)
	bob.blocked = false
	bob.pump()
	var seq uint64
	var acked, gapped bool
	for len(bob.frames) > 0 {
		switch f := bob.next(); f.Type {
		case codec.FrameDeliver:
			seq++
			if f.Deliver.Seq != seq || gapped {
				t.Errorf("seq %d, want %d", f.Deliver.Seq, seq)
			}
		case codec.FrameGap:
			gapped = true
			g := f.Gap
			if g.FromSeq != 9 || g.ToSeq != 11 || g.Reason != codec.GapOutboxFull || offset(t, g.After) != 7 || offset(t, g.Before) != 11 {
				t.Errorf("gap %+v, after %d, before %d", g, offset(t, g.After), offset(t, g.Before))
			}
		case codec.FrameAck:
			acked = true
		default:
			t.Errorf("a %v came", f.Type)
		}
	}
	if seq != 8 || !acked || !gapped {
		t.Errorf("%d deliveries, ack %v, gap %v", seq, acked, gapped)
	}
	// Then it goes on.
	r.record(11, text("alice", "bob", "on"), 0, "bob")
	if d := bob.want(codec.FrameDeliver).Deliver; d.Seq != 12 {
		t.Errorf("seq %d, want 12", d.Seq)
	}
}

// TestGapIsHysteretic: the gap comes when the outbox is half empty, not before, and
// what comes meanwhile is a part of it.
func TestGapIsHysteretic(t *testing.T) {
	r, bob := overflowed(t)
	readOne := func() {
		out := bob.s.Fill(nil, 1)
		bob.wire = append(bob.wire, out...)
		bob.s.Wrote(r.loop, len(out))
	}
	for i := range 3 {
		readOne()
		r.record(int64(11+i), text("alice", "bob", "more"), 0, "bob")
	}
	if bob.s.output.gap == nil || bob.s.output.gap.to != 14 {
		t.Fatalf("pending gap %+v, want up to 14", bob.s.output.gap)
	}
	readOne()
	if bob.s.output.gap != nil {
		t.Fatal("no gap at half empty")
	}
	r.record(14, text("alice", "bob", "back"), 0, "bob")
	bob.blocked = false
	bob.pump()
	for range 8 {
		bob.want(codec.FrameDeliver)
	}
	if g := bob.want(codec.FrameGap).Gap; g.FromSeq != 9 || g.ToSeq != 14 || offset(t, g.Before) != 14 {
		t.Errorf("gap %+v", g)
	}
	if d := bob.want(codec.FrameDeliver).Deliver; d.Seq != 15 || string(d.Message.Body) != "back" {
		t.Errorf("delivery %+v", d)
	}
}

func TestOverflowByBytes(t *testing.T) {
	r := newRig(t, func(c *Config) { c.QueueBytes = 1500 })
	bob, other := r.connect("bob", codec.JSON, "overflow=gap"), r.connect("bob", codec.JSON)
	bob.blocked = true
	body := fmt.Sprintf("%900d", 1)
	for i := range 3 {
		r.record(int64(i), text("alice", "bob", body), 0, "bob")
		other.want(codec.FrameDeliver)
	}
	bob.blocked = false
	bob.pump()
	bob.want(codec.FrameDeliver)
	if g := bob.want(codec.FrameGap).Gap; g.FromSeq != 2 || g.ToSeq != 3 || g.Reason != codec.GapOutboxBytes {
		t.Errorf("gap %+v", g)
	}
}

// TestOverBudget: when the node's frames use more than their budget, those with
// deliveries waiting lose first; who reads gets everything.
func TestOverBudget(t *testing.T) {
	r := newRig(t)
	r.deps.Memory = delivery.NewMemory(1)
	r.loop = NewLoop(&r.config, &r.deps, r)
	r.at(0)
	r.dispatcher = delivery.New(delivery.Config{Loops: r, Registry: r.deps.Registry, Memory: r.deps.Memory, Tails: r.deps.Tails, Remember: 1 << 20})
	bob, other := r.connect("bob", codec.JSON, "overflow=gap"), r.connect("bob", codec.JSON)
	bob.blocked = true
	for i := range 8 {
		r.record(int64(i), text("alice", "bob", "x"), 0, "bob")
		other.want(codec.FrameDeliver)
	}
	if n := r.loop.Counters.Drops[DropNodeMemory].Load(); n != 8-overBudgetQueue {
		t.Errorf("%d dropped", n)
	}
	bob.blocked = false
	bob.pump()
	for range overBudgetQueue {
		bob.want(codec.FrameDeliver)
	}
	if g := bob.want(codec.FrameGap).Gap; g.Reason != codec.GapNodeMemory || g.ToSeq != 8 {
		t.Errorf("gap %+v", g)
	}
}

func TestDrainWaitsForSends(t *testing.T) {
	r := newRig(t)
	p := r.connect("alice", codec.JSON)
	p.send("m1", "bob", "x")
	p.s.Drain(r.loop)
	p.send("m2", "bob", "x")
	if a := p.want(codec.FrameAck).Ack; a.Code != backplane.CodeShutdown || a.Status != backplane.Rejected {
		t.Errorf("ack %+v", a)
	}
	if p.closed != 0 {
		t.Fatal("closed before the send was answered")
	}
	r.answer(0, backplane.Outcome{Status: backplane.Stored})
	p.want(codec.FrameAck)
	p.want(codec.FrameError)
	if p.closed != 1012 {
		t.Errorf("closed with %d", p.closed)
	}
}

// TestConservation: each pair of record and connection is put or dropped.
func TestConservation(t *testing.T) {
	r, bob := overflowed(t)
	r.hold = true
	gone := r.connect("bob", codec.Proto)
	for i := range 5 {
		r.record(int64(11+i), text("alice", "bob", "x"), 0, "bob")
	}
	gone.s.Closed(r.loop)
	delete(r.peers, gone.s.handle&^1)
	r.hold = false
	r.takeEntries()
	bob.blocked = false
	bob.pump()
	total := r.loop.Counters.Put.Load() + r.loop.Counters.Left.Load()
	for i := range DropReasons() {
		total += r.loop.Counters.Drop(i)
	}
	if targets := r.dispatcher.Counters.Targets.Load(); total != targets || targets != 11+10 {
		t.Errorf("%d put or dropped of %d", total, targets)
	}
}

type sink struct{ f func(delivery.Entry) }

func (s *sink) Deliver(_ int, e delivery.Entry, _ int64) { s.f(e) }
func (s *sink) Len() int                                 { return 1 }

func BenchmarkDeliver(b *testing.B) {
	for _, e := range []codec.Encoding{codec.JSON, codec.Proto} {
		b.Run(e.String(), func(b *testing.B) {
			b.ReportAllocs()
			r := newRig(&testing.T{})
			p := r.open()
			p.enc = e
			p.receive(request("token=bob", protocol(e)))
			rec := &backplane.Record{Position: backplane.Position{Generation: 1, Partition: p.s.partition},
				Value:      backplane.AppendMessage(nil, text("alice", "bob", fmt.Sprintf("%200d", 1))),
				Recipients: backplane.AppendRecipient(nil, []byte("bob"))}
			var out []byte
			d := delivery.New(delivery.Config{Loops: &sink{func(e delivery.Entry) {
				p.s.Deliver(r.loop, e.Frame, false)
				out = p.s.Fill(out[:0], 1<<16)
				p.s.Wrote(r.loop, len(out))
				e.Done()
			}}, Registry: r.deps.Registry, Memory: r.deps.Memory, Tails: r.deps.Tails, Remember: 1 << 20})
			for b.Loop() {
				rec.Offset++
				rec.Time += 100
				rec.Value[2]++
				rec.Value[3] += rec.Value[2] & 1
				d.Record(rec)
			}
		})
	}
}
