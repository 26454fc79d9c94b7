package timeline

import (
	"errors"
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

// TestOneScanForAll: a thousand devices that were away come at once.
func TestOneScanForAll(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		user := func(i int) string { return w.user(0, i%20) }
		for i := range 600 {
			w.say(user(i), user(i/7))
		}
		w.consume(0, math.MaxInt)
		w.apply(0, 100)
		done := make(chan error)
		for i := range 1000 {
			go func() {
				after := int64(100 + i%500)
				got := w.all(t, user(i), after)
				if want := w.timeline(user(i), after, math.MaxInt64, ""); !slices.Equal(got, want) {
					done <- errors.New("not what the log has")
					return
				}
				done <- nil
			}()
		}
		for range 1000 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		c := w.service.Counters()
		if n := c.Scans.Load(); n != 1 {
			t.Errorf("%d scans", n)
		}
		if n := c.Scanned.Load(); n > 600 {
			t.Errorf("%d records scanned, of 600 in the log", n)
		}
		if n := c.Asked.Load(); n > 2 {
			t.Errorf("the store was asked %d times how far it is", n)
		}
	})
}
