package tail

import (
	"slices"
	"testing"

	"github.com/godwit-im/godwit/backplane/history"
)

// looking returns a walk for a query of alice that has looked at the first n records of a
// tail with those from 0 to 9.
func looking(t *testing.T, q history.Query, n int) (*Tail, *walk) {
	t.Helper()
	tail := NewTail()
	for o := range int64(10) {
		add(tail, simple(o, "alice", "bob"))
	}
	q.User, q.Limit, q.Bytes = []byte("alice"), 100, 1<<20
	w := &walk{q: q, hash: hashUser(q.User)}
	if more, ok := w.look(tail, n); !more || !ok {
		t.Fatalf("after %d records: more %v, ok %v", n, more, ok)
	}
	return tail, w
}

func evict(t *testing.T, tail *Tail, n int) {
	t.Helper()
	for range n {
		if _, ok := tail.Evict(); !ok {
			t.Fatal("nothing to give up")
		}
	}
}

// TestBetweenLooks: a page for which the tail was looked at more than once is one for a
// range that it tells, whatever the writer has done in between.
func TestBetweenLooks(t *testing.T) {
	forward := history.Query{After: -1, Before: 99}
	backward := history.Query{After: -1, Before: 99, Backward: true}
	erase := func(t *testing.T, tail *Tail) { tail.Erase([]byte("alice"), 10) }
	grow := func(t *testing.T, tail *Tail) { add(tail, simple(10, "alice", "bob")) }
	for _, c := range []struct {
		name       string
		q          history.Query
		between    func(*testing.T, *Tail)
		again      bool
		want       []int64
		floor, end int64
	}{
		{"forward, more comes", forward, grow, false, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, -1, 10},
		{"backward, more comes", backward, grow, false, []int64{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, -1, 9},
		{"forward, what was looked at is given up", forward,
			func(t *testing.T, tail *Tail) { evict(t, tail, 4) }, false, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, -1, 9},
		{"forward, what comes next is given up", forward, func(t *testing.T, tail *Tail) { evict(t, tail, 5) }, true, nil, 0, 0},
		{"backward, the oldest is given up", backward,
			func(t *testing.T, tail *Tail) { evict(t, tail, 2) }, false, []int64{9, 8, 7, 6, 5, 4, 3, 2}, 1, 9},
		{"backward, all that follows is given up", backward,
			func(t *testing.T, tail *Tail) { evict(t, tail, 6) }, false, []int64{9, 8, 7, 6}, 5, 9},
		{"backward, what was looked at is given up", backward,
			func(t *testing.T, tail *Tail) { evict(t, tail, 9) }, false, []int64{9, 8, 7, 6}, 5, 9},
		{"forward, erased", forward, erase, true, nil, 0, 0},
		{"backward, erased", backward, erase, true, nil, 0, 0},
		{"forward, begun again before", forward, func(_ *testing.T, tail *Tail) { tail.Begin(2, 0) }, true, nil, 0, 0},
		{"backward, begun again before", backward, func(_ *testing.T, tail *Tail) { tail.Begin(8, 0) }, true, nil, 0, 0},
		{"forward, begun again behind", forward, func(_ *testing.T, tail *Tail) { tail.Begin(20, 0) }, true, nil, 0, 0},
		{"backward, begun again behind", backward, func(_ *testing.T, tail *Tail) { tail.Begin(20, 0) }, false, []int64{9, 8, 7, 6}, 5, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			tail, w := looking(t, c.q, 4)
			c.between(t, tail)
			more, ok := w.look(tail, 100)
			if ok == c.again || more {
				t.Fatalf("ok %v, more %v", ok, more)
			}
			if c.again {
				return
			}
			w.choose(0)
			if got := offsets(w.page); !slices.Equal(got, c.want) || w.floor != c.floor || w.end != c.end || w.page.More {
				t.Errorf("%v in (%d, %d], more %v; want %v in (%d, %d]", got, w.floor, w.end, w.page.More, c.want, c.floor, c.end)
			}
		})
	}
}

// TestManyLooks: of many records that are not wanted, those that are wanted are found.
func TestManyLooks(t *testing.T) {
	const records = 5 * mostLooked
	tail := NewTail()
	var want []int64
	for o := range int64(records) {
		s := simple(o, "alice", "bob")
		if o%700 == 699 {
			s = newSample(o, 1000*o, "carol", []string{"alice"}, "alice")
			want = append(want, o)
		}
		add(tail, s)
	}
	q := &history.Query{User: []byte("alice"), Peer: []byte("carol"), After: -1, Before: records, Limit: 3, Bytes: 1 << 20}
	var got []int64
	for {
		p, floor, end := tail.Read(q)
		if floor != -1 || end != records-1 || len(p.Entries) > q.Limit {
			t.Fatalf("%d entries in (%d, %d]", len(p.Entries), floor, end)
		}
		got = append(got, offsets(p)...)
		if !p.More {
			break
		}
		q.After = got[len(got)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("forward: %v, want %v", got, want)
	}
	q.After, q.Backward, q.Limit = -1, true, records
	p, _, _ := tail.Read(q)
	slices.Reverse(want)
	if got := offsets(p); !slices.Equal(got, want) || p.More {
		t.Errorf("backward: %v, more %v; want %v", got, p.More, want)
	}
}
