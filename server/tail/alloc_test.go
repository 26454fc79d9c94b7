//go:build !race

package tail

import (
	"fmt"
	"testing"
)

// TestAppendAllocs: a record is one allocation.
func TestAppendAllocs(t *testing.T) {
	ts := NewTails(0, 1, 1, 1<<20)
	w := ts.Worker(0)
	s := simple(0, "alice", "bob")
	add := func() {
		s.Offset++
		w.Append(s.Record, s.Message)
	}
	for range 10_000 {
		add() // until the budget is used and nothing grows any more
	}
	if n := testing.AllocsPerRun(1000, add); n != 1 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		s.Offset++
		w.Pass(s.Record)
	}); n != 0 {
		t.Errorf("to pass: %v allocations", n)
	}
}

// TestNothingMissedAllocs: to learn that nothing was missed costs no allocation.
func TestNothingMissedAllocs(t *testing.T) {
	tail := NewTail()
	for o := range int64(100) {
		add(tail, simple(o, fmt.Sprint("user-", o%10)))
	}
	for _, user := range []string{"user-3", "nobody"} {
		q := all(user)
		q.After = 99
		if n := testing.AllocsPerRun(100, func() {
			if tail.Newest(q.User) > q.After || tail.Floor() > q.After || tail.End() != 99 {
				t.Error("something was missed")
			}
			if tail.Erased(q.User) != -1 {
				t.Error("something was erased")
			}
			if p, _, _ := tail.Read(q); len(p.Entries) > 0 || p.More {
				t.Error("read something")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", user, n)
		}
	}
}
