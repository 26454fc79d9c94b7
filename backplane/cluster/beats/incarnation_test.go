package beats

import "testing"

const older, younger = 0x9999, 0x1111

func TestTwoProcessesOfOneName(t *testing.T) {
	w, now := NewWatch(), int64(t0)
	beat := func(incarnation, n uint64, connections int) {
		now += 250
		w.Beat(Beat{Node: "a", Incarnation: incarnation, N: n, Connections: connections}, now)
	}
	for n := range uint64(20) {
		beat(older, 1000+n, 1)
	}
	if w.Superseded("a", older) {
		t.Error("superseded by nobody")
	}
	for n := range uint64(20) {
		beat(younger, 1+n, 2)
		beat(older, 1020+n, 1)
		if !w.Superseded("a", older) || w.Superseded("a", younger) {
			t.Fatalf("beat %d: superseded: older %v, younger %v", n, w.Superseded("a", older), w.Superseded("a", younger))
		}
		if s, _ := w.Latest("a"); s.Connections != 2 {
			t.Fatal("the older process speaks for the node")
		}
	}
	if w.Superseded("a", 77) || w.Superseded("z", older) {
		t.Error("who was not heard is superseded")
	}
}

// The younger process may be heard first: a reader that begins now knows nothing of
// what was before it.
func TestOlderProcessIsHeardLater(t *testing.T) {
	w := NewWatch()
	w.Beat(Beat{Node: "a", Incarnation: younger, N: 3}, t0)
	w.Beat(Beat{Node: "a", Incarnation: older, N: 1000}, t0+250)
	if !w.Superseded("a", older) || w.Superseded("a", younger) {
		t.Error("the older is the one that has beaten more often")
	}
}

// A process that starts after another one under its name has ended speaks at
// once, and whatever it lost of its first beats.
func TestRestart(t *testing.T) {
	for _, first := range []uint64{1, 7} {
		w, now := NewWatch(), int64(t0)
		for n := uint64(1); n <= 5; n++ {
			w.Beat(Beat{Node: "a", Incarnation: older, N: n}, now)
			now += Interval
		}
		now += int64(first) * Interval
		w.Beat(Beat{Node: "a", Incarnation: younger, N: first}, now)
		if s, _ := w.Latest("a"); s.Incarnation != younger || w.Superseded("a", younger) {
			t.Errorf("from beat %d on: %+v", first, s)
		}
	}
}

// A process that was stopped for a time finds, when it goes on, that it was replaced.
func TestProcessThatWasStopped(t *testing.T) {
	w, now := NewWatch(), int64(t0)
	for n := uint64(1); n <= 3; n++ {
		w.Beat(Beat{Node: "a", Incarnation: older, N: n}, now)
		now += Interval
	}
	for n := uint64(1); n <= 60; n++ {
		w.Beat(Beat{Node: "a", Incarnation: younger, N: n}, now)
		now += Interval
	}
	w.Beat(Beat{Node: "a", Incarnation: older, N: 4}, now)
	if !w.Superseded("a", older) || w.Superseded("a", younger) {
		t.Error("it began earlier, however long it was stopped")
	}
}

// Of two that started together one stops, the same one for everybody.
func TestTwoProcessesAtTheSameTime(t *testing.T) {
	for _, first := range []uint64{older, younger} {
		w, now := NewWatch(), int64(t0)
		for n := uint64(1); n <= 10; n++ {
			w.Beat(Beat{Node: "a", Incarnation: first, N: n}, now)
			w.Beat(Beat{Node: "a", Incarnation: first ^ older ^ younger, N: n}, now+100)
			now += Interval
		}
		if w.Superseded("a", older) || !w.Superseded("a", younger) {
			t.Errorf("%x first: superseded: %x %v, %x %v", first, older, w.Superseded("a", older), younger, w.Superseded("a", younger))
		}
	}
}

func TestClaimsAreBounded(t *testing.T) {
	w := NewWatch()
	for i := range uint64(100) {
		w.Beat(Beat{Node: "a", Incarnation: i, N: 1}, t0+int64(i)*2000)
	}
	if n := len(w.nodes["a"].claims); n > maxClaims {
		t.Errorf("%d claims", n)
	}
	if s, _ := w.Latest("a"); s.Incarnation != 99 {
		t.Errorf("%+v", s)
	}
}
