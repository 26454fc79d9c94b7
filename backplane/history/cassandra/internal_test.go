package cassandra

import (
	"math"
	"testing"
	"time"
)

const oneDay = 24 * time.Hour

func keep(d time.Duration) int64 { return d.Milliseconds() }

func TestCutoff(t *testing.T) {
	const d = int64(dayMS)
	for name, tt := range map[string]struct {
		epochs []epoch
		now    int64
		want   int64
	}{
		"for ever":               {[]epoch{{0, 0}}, 1000 * d, noDay},
		"the day is not over":    {[]epoch{{0, keep(10 * oneDay)}}, 21*d - 1, 10},
		"the day is over":        {[]epoch{{0, keep(10 * oneDay)}}, 21 * d, 11},
		"raised lately":          {[]epoch{{0, keep(10 * oneDay)}, {20*d + 5, keep(50 * oneDay)}}, 25 * d, 15},
		"raised, and it is over": {[]epoch{{0, keep(10 * oneDay)}, {20*d + 5, keep(50 * oneDay)}}, 60 * d, 22},
		"raised long ago":        {[]epoch{{0, keep(10 * oneDay)}, {20*d + 5, keep(50 * oneDay)}}, 80 * d, 30},
		"lowered":                {[]epoch{{0, keep(50 * oneDay)}, {20*d + 5, keep(10 * oneDay)}}, 25 * d, 15},
		"for ever from then on":  {[]epoch{{0, keep(10 * oneDay)}, {20*d + 5, 0}}, 80 * d, 22},
		"no more for ever":       {[]epoch{{0, 0}, {20 * d, keep(10 * oneDay)}}, 25 * d, 15},
	} {
		set := settings{epochs: tt.epochs}
		if got := set.cutoff(tt.now); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// TestFloorBeforeRows: when a row may go, its day is no longer kept; and until its
// retention is over, it may not go.
func TestFloorBeforeRows(t *testing.T) {
	const d = int64(dayMS)
	set := settings{epochs: []epoch{{0, keep(10 * oneDay)}}}
	for day := int64(100); day < 103; day++ {
		for written := day * d; written < (day+15)*d; written += d / 7 {
			ttl, ok := set.ttl(day, 0, written)
			ends := written + int64(ttl)*1000
			if !ok {
				ends = written
			}
			if set.cutoff(ends-d) <= day {
				t.Errorf("day %d, written at %d: a clock that is a day behind keeps it when the row goes", day, written)
			}
			if ok && ends < (day+1)*d+keep(10*oneDay) {
				t.Errorf("day %d, written at %d: the row goes early", day, written)
			}
		}
	}
}

func TestTTL(t *testing.T) {
	const d = int64(dayMS)
	ever, ten := settings{epochs: []epoch{{0, 0}}}, settings{epochs: []epoch{{0, keep(10 * oneDay)}}}
	for name, tt := range map[string]struct {
		set               *settings
		day, expires, now int64
		want              int
		ok                bool
	}{
		"for ever":                 {&ever, 5, 0, 100 * d, 0, true},
		"to the end of the second": {&ten, 5, 0, 17*d - 1001, 2, true},
		"the last":                 {&ten, 5, 0, 17*d - 1, 1, true},
		"over":                     {&ten, 5, 0, 17 * d, 0, false},
		"of its own":               {&ever, 5, 5*d + 1, 5*d + 1, 3600, true},
		"of its own, sooner":       {&ten, 5, 5*d + 1, 5*d + 1, 3600, true},
		"of its own, later":        {&ten, 5, 50 * d, 17*d - 1, 1, true},
		"of its own, over":         {&ever, 5, 5 * d, 5*d + 3600*1000, 0, false},
		"a log time far ahead":     {&ten, 100_000, 0, 0, maxTTL, true},
	} {
		if got, ok := tt.set.ttl(tt.day, tt.expires, tt.now); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %d %v, want %d %v", name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestDayOf(t *testing.T) {
	for ms, want := range map[int64]int64{0: 0, 1: 0, dayMS - 1: 0, dayMS: 1, -1: -1, -dayMS: -1, -dayMS - 1: -2} {
		if got := dayOf(ms); got != want {
			t.Errorf("dayOf(%d) = %d, want %d", ms, got, want)
		}
	}
}

func TestWriteTimes(t *testing.T) {
	if leastWins(5) <= leastWins(6) || leastWins(-1) <= leastWins(0) || greatestWins(5) >= greatestWins(6) || leastWins(math.MaxInt32) < 0 {
		t.Error("the wrong write wins")
	}
}

func TestWritten(t *testing.T) {
	w := newWritten(16)
	alice, bob := []byte("alice"), []byte("bob")
	keys := []rowKey{
		w.key(1, alice, nil, 0, 0), w.key(2, alice, nil, 0, 0), w.key(1, bob, nil, 0, 0), w.key(1, alice, bob, 0, 0),
		w.key(1, alice, nil, 1, 0), w.key(1, alice, nil, 0, 1), w.key(1, []byte("aliceb"), []byte("ob"), 0, 0),
	}
	for i, k := range keys {
		for _, other := range keys[:i] {
			if k == other {
				t.Fatalf("key %d is that of another row", i)
			}
		}
	}
	if keys[0] != w.key(1, alice, []byte{}, 0, 0) {
		t.Error("no peer is two keys")
	}
	w.put(keys[:4])
	w.put(keys[4:])
	for i, k := range keys {
		if !w.has(k) {
			t.Errorf("key %d is forgotten", i)
		}
	}
	// Those that are asked for stay; the others go.
	for i := range int64(40) {
		w.put([]rowKey{w.key(9, bob, nil, i, 0)})
		if !w.has(keys[0]) {
			t.Fatalf("forgot what is asked for, after %d", i)
		}
	}
	if w.has(keys[1]) || len(w.mu.recent)+len(w.mu.older) > 16 {
		t.Errorf("%d and %d keys are remembered", len(w.mu.recent), len(w.mu.older))
	}
	w.forget()
	if w.has(keys[0]) {
		t.Error("not all is forgotten")
	}
}

func TestWrittenAllocs(t *testing.T) {
	w := newWritten(8)
	user, peer := []byte("alice"), []byte("bob")
	w.put([]rowKey{w.key(1, user, peer, 0, 0)})
	if n := testing.AllocsPerRun(100, func() { w.has(w.key(1, user, peer, 0, 0)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
