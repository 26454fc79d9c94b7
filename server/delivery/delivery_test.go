package delivery

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/tail"
)

// post keeps what a dispatcher delivers, by loop.
type post struct {
	loops  [3][]Entry
	weight int64
}

func (p *post) Deliver(loop int, e Entry, weight int64) {
	p.loops[loop] = append(p.loops[loop], e)
	p.weight += weight
}
func (p *post) Len() int { return len(p.loops) }

type rig struct {
	*Dispatcher
	post     post
	registry *registry.Registry
	memory   *Memory
	tails    *tail.Tails
}

func newRig() *rig {
	r := &rig{registry: registry.New(), memory: NewMemory(1 << 20), tails: tail.NewTails(3, 8, 1, 1<<20)}
	r.Dispatcher = New(Config{Loops: &r.post, Registry: r.registry, Memory: r.memory, Tails: r.tails, Remember: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	return r
}

// take returns what is in a loop's mailbox, and gives it back at the end of the test.
func (r *rig) take(t *testing.T, loop int) []Entry {
	entries := r.post.loops[loop]
	r.post.loops[loop] = nil
	t.Cleanup(func() {
		for _, e := range entries {
			e.Done()
		}
	})
	return entries
}

func message(id byte, from string, to ...string) *backplane.Message {
	m := &backplane.Message{MessageID: backplane.MessageID{id}, From: []byte(from), ID: []byte{'m', id}, Body: []byte("body")}
	for _, u := range to {
		m.To = append(m.To, []byte(u))
	}
	return m
}

func record(p backplane.Partition, offset int64, session uint64, m *backplane.Message, users ...string) *backplane.Record {
	r := &backplane.Record{Position: backplane.Position{Generation: 3, Partition: p, Offset: offset},
		Time: 1000 * offset, Value: backplane.AppendMessage(nil, m), Session: session}
	for _, u := range users {
		r.Recipients = backplane.AppendRecipient(r.Recipients, []byte(u))
	}
	return r
}

func TestFanOut(t *testing.T) {
	r := newRig()
	h := func(loop, slot int, e codec.Encoding) registry.Handle {
		return registry.MakeHandle(loop, slot, 1).WithEncoding(uint8(e))
	}
	alice, laptop := h(0, 1, codec.JSON), h(2, 1, codec.JSON)
	bob, tablet, carol := h(0, 2, codec.Proto), h(0, 3, codec.JSON), h(2, 2, codec.Proto)
	r.registry.Add("alice", alice)
	r.registry.Add("alice", laptop)
	r.registry.Add("bob", bob)
	r.registry.Add("bob", tablet)
	r.registry.Add("carol", carol)
	r.Record(record(5, 7, 99, message(1, "alice", "bob", "carol", "dave"), "bob", "carol", "dave", "alice"))

	if got := r.tails.End(5); got != (backplane.Position{Generation: 3, Partition: 5, Offset: 7}) {
		t.Errorf("the tail's end is %v", got)
	}
	zero, one, two := r.take(t, 0), r.take(t, 1), r.take(t, 2)
	if len(zero) != 1 || len(one) != 0 || len(two) != 1 || zero[0].Frame != two[0].Frame {
		t.Fatalf("%d, %d and %d entries: want one frame for loops 0 and 2", len(zero), len(one), len(two))
	}
	for _, tt := range []struct {
		e    Entry
		self registry.Handle
		all  []registry.Handle
	}{{zero[0], alice, []registry.Handle{alice, bob, tablet}}, {two[0], laptop, []registry.Handle{laptop, carol}}} {
		targets := tt.e.Targets
		if targets.Self != 1 || targets.Handles[0] != tt.self {
			t.Errorf("the sender's own do not come first: %v, %d of them", targets.Handles, targets.Self)
		}
		if got := slices.Sorted(slices.Values(targets.Handles)); !slices.Equal(got, slices.Sorted(slices.Values(tt.all))) {
			t.Errorf("handles %v, want %v", got, tt.all)
		}
	}
	f := zero[0].Frame
	for _, tt := range []struct {
		enc  codec.Encoding
		body bool
		made bool
	}{{codec.JSON, true, true}, {codec.JSON, false, true}, {codec.Proto, true, true}, {codec.Proto, false, false}} {
		b := string(f.Bytes(VariantOf(tt.enc, tt.body)))
		if (b != "") != tt.made || tt.made && strings.Contains(b, "body") != tt.body {
			t.Errorf("%v, body %v: %q", tt.enc, tt.body, b)
		}
	}
	if f.Session != 99 || r.memory.Used() >= r.post.weight/2 {
		t.Errorf("session %d; %d bytes in use, weight %d", f.Session, r.memory.Used(), r.post.weight)
	}
	if c := &r.Counters; c.Records.Load() != 1 || c.Dispatched.Load() != 1 || c.Targets.Load() != 5 {
		t.Error("miscounted")
	}
}

// TestVariantsOnDemand: a variant is made only if a connection wants it.
func TestVariantsOnDemand(t *testing.T) {
	r := newRig()
	r.registry.Add("bob", registry.MakeHandle(0, 1, 1).WithEncoding(uint8(codec.Proto)))
	r.Record(record(0, 0, 99, message(1, "alice", "bob"), "bob"))
	f := r.take(t, 0)[0].Frame
	for v := range Variant(variants) {
		if made := len(f.Bytes(v)) > 0; made != (v == VariantOf(codec.Proto, true)) {
			t.Errorf("variant %d made: %v", v, made)
		}
	}
}

// TestWhatBecomesOfRecords counts every fate of a record once.
func TestWhatBecomesOfRecords(t *testing.T) {
	r := newRig()
	r.registry.Add("bob", registry.MakeHandle(1, 1, 1))
	m := message(1, "alice", "bob")
	r.Record(record(0, 0, 0, m, "bob"))
	r.Record(record(0, 1, 0, m, "bob"))                               // a retry, both copies in the log
	r.Record(record(1, 0, 0, m, "bob"))                               // its copy for another partition
	r.Record(record(0, 62, 0, m, "bob"))                              // beyond the window: log time is 1 s an offset
	r.Record(record(0, 63, 0, message(2, "alice", "carol"), "carol")) // not here
	r.Record(&backplane.Record{Position: backplane.Position{Offset: 64}, Value: []byte("junk")})
	broken := record(0, 65, 0, message(3, "alice", "bob"), "bob")
	broken.Value = append(broken.Value, 0xff)
	r.Record(broken)
	cut := record(0, 66, 0, message(4, "alice", "bob"), "bob") // ends within the list of users
	cut.Recipients = append(cut.Recipients, 0xff)
	r.Record(cut)
	later := message(5, "alice", "bob")
	later.Kind = backplane.KindErase + 1 // of a later version
	r.Record(record(0, 67, 0, later, "bob"))
	if n := len(r.take(t, 1)); n != 3 {
		t.Errorf("%d were delivered, want 3", n)
	}
	c := &r.Counters
	if c.Dispatched.Load() != 3 || c.Duplicates.Load() != 1 || c.Nobody.Load() != 1 || c.Bad.Load() != 3 || c.Hidden.Load() != 1 || c.Records.Load() != 9 {
		t.Errorf("of %d records: %d dispatched, %d duplicates, %d nobody, %d bad, %d hidden", c.Records.Load(),
			c.Dispatched.Load(), c.Duplicates.Load(), c.Nobody.Load(), c.Bad.Load(), c.Hidden.Load())
	}
	if end := r.tails.End(0).Offset; end != 67 {
		t.Errorf("the tail stops at %d", end)
	}
	if newest := r.tails.Partition(0).Newest([]byte("bob")); newest != 62 {
		t.Errorf("the tail gives bob the record at %d, which was not delivered", newest)
	}
}

// TestPositionsFollowMessages: each loop hears of the partitions that moved, after
// their messages, and only once.
func TestPositionsFollowMessages(t *testing.T) {
	r := newRig()
	r.registry.Add("bob", registry.MakeHandle(1, 1, 1))
	r.Record(record(0, 4, 0, message(1, "alice", "bob"), "bob"))
	r.Record(record(0, 5, 0, message(2, "alice", "carol"), "carol"))
	r.Record(record(2, 9, 0, message(2, "alice", "carol"), "carol"))
	r.Tick()
	r.Tick()
	for loop := range 3 {
		entries := r.take(t, loop)
		if loop == 1 {
			if entries[0].Frame == nil {
				t.Error("the positions came before the message")
			}
			entries = entries[1:]
		}
		want := []backplane.Position{{Generation: 3, Partition: 0, Offset: 5}, {Generation: 3, Partition: 2, Offset: 9}}
		if len(entries) != 1 || !slices.Equal(entries[0].Targets.Positions, want) {
			t.Errorf("loop %d: %d entries of positions", loop, len(entries))
		}
	}
}

// TestBeginElsewhere: each loop hears of it when reading does not go on where it was.
func TestBeginElsewhere(t *testing.T) {
	r := newRig()
	told := func(what string, want int64) {
		t.Helper()
		for loop := range 3 {
			entries := r.take(t, loop)
			if want < 0 && len(entries) == 0 {
				continue
			}
			if len(entries) != 1 || !entries[0].Targets.Lost ||
				!slices.Equal(entries[0].Targets.Positions, []backplane.Position{{Generation: 3, Partition: 5, Offset: want}}) {
				t.Errorf("%s: loop %d: %d entries", what, loop, len(entries))
			}
		}
	}
	r.Begin(5, 10, 0)
	told("at first", -1)
	r.Record(record(5, 10, 0, message(1, "alice", "bob"), "bob"))
	r.Begin(5, 11, 0)
	told("where it was", -1)
	r.Begin(5, 20, 0)
	told("where the log begins now", 19)
	r.Begin(5, 3, 0)
	told("where the log ends now", 2)
}

func TestFrameCountsReferences(t *testing.T) {
	m := NewMemory(1)
	f := Raw(m, []byte("hello"))
	if string(f.Bytes(0)) != "hello" || !m.Over() {
		t.Errorf("%q, over %v", f.Bytes(0), m.Over())
	}
	f.Retain(2)
	f.Release()
	f.Release()
	if m.Used() == 0 {
		t.Error("given back too early")
	}
	f.Release()
	if m.Used() != 0 {
		t.Errorf("%d bytes are left", m.Used())
	}
}

// TestRememberedTogether: the partitions of a worker share the room for message ids, so
// that a busy one may use what the others do not need.
func TestRememberedTogether(t *testing.T) {
	r := newRig()
	r.Dispatcher.remember = 640
	id := func(i int) byte { return byte(i) }
	for i := range 600 { // one busy partition
		m := message(id(i), "alice", "bob")
		m.MessageID[1] = byte(i >> 8)
		rec := record(0, int64(i), 0, m, "bob")
		rec.Time = 1000
		r.Record(rec)
	}
	for i := range 30 { // and others
		m := message(id(i), "alice", "bob")
		m.MessageID[1] = 9
		rec := record(backplane.Partition(1+i%3), int64(i), 0, m, "bob")
		rec.Time = 1000
		r.Record(rec)
	}
	if n := r.Counters.Forgotten.Load(); n != 0 {
		t.Fatalf("%d forgotten although there is room", n)
	}
	for i := range 50 {
		m := message(id(i), "alice", "bob")
		m.MessageID[1] = 8
		rec := record(4, int64(i), 0, m, "bob")
		rec.Time = 1000
		r.Record(rec)
	}
	if n := r.Counters.Forgotten.Load(); n == 0 || n > 64 || r.ids > 640 {
		t.Errorf("%d forgotten, %d remembered of at most 640", n, r.ids)
	}
	if r.windows[1].seen.Len() != 10 || r.windows[0].seen.Len() >= 600 {
		t.Error("another than the fullest partition had to forget")
	}
}
