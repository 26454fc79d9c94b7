package timeline

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

func (w *world) erase(user string) {
	w.send(w.message(user, backplane.KindErase, 0, 0), 0, everywhere)
}

// TestErasedBeforeTheTail: a node that starts while history is far behind an erasure hides
// what was erased nevertheless, from all who read below its tail.
func TestErasedBeforeTheTail(t *testing.T) {
	for _, budget := range []int64{roomy, none} {
		in(t, true, budget, func(t *testing.T, w *world) {
			alice, bob := w.user(0, 0), w.user(0, 1)
			for range 20 {
				w.say(alice, alice)
				w.say(bob, bob)
			}
			w.erase(alice)
			for range 3 {
				w.say(alice, bob)
			}
			w.apply(0, 10)
			time.Sleep(2 * backplane.Rewind)
			w.start()
			w.say(alice, alice)
			w.consume(0, math.MaxInt)
			if from := w.tails.Partition(0).ErasuresFrom(); from != 44 {
				t.Fatalf("the tail begins at %d", from)
			}
			check := func(when string) {
				t.Helper()
				for _, after := range []int64{-1, 4, 15, 39} {
					for _, user := range []string{alice, bob} {
						if got, want := w.all(t, user, after), w.timeline(user, after, math.MaxInt64, ""); !slices.Equal(got, want) {
							t.Errorf("%s: %s after %d: %v, want %v", when, user, after, got, want)
						}
					}
				}
				p, err := w.back(t, alice, math.MaxInt64, 100, "")
				wantPage(t, when, p, err, false, false, 41, 42, 43, 44)
				p, err = w.back(t, alice, 40, 100, "")
				wantPage(t, when+", what was erased", p, err, false, true)
				p, err = w.back(t, bob, 8, 2, "")
				wantPage(t, when+", what another user has", p, err, true, true, 5, 7)
				if after, err := w.service.Last(t.Context(), []byte(alice), 0, 30); err != nil || after > 40 {
					t.Errorf("%s: the last 30 stand after %d, %v", when, after, err)
				}
				if r := w.resolve(t, alice, 4); r.Gone != -1 || !r.Missed {
					t.Errorf("%s: %+v", when, r)
				}
			}
			check("while history is behind")
			w.apply(0, 10)
			time.Sleep(appliedAge + 1)
			check("when history has come a little further")
			w.apply(0, math.MaxInt)
			time.Sleep(appliedAge + 1)
			check("when history is there")
		})
	}
}

// TestErasedOnce: the log is looked through once, however many read.
func TestErasedOnce(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
		}
		w.apply(0, 30)
		time.Sleep(2 * backplane.Rewind)
		w.start()
		for range 10 {
			if p, err := w.back(t, alice, 20, 5, ""); err != nil || len(p.Entries) != 5 {
				t.Fatalf("%+v, %v", p, err)
			}
			time.Sleep(appliedAge + 1)
		}
		c := w.service.Counters()
		if scans, n := c.Scans.Load(), c.Scanned.Load(); scans != 1 || n != 50 {
			t.Errorf("%d scans of %d records", scans, n)
		}
		w.apply(0, math.MaxInt)
		time.Sleep(appliedAge + 1)
		w.start()
		if p, err := w.back(t, alice, 20, 5, ""); err != nil || len(p.Entries) != 5 || w.service.Counters().Scans.Load() > 0 {
			t.Errorf("nothing is to be looked for: %+v, %v, %d scans", p, err, w.service.Counters().Scans.Load())
		}
	})
}

// TestErasuresTakeTime: until the log is looked through, whoever reads below the tail is
// told to try again; each time the look has come further.
func TestErasuresTakeTime(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
		}
		w.erase(alice)
		w.apply(0, 20)
		time.Sleep(2 * backplane.Rewind)
		w.start()
		w.log.set(fine, 25) // records that a scan gives before it fails
		_, err := w.back(t, alice, 20, 5, "")
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != HistoryBehind || !e.Retryable() {
			t.Fatalf("error %v", err)
		}
		if _, err := w.service.Forward(t.Context(), []byte(alice), 0, -1, 5, 1<<20); !isCode(err, HistoryBehind) {
			t.Fatalf("error %v", err)
		}
		p, err := w.back(t, alice, 20, 5, "")
		wantPage(t, "when it is looked through", p, err, false, true)
		if n := w.service.Counters().Scanned.Load(); n != 51 {
			t.Errorf("%d records were read, of 51", n)
		}

		w.log.set(down, 0)
		w.start()
		_, err = w.back(t, alice, 20, 5, "")
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != LogUnavailable {
			t.Errorf("error %v", err)
		}
	})
}

// TestErasureRepeated: a retry of an erasure does not hide what came in between, also if
// history has applied the first.
func TestErasureRepeated(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		w.say(alice, alice)
		first, second := w.message(alice, backplane.KindErase, 0, 0), w.message(alice, backplane.KindErase, 0, 0)
		w.send(first, 0, everywhere) // at 1
		w.say(alice, alice)
		w.send(first, 0, everywhere)
		w.say(alice, alice)
		w.apply(0, 2)
		time.Sleep(2 * backplane.Rewind)
		w.start()
		w.consume(0, math.MaxInt)
		if got := w.all(t, alice, -1); !slices.Equal(got, []int64{2, 4}) {
			t.Errorf("%v", got)
		}
		w.send(second, 0, everywhere) // at 5
		w.say(alice, alice)
		w.send(second, 0, everywhere)
		time.Sleep(2 * backplane.Rewind)
		w.start()
		w.consume(0, math.MaxInt)
		if got := w.all(t, alice, -1); !slices.Equal(got, []int64{6}) {
			t.Errorf("%v", got)
		}
	})
}

// TestManyErasures: where there are more than a node keeps, history has to come on first.
func TestManyErasures(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		w.say(alice, alice)
		for i := 0; w.log.partitions[0].end < maxErasures+10; i++ {
			w.erase(fmt.Sprint("somebody", i))
		}
		w.erase(alice)
		w.say(alice, alice)
		time.Sleep(2 * backplane.Rewind)
		w.start()
		if _, err := w.service.Forward(t.Context(), []byte(alice), 0, -1, 5, 1<<20); !isCode(err, HistoryBehind) {
			t.Fatalf("error %v", err)
		}
		w.apply(0, 100)
		time.Sleep(appliedAge + 1)
		if got := w.all(t, alice, -1); !slices.Equal(got, w.timeline(alice, -1, math.MaxInt64, "")) {
			t.Errorf("%v", got)
		}
	})
}

func isCode(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// TestRetentionShorterThanTheLogs: what history has forgotten is not read from the log
// instead. Of an erasure that history has applied, only history knows.
func TestRetentionShorterThanTheLogs(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice, bob := w.user(0, 0), w.user(0, 1)
		for range 20 {
			w.say(alice, alice)
			w.say(bob, bob)
		}
		w.erase(alice)
		w.say(alice, alice)
		w.apply(0, math.MaxInt)
		w.store.trim(0, 9)
		time.Sleep(2 * backplane.Rewind)
		w.start()
		w.consume(0, math.MaxInt)
		f, err := w.service.Forward(t.Context(), []byte(alice), 0, 3, 100, 1<<20)
		if err != nil || f.Gone != 9 || !slices.Equal(offsets(f.Entries), []int64{41}) {
			t.Errorf("%v, gone up to %d, then %v", err, f.Gone, offsets(f.Entries))
		}
		f, err = w.service.Forward(t.Context(), []byte(bob), 0, 3, 2, 1<<20)
		if err != nil || f.Gone != 9 || !slices.Equal(offsets(f.Entries), []int64{11, 13}) {
			t.Errorf("%v, gone up to %d, then %v", err, f.Gone, offsets(f.Entries))
		}
		for after, gone := range map[int64]int64{3: 9, 8: 9, 9: -1} {
			if r := w.resolve(t, bob, after); r.Gone != gone {
				t.Errorf("%d: %+v", after, r)
			}
		}
	})
}
