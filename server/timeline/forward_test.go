package timeline

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// in runs a test in a world whose clock stands still unless everybody waits.
func in(t *testing.T, withStore bool, budget int64, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2, withStore, budget, MinScanBytes)
		defer w.close()
		w.start()
		f(t, w)
	})
}

const (
	roomy = 64 << 20 // a budget in which tails keep everything
	none  = 0        // one in which they keep nothing
)

// all reads forward until the answer is live, and returns the offsets.
func (w *world) all(t *testing.T, user string, after int64) []int64 {
	t.Helper()
	got := []int64{}
	p := backplane.PartitionOf(user, w.n)
	for range 10_000 {
		f, err := w.service.Forward(t.Context(), []byte(user), p, after, 10, 1<<20)
		if err != nil {
			t.Fatalf("Forward after %d: %v", after, err)
		}
		if f.Gone >= 0 {
			t.Errorf("Forward after %d: gone up to %d", after, f.Gone)
		}
		got = append(got, offsets(f.Entries)...)
		if f.Live {
			return got
		}
		if f.Examined <= after {
			t.Fatalf("Forward after %d examined up to %d", after, f.Examined)
		}
		after = f.Examined
	}
	t.Fatal("no end")
	return nil
}

// TestEveryPlace: the same is read out of the tail, the window and the store, and out of
// all of them together.
func TestEveryPlace(t *testing.T) {
	for name, tt := range map[string]struct {
		store   bool
		budget  int64
		applied int // records that history has
	}{
		"tail":              {false, roomy, 0},
		"log":               {false, none, 0},
		"store":             {true, none, 1000},
		"store and log":     {true, none, 40},
		"store, log, tail":  {true, 20 << 10, 40},
		"log and tail":      {true, 20 << 10, 0},
		"store behind tail": {true, roomy, 40},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, tt.store, tt.budget, func(t *testing.T, w *world) {
				alice, bob, carol := w.user(0, 0), w.user(0, 1), w.user(1, 0)
				for i := range 200 {
					w.say([]string{alice, bob, carol}[i%3], []string{bob, carol, alice}[i/2%3])
					time.Sleep(time.Second)
				}
				w.consume(0, math.MaxInt)
				w.consume(1, math.MaxInt)
				if tt.store {
					w.apply(0, tt.applied)
					w.apply(1, tt.applied)
				}
				for _, user := range []string{alice, bob, carol} {
					for _, after := range []int64{-1, 0, 17, 120} {
						if got, want := w.all(t, user, after), w.timeline(user, after, math.MaxInt64, ""); !slices.Equal(got, want) {
							t.Errorf("%s after %d: %v, want %v", user, after, got, want)
						}
					}
				}
			})
		})
	}
}
