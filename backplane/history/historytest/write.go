package historytest

import (
	"context"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

func testErase(t *testing.T, r *rig) {
	var ref reference
	for i := range int64(10) {
		ref.entries = append(ref.entries, entry([]string{"alice", "bob"}[i%2], i, r.now-3*dayLen+i*10*hour, "carol"))
	}
	check := func() {
		t.Helper()
		for _, user := range []string{"alice", "bob"} {
			for _, peer := range []string{"", "carol"} {
				q := r.all(user)
				q.Peer = []byte(peer)
				ref.compare(t, &q, r.read(t, q))
				q.Backward, q.Limit = true, 2
				ref.compare(t, &q, r.read(t, q))
			}
		}
	}
	r.write(t, r.batch(0, ref.entries))
	check()
	ref.erasures = append(ref.erasures, history.Erasure{User: []byte("alice"), Offset: 10})
	r.write(t, r.batch(0, nil, ref.erasures...))
	check()
	next := []history.Entry{entry("alice", 11, r.now, "carol"), entry("bob", 12, r.now, "carol")}
	ref.entries = append(ref.entries, next...)
	r.write(t, r.batch(0, next))
	check()
	for _, offset := range []int64{13, 14} { // one that hides something, and one that does not
		again := history.Erasure{User: []byte("alice"), Offset: offset}
		ref.erasures = append(ref.erasures, again)
		r.write(t, r.batch(0, nil, again))
		check()
	}
}

// testEraseInOneBatch: an erasure hides what stands before it in its own batch.
func testEraseInOneBatch(t *testing.T, r *rig) {
	r.write(t, r.batch(0, []history.Entry{entry("alice", 1, r.now, "bob"), entry("bob", 2, r.now, "alice"),
		entry("alice", 3, r.now, "bob"), entry("alice", 6, r.now, "bob")},
		history.Erasure{User: []byte("alice"), Offset: 2}, history.Erasure{User: []byte("alice"), Offset: 5},
		history.Erasure{User: []byte("dave"), Offset: 7}))
	r.expect(t, r.all("alice"), 6)
	r.expect(t, r.all("bob"), 2)
	q := r.all("alice")
	q.Peer = []byte("bob")
	r.expect(t, q, 6)
}

// testEraseThenReplay: no replay brings back what was erased.
func testEraseThenReplay(t *testing.T, r *rig) {
	entries := []history.Entry{entry("alice", 1, r.now-2*dayLen, "bob"), entry("alice", 2, r.now-dayLen, "bob"), entry("alice", 3, r.now, "bob")}
	erasure := history.Erasure{User: []byte("alice"), Offset: 4}
	after := []history.Entry{entry("alice", 5, r.now, "bob")}
	whole := r.batch(0, append(append([]history.Entry(nil), entries...), after...), erasure)
	for _, b := range []*history.Batch{
		r.batch(0, entries), r.batch(0, nil, erasure), r.batch(0, after),
		r.batch(0, entries[:1]), r.batch(0, entries[1:]), r.batch(0, entries), whole, r.batch(0, entries[2:]),
		r.batch(0, nil, erasure), r.batch(0, after),
	} {
		r.write(t, b)
		if b.Applied.Offset < 4 && r.applied(t, 1)[0].Offset < 4 {
			continue
		}
		want := []int64{5}
		if r.applied(t, 1)[0].Offset < 5 {
			want = nil
		}
		r.expect(t, r.all("alice"), want...)
		q := r.all("alice")
		q.Peer, q.Backward = []byte("bob"), true
		r.expect(t, q, want...)
	}
}

// testReplay: the same again, in other pieces, changes nothing.
func testReplay(t *testing.T, r *rig) {
	var ref reference
	for i := range int64(30) {
		ref.entries = append(ref.entries, entry("alice", i, r.now-2*dayLen+i*2*hour, "bob"))
	}
	r.write(t, r.batch(0, ref.entries))
	before := r.applied(t, 1)[0]
	for _, piece := range [][2]int{{0, 30}, {0, 1}, {3, 20}, {20, 30}, {5, 6}, {0, 17}} {
		b := r.batch(0, ref.entries[piece[0]:piece[1]])
		b.Applied.Time = b.Entries[len(b.Entries)-1].Time
		r.write(t, b)
		if a := r.applied(t, 1)[0]; a != before {
			t.Errorf("the replay of %v moved the store from %+v to %+v", piece, before, a)
		}
		for _, peer := range []string{"", "bob"} {
			q := r.all("alice")
			q.Peer = []byte(peer)
			ref.compare(t, &q, r.read(t, q))
		}
	}
}

func testApplied(t *testing.T, r *rig) {
	bare := func(p backplane.Partition, offset, time int64) {
		t.Helper()
		b := r.batch(p, nil)
		b.Applied = history.Applied{Offset: offset, Time: time, Floor: 99}
		r.write(t, b)
	}
	bare(0, 10, 1000)
	bare(2, 7, 500)
	bare(0, 11, 900) // a log time that lies before: the highest counts
	bare(2, 3, 100)  // a replay
	want := []history.Applied{{Offset: 11, Time: 1000, Floor: -1}, {Offset: -1, Floor: -1}, {Offset: 7, Time: 500, Floor: -1}}
	for p, a := range r.applied(t, 3) {
		if a != want[p] {
			t.Errorf("partition %d has come to %+v, want %+v", p, a, want[p])
		}
	}
	if a := r.applied(t, 1)[0]; a != want[0] {
		t.Errorf("partition 0, asked for alone, has come to %+v, want %+v", a, want[0])
	}
}

// testLost: what the log lost raises the floor, once and for all.
func testLost(t *testing.T, r *rig) {
	r.write(t, r.batch(0, []history.Entry{entry("alice", 1, r.now)}))
	lost := r.batch(0, []history.Entry{entry("alice", 20, r.now)})
	lost.Lost = 15
	r.write(t, lost)
	r.write(t, r.batch(0, []history.Entry{entry("alice", 21, r.now)}))
	r.write(t, lost)
	if a := r.applied(t, 1)[0]; a.Offset != 21 || a.Floor != 14 {
		t.Errorf("the store has come to %+v, want offset 21 and floor 14", a)
	}
	q := r.all("alice")
	q.After = 14
	r.expect(t, q, 20, 21)

	// A log that begins late, and has nothing yet.
	bare := r.batch(1, nil)
	bare.Applied.Offset, bare.Applied.Time, bare.Lost = 499, 0, 500
	r.write(t, bare)
	if a := r.applied(t, 2)[1]; a != (history.Applied{Offset: 499, Floor: 499}) {
		t.Errorf("the store has come to %+v, want offset and floor 499", a)
	}
}

// testReset: a store that was reset is as if it were new.
func testReset(t *testing.T, r *rig) {
	other := &rig{r.store, generations.Add(1), r.now}
	fill := func() {
		for _, g := range []*rig{r, other} {
			g.write(t, g.batch(0, []history.Entry{entry("alice", 1, r.now-dayLen, "bob"), entry("alice", 2, r.now, "bob")}))
			g.write(t, g.batch(0, nil, history.Erasure{User: []byte("bob"), Offset: 8}))
		}
	}
	fill()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.store.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*rig{r, other} {
		g.expect(t, g.all("alice"))
		if a := g.applied(t, 1)[0]; a != (history.Applied{Offset: -1, Floor: -1}) {
			t.Errorf("after a reset the store has come to %+v", a)
		}
	}
	// An erasure of before is gone, too: the log says again what is hidden.
	r.write(t, r.batch(0, []history.Entry{entry("bob", 1, r.now, "alice")}))
	r.expect(t, r.all("bob"), 1)
	fill()
	other.expect(t, other.all("alice"), 1, 2)
}

func testClosed(t *testing.T, r *rig) {
	b := r.batch(0, []history.Entry{entry("alice", 1, r.now)})
	r.write(t, b)
	for range 2 {
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	q := r.all("alice")
	_, read := r.store.Read(ctx, &q)
	_, applied := r.store.Applied(ctx, r.generation, 1)
	for call, err := range map[string]error{
		"Write": r.store.Write(ctx, b), "Read": read, "Applied": applied,
		"Trim": r.store.Trim(ctx, r.now), "Reset": r.store.Reset(ctx),
	} {
		if !errors.Is(err, history.ErrClosed) {
			t.Errorf("%s of a closed store: %v", call, err)
		}
	}
}
