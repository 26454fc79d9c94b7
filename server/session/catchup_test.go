package session

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// slow returns a session whose outbox has overflowed: 8 deliveries wait, and 3 are left to
// catching up.
func slow(t *testing.T) (*rig, *peer) {
	r := newRig(t)
	bob := r.connect("bob", codec.JSON)
	bob.blocked = true
	for i := range 11 {
		r.record(int64(i), text("alice", "bob", fmt.Sprint(i)), 0, "bob")
	}
	c := &r.loop.Counters
	if !bob.s.Catching() || c.Left.Load() != 3 || c.Overflows[DropOutboxFull].Load() != 1 || c.Catching.Load() != 1 {
		t.Fatalf("catching up: %v, %d left", bob.s.Catching(), c.Left.Load())
	}
	return r, bob
}

// wantBodies reads deliveries whose bodies and numbers go on from from.
func (p *peer) wantBodies(from, to int) {
	p.r.t.Helper()
	for i := from; i < to; i++ {
		d := p.want(codec.FrameDeliver).Deliver
		if string(d.Message.Body) != fmt.Sprint(i) || d.Seq != uint64(i+1) {
			p.r.t.Fatalf("delivery %d is %q, want %d", d.Seq, d.Message.Body, i)
		}
	}
}

// TestCatchUp: whoever was slow gets what it missed when it reads again, numbered as if
// nothing had been, and goes on live.
func TestCatchUp(t *testing.T) {
	r, bob := slow(t)
	if len(r.readings) != 0 {
		t.Fatal("a reading although there is no room for what it brings")
	}
	bob.blocked = false
	bob.pump()
	bob.wantBodies(0, 8)
	if len(r.readings) != 1 || r.readings[0].After != 7 {
		t.Fatalf("%d readings", len(r.readings))
	}
	r.record(11, text("alice", "bob", "11"), 0, "bob")
	bob.none() // not before what it has missed
	r.work(100)
	bob.wantBodies(8, 12)
	if bob.s.Catching() || r.loop.Counters.Caught.Load() != 4 || r.loop.Counters.CaughtUp.Load() != 1 {
		t.Error("it is not live again")
	}
	r.record(12, text("alice", "bob", "12"), 0, "bob")
	bob.wantBodies(12, 13)
	if len(r.readings) != 0 {
		t.Error("a live connection reads")
	}
}

// TestCatchUpMeetsLive: what comes while the last reading is under way passes by, and is
// read, not lost.
func TestCatchUpMeetsLive(t *testing.T) {
	r, bob := slow(t)
	bob.blocked = false
	bob.pump()
	bob.wantBodies(0, 8)
	q := r.readings[0]
	r.work(100)                                        // comes to the end of the tail
	r.record(11, text("alice", "bob", "11"), 0, "bob") // live
	bob.wantBodies(8, 12)
	_ = q

	// The same with the answer still in the lane when the record comes.
	bob.blocked = true
	for i := 12; i < 24; i++ {
		r.record(int64(i), text("alice", "bob", fmt.Sprint(i)), 0, "bob")
	}
	bob.blocked = false
	bob.pump()
	bob.wantBodies(12, 20)
	late := r.lane
	r.peers[bob.s.handle&^1].blocked = false
	q = r.readings[0]
	r.readings = nil
	for _, record := range r.log[20:24] {
		var m backplane.Message
		_ = backplane.ParseMessage(record.Value, &m)
		q.Caught = append(q.Caught, Caught{Frame: single(r, q, record, &m)})
	}
	q.Examined, q.Live = 23, true
	q.Done()
	late = append(late, r.lane...)
	r.lane = nil
	r.record(24, text("alice", "bob", "24"), 0, "bob") // passes by
	r.lane = late
	r.takeAnswers()
	bob.wantBodies(20, 24)
	if !bob.s.Catching() || len(r.readings) != 1 {
		t.Fatal("live although something has passed by")
	}
	r.work(100)
	bob.wantBodies(24, 25)
	if bob.s.Catching() {
		t.Error("it is not live again")
	}
}

// TestCatchUpFails: a reading that fails is tried again, and nothing is skipped.
func TestCatchUpFails(t *testing.T) {
	r, bob := slow(t)
	bob.blocked = false
	bob.pump()
	bob.wantBodies(0, 8)
	r.fail(codec.CodeHistoryDown)
	for i := range 5 {
		r.at(i)
		if len(r.readings) > 0 {
			break
		}
	}
	if len(r.readings) != 1 {
		t.Fatal("it does not try again")
	}
	r.work(100)
	bob.wantBodies(8, 11)
}

// TestSignalsPassBy: what is of the moment is not caught up with.
func TestSignalsPassBy(t *testing.T) {
	r, bob := slow(t)
	m := text("alice", "bob", "typing")
	m.Kind = backplane.KindSignal
	r.record(11, m, 0, "bob")
	if r.loop.Counters.Drops[DropSignal].Load() != 1 {
		t.Error("not counted")
	}
	bob.blocked = false
	bob.pump()
	bob.wantBodies(0, 8)
	r.work(100)
	bob.wantBodies(8, 11)
	bob.none()
	if bob.s.Catching() {
		t.Error("waits for a signal")
	}
}

// TestGone: messages that are not kept any more are told by a gap with a number of its own.
func TestGone(t *testing.T) {
	r, bob := slow(t)
	bob.blocked = false
	bob.pump()
	bob.wantBodies(0, 8)
	r.log = slices.DeleteFunc(r.log, func(x *backplane.Record) bool { return x.Offset == 8 || x.Offset == 9 })
	r.readings[0].Gone = 9
	r.work(100)
	g := bob.want(codec.FrameGap).Gap
	if g.FromSeq != 9 || g.ToSeq != 9 || g.Reason != codec.GapRetention || offset(t, g.After) != 7 || offset(t, g.Before) != 10 {
		t.Errorf("gap %+v", g)
	}
	if d := bob.want(codec.FrameDeliver).Deliver; d.Seq != 10 || string(d.Message.Body) != "10" {
		t.Errorf("delivery %d is %q", d.Seq, d.Message.Body)
	}
}

// TestLostWhileLive: what the log has deleted before the node read it is told to those who
// are connected: before the next message, or before the next heartbeat.
func TestLostWhileLive(t *testing.T) {
	r := newRig(t)
	p := backplane.PartitionOf("bob", 4)
	neighbour := "user0"
	for i := 1; backplane.PartitionOf(neighbour, 4) != p; i++ {
		neighbour = fmt.Sprint("user", i)
	}
	r.record(0, text("alice", "bob", "0"), 0, "bob")
	bob, idle := r.connect("bob", codec.JSON), r.connect(neighbour, codec.JSON)
	r.record(1, text("alice", "bob", "1"), 0, "bob")
	bob.want(codec.FrameDeliver)

	r.dispatcher.Begin(p, 20, 0)
	r.record(25, text("alice", "bob", "25"), 0, "bob")
	r.dispatcher.Tick()
	bob.none()
	lost := func(d *peer, after int64) {
		t.Helper()
		if len(r.readings) != 1 || r.readings[0].After != after {
			t.Fatalf("%d readings, want one after %d", len(r.readings), after)
		}
		r.readings[0].Gone = 19
		r.work(100)
		g := d.want(codec.FrameGap).Gap
		if from, to := offset(t, g.After), offset(t, g.Before); g.Reason != codec.GapRetention || from != after || to != 20 {
			t.Errorf("gap of %v from %d to %d", g.Reason, from, to)
		}
	}
	lost(bob, 1)
	if m := bob.want(codec.FrameDeliver).Deliver; string(m.Message.Body) != "25" || m.Seq != 3 {
		t.Errorf("delivery %d: %q", m.Seq, m.Message.Body)
	}
	for second := 1; second < 400 && len(r.readings) == 0; second++ {
		r.at(second)
		for _, d := range []*peer{bob, idle} {
			d.receive(ws.AppendMasked(nil, ws.Pong, nil, [4]byte{})) // they are there
		}
	}
	idle.none()
	lost(idle, 0)

	r.record(26, text(neighbour, "bob", "26"), 0, "bob", neighbour)
	if m := bob.want(codec.FrameDeliver).Deliver; m.Seq != 4 || bob.s.Catching() {
		t.Errorf("delivery %d, catching up: %v", m.Seq, bob.s.Catching())
	}
	if m := idle.want(codec.FrameDeliver).Deliver; m.Seq != 2 || idle.s.Catching() {
		t.Errorf("delivery %d, catching up: %v", m.Seq, idle.s.Catching())
	}
}

// TestResume: with a cursor a connection gets what came since, and with nothing missed it
// does not even ask.
func TestResume(t *testing.T) {
	r := newRig(t)
	bob := r.connect("bob", codec.JSON)
	for i := range 3 {
		r.record(int64(i), text("alice", "bob", fmt.Sprint(i)), 0, "bob")
	}
	bob.want(codec.FrameDeliver)
	cursor := string(bob.want(codec.FrameDeliver).Deliver.Cursor)
	last := string(bob.want(codec.FrameDeliver).Deliver.Cursor)

	again := r.open()
	again.enc = codec.JSON
	again.receive(request("token=bob&cursor="+cursor, protocol(codec.JSON)))
	w := again.want(codec.FrameWelcome).Welcome
	if !w.Resumed || string(w.Cursor) != cursor {
		t.Errorf("welcome %+v", w)
	}
	r.work(100)
	if d := again.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != "2" || d.Seq != 1 {
		t.Errorf("delivery %d: %q", d.Seq, d.Message.Body)
	}

	current := r.connect("bob", codec.Proto, "cursor="+last)
	if current.s.Catching() || len(r.readings) != 0 {
		t.Error("reads although nothing was missed")
	}
	r.record(3, text("alice", "bob", "3"), 0, "bob")
	if d := current.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != "3" {
		t.Errorf("delivery %q", d.Message.Body)
	}
}

// TestResumeElsewhere: a place that the tail does not know is asked for first.
func TestResumeElsewhere(t *testing.T) {
	r := newRig(t)
	ahead := string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: backplane.PartitionOf("bob", 4), Offset: 40}))
	for _, tt := range []struct {
		code   backplane.Code
		status int
	}{{"", 101}, {codec.CodeUnknownCursor, 400}, {codec.CodeHistoryDown, 503}} {
		bob := r.open()
		bob.enc = codec.JSON
		bob.receive(request("token=bob&cursor="+ahead, protocol(codec.JSON)))
		if bob.status() != 0 || len(r.readings) != 1 || r.readings[0].Kind != ReadResume {
			t.Fatal("not asked")
		}
		r.fail(tt.code)
		if bob.status() != tt.status {
			t.Errorf("%q: status %d, want %d", tt.code, bob.status(), tt.status)
		}
		if tt.code == "" {
			if w := bob.want(codec.FrameWelcome).Welcome; !w.Resumed || string(w.Cursor) != ahead {
				t.Errorf("welcome %+v", w)
			}
			r.readings = nil
		}
	}
	for _, cursor := range []string{
		string(codec.AppendCursor(nil, backplane.Position{Generation: 2, Partition: backplane.PartitionOf("bob", 4)})),
		string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: backplane.PartitionOf("bob", 4) ^ 1})),
	} {
		bob := r.open()
		bob.receive(request("token=bob&cursor="+cursor, protocol(codec.JSON)))
		if bob.status() != 400 {
			t.Errorf("status %d", bob.status())
		}
	}
}

// TestStartLast begins before the newest messages.
func TestStartLast(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		r.record(int64(i), text("alice", "bob", fmt.Sprint(i)), 0, "bob")
	}
	bob := r.open()
	bob.enc = codec.JSON
	bob.receive(request("token=bob&start=last:2", protocol(codec.JSON)))
	if q := r.readings[0]; q.Kind != ReadLast || q.Limit != 2 {
		t.Fatalf("%+v", q)
	}
	r.readings[0].After = 2
	r.work(100)
	if w := bob.want(codec.FrameWelcome).Welcome; w.Resumed || offset(t, w.Cursor) != 2 {
		t.Errorf("welcome %+v", w)
	}
	r.work(100)
	for i := range 2 {
		if d := bob.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != fmt.Sprint(3+i) || d.Seq != uint64(i+1) {
			t.Errorf("delivery %d: %q", d.Seq, d.Message.Body)
		}
	}
}

// TestReadingsAreBounded: what finds no room waits its turn.
func TestReadingsAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Readings = 2 })
	r.record(0, text("alice", "bob", "0"), 0, "bob")
	cursor := string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: backplane.PartitionOf("bob", 4), Offset: -1}))
	var peers []*peer
	for range 5 {
		peers = append(peers, r.connect("bob", codec.JSON, "cursor="+cursor))
	}
	if len(r.readings) != 2 {
		t.Fatalf("%d readings at once, want 2", len(r.readings))
	}
	for range 5 {
		r.work(100)
	}
	for i, p := range peers {
		if d := p.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != "0" {
			t.Errorf("device %d got %q", i, d.Message.Body)
		}
	}
}

// TestWaitsOnceForAReading: a connection that waits for room to read, and is written to
// meanwhile, has one place in the queue of those who wait.
func TestWaitsOnceForAReading(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Readings = 1 })
	r.record(0, text("alice", "bob", "0"), 0, "bob")
	cursor := string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: backplane.PartitionOf("bob", 4), Offset: -1}))
	first, second := r.connect("bob", codec.JSON, "cursor="+cursor), r.connect("bob", codec.JSON, "cursor="+cursor)
	for range 100 {
		second.frame(codec.ClientFrame{Type: codec.FramePing})
		second.want(codec.FramePong)
	}
	if n := len(r.loop.readers.near); n != 1 {
		t.Errorf("%d places in the queue for one connection", n)
	}
	r.work(100)
	r.work(100)
	first.want(codec.FrameDeliver)
	second.want(codec.FrameDeliver)
}

// TestNearReadsFirst: while what lies below the tail is not answered, who has missed what
// is in the tail gets it.
func TestNearReadsFirst(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Readings = 4 })
	p := backplane.PartitionOf("bob", 4)
	at := func(offset int64) string {
		return "cursor=" + string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: p, Offset: offset}))
	}
	r.record(0, text("alice", "bob", "0"), 0, "bob")
	for range 10 {
		r.connect("bob", codec.JSON, at(-1))
	}
	r.deps.Tails.Worker(0).Begin(p, 100, 0) // what they ask for is not in the tail any more
	r.record(100, text("alice", "bob", "100"), 0, "bob")
	for range 4 { // and they ask again
		q := r.readings[0]
		r.readings = r.readings[1:]
		q.Examined = q.After
		q.Done()
		r.takeAnswers()
	}
	if n := len(r.readings); n != 3 {
		t.Fatalf("%d readings below the tail at once, want 3", n)
	}
	near := r.connect("bob", codec.JSON, at(99))
	if n := len(r.readings); n != 4 {
		t.Fatalf("%d readings, want one more for what is in the tail", n)
	}
	r.readings[0], r.readings[3] = r.readings[3], r.readings[0]
	r.work(100)
	if d := near.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != "100" {
		t.Errorf("got %q", d.Message.Body)
	}
	for len(r.readings) > 0 {
		r.work(100)
	}
	for _, p := range r.peers {
		if p != near {
			p.want(codec.FrameDeliver)
			p.want(codec.FrameDeliver)
		}
	}
}

// TestReadingsWithoutCredits: while sends have all the credits of the loop, who waits to
// read goes on waiting, and the loop goes on.
func TestReadingsWithoutCredits(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Answers = 3 })
	r.record(0, text("alice", "bob", "0"), 0, "bob")
	cursor := string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: backplane.PartitionOf("bob", 4), Offset: -1}))
	alice := r.connect("alice", codec.JSON)
	alice.send("m1", "carol", "hello")
	var peers []*peer
	for range 4 {
		peers = append(peers, r.connect("bob", codec.JSON, "cursor="+cursor))
	}
	if len(r.readings) != 2 {
		t.Fatalf("%d readings at once, want 2", len(r.readings))
	}
	alice.send("m2", "carol", "hello") // finds no credit either
	for second := range 20 {
		for len(r.readings) > 0 {
			r.work(100)
		}
		r.at(second)
	}
	for i, p := range peers {
		if d := p.want(codec.FrameDeliver).Deliver; string(d.Message.Body) != "0" {
			t.Errorf("device %d got %q", i, d.Message.Body)
		}
	}
}

// TestDevicesModel: whatever devices, the mailbox and the readings do, each device that
// resumes by its cursor has in the end exactly its user's messages, in order, and the
// numbers on each connection are contiguous.
func TestDevicesModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		type device struct {
			*peer
			cursor string
			seq    uint64
			got    []string
		}
		users := []string{"alice", "bob"}
		devices := make([]*device, 4)
		collect := func(d *device) {
			for _, f := range d.frames {
				switch f.Type {
				case codec.FrameDeliver:
					if d.seq++; f.Deliver.Seq != d.seq {
						rt.Fatalf("delivery %d follows %d", f.Deliver.Seq, d.seq-1)
					}
					d.got = append(d.got, string(f.Deliver.Message.Body))
					d.cursor = string(f.Deliver.Cursor)
				case codec.FrameHeartbeat:
					d.cursor = string(f.Heartbeat.Cursor)
				}
			}
			d.frames = nil
		}
		join := func(i int) {
			d := devices[i]
			query := "token=" + users[i%2]
			if d.cursor != "" {
				query += "&cursor=" + d.cursor
			}
			d.peer = r.open()
			d.seq = 0
			d.enc = codec.Encoding(i / 2)
			d.receive(request(query, protocol(d.enc)))
			w := d.want(codec.FrameWelcome).Welcome
			d.cursor = string(w.Cursor)
		}
		for i := range devices {
			devices[i] = &device{}
			join(i)
		}
		sent := map[string][]string{}
		offsets := map[backplane.Partition]int64{}
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				to := rapid.SampledFrom(users).Draw(rt, "to")
				for range rapid.IntRange(1, 12).Draw(rt, "messages") {
					p := backplane.PartitionOf(to, 4)
					n++
					body := fmt.Sprint(n)
					r.record(offsets[p], text("carol", to, body), 0, to)
					offsets[p]++
					sent[to] = append(sent[to], body)
				}
			},
			"hold": func(rt *rapid.T) {
				if r.hold = !r.hold; !r.hold {
					r.takeEntries()
				}
			},
			"block": func(rt *rapid.T) {
				d := rapid.SampledFrom(devices).Draw(rt, "device")
				d.blocked = !d.blocked
				d.pump()
				collect(d)
			},
			"read": func(rt *rapid.T) {
				if len(r.readings) > 0 {
					r.work(rapid.IntRange(1, 20).Draw(rt, "most"))
				}
			},
			"fail": func(rt *rapid.T) {
				if len(r.readings) > 0 {
					r.fail(codec.CodeHistoryDown)
				}
			},
			"cut": func(rt *rapid.T) {
				i := rapid.IntRange(0, len(devices)-1).Draw(rt, "device")
				d := devices[i]
				collect(d)
				d.s.Closed(r.loop)
				delete(r.peers, d.s.handle&^1)
				join(i)
			},
			"": func(rt *rapid.T) {
				for _, d := range devices {
					collect(d)
				}
			},
		})
		r.hold = false
		r.takeEntries()
		for i := range devices {
			devices[i].blocked = false
			devices[i].pump()
		}
		for second := range 20 {
			for len(r.readings) > 0 {
				r.work(100)
			}
			r.at(second)
		}
		for i, d := range devices {
			collect(d)
			if want := sent[users[i%2]]; !slices.Equal(d.got, want) {
				rt.Fatalf("device %d of %s got %v, want %v", i, users[i%2], d.got, want)
			}
			d.s.Closed(r.loop)
			delete(r.peers, d.s.handle&^1)
		}
	})
}
