package workload

import (
	"fmt"
	"testing"
)

// TestView has a device go on where it was, and back.
func TestView(t *testing.T) {
	var v view
	if _, ok := v.at(0); ok {
		t.Error("a view that has not begun has a cursor")
	}
	v.begin("w")
	for i := range 3 {
		v.took(fmt.Sprint("d", i))
	}
	v.beat("h")
	for _, c := range []struct {
		steps  int
		cursor string
		back   int
	}{{0, "h", 0}, {1, "d2", 0}, {2, "d1", 1}, {3, "d0", 2}, {4, "w", 3}, {5, "w", 3}} {
		if m, ok := v.at(c.steps); !ok || m.cursor != c.cursor || v.back(m) != c.back || m.heartbeat != (c.cursor == "h") {
			t.Errorf("%d steps back is %+v, with %d deliveries after it", c.steps, m, v.back(m))
		}
	}

	m, _ := v.at(2)
	v.resume(m)
	v.took("d2 again")
	if last, _ := v.at(0); last.cursor != "d2 again" || v.seen != 3 || v.back(m) != 1 {
		t.Errorf("after going back to d1 it is at %+v, and has seen %d", last, v.seen)
	}
	v.begin("anew")
	if m, _ := v.at(9); m.cursor != "anew" || v.seen != 0 {
		t.Errorf("anew it is at %+v, and has seen %d", m, v.seen)
	}
}

// TestViewForgets has a device go back to a place that is not among its latest any more.
func TestViewForgets(t *testing.T) {
	var v view
	v.begin("w")
	first, _ := v.at(0)
	for i := range 3 * remembered {
		v.took(fmt.Sprint("d", i))
	}
	if len(v.marks) != remembered {
		t.Errorf("%d places are remembered", len(v.marks))
	}
	if back := v.back(first); back != 3*remembered {
		t.Errorf("%d deliveries are after the first place", back)
	}
	v.resume(first)
	if m, ok := v.at(0); !ok || m.cursor != "w" || v.seen != 0 {
		t.Errorf("it is at %+v, and has seen %d", m, v.seen)
	}
	v.took("d0")
	if m, _ := v.at(0); m.number <= first.number || v.back(first) != 1 {
		t.Errorf("then it is at %+v", m)
	}
}
