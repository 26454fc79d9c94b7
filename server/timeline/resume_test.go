package timeline

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

func (w *world) resolve(t *testing.T, user string, after int64) Resolution {
	t.Helper()
	r, err := w.service.Resolve(t.Context(), []byte(user), 0, after)
	if err != nil {
		t.Fatalf("resolving %d: %v", after, err)
	}
	return r
}

func TestResolve(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice, bob := w.user(0, 0), w.user(0, 1)
		for range 50 {
			w.say(alice, alice)
		}
		w.say(bob, bob)
		w.settle()
		c := w.service.Counters()
		for _, tt := range []struct {
			after int64
			want  Resolution
		}{
			{50, Resolution{Gone: -1}},
			{51, Resolution{Gone: -1, Future: true}},
			{math.MaxInt64, Resolution{Gone: -1, Future: true}},
			{30, Resolution{Gone: -1, Missed: true}},
			{-1, Resolution{Gone: -1, Missed: true}},
		} {
			if got := w.resolve(t, alice, tt.after); got != tt.want {
				t.Errorf("%d: %+v, want %+v", tt.after, got, tt.want)
			}
		}
		if n := c.Asked.Load(); n != 1 {
			t.Errorf("the store was asked %d times within a second", n)
		}

		w.log.cut(0, 40)
		time.Sleep(boundsAge + 1)
		if got := w.resolve(t, alice, 10); got.Gone != -1 {
			t.Errorf("history has it, and it is %+v", got)
		}
		w.store.trim(0, 20)
		time.Sleep(boundsAge + 1)
		for after, gone := range map[int64]int64{10: 20, 19: 20, 20: -1, 30: -1} {
			if got := w.resolve(t, alice, after); got.Gone != gone || !got.Missed {
				t.Errorf("%d: %+v, want gone up to %d", after, got, gone)
			}
		}
	})
}

// TestGoneBetweenHistoryAndLog: the log deleted what history had not applied.
func TestGoneBetweenHistoryAndLog(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
			time.Sleep(30 * time.Second)
		}
		w.consume(0, math.MaxInt)
		w.apply(0, 10)
		w.log.cut(0, 30)
		if got := w.resolve(t, alice, 3); got.Gone != 31 {
			t.Errorf("%+v", got)
		}
		f, err := w.service.Forward(t.Context(), []byte(alice), 0, 3, 100, 1<<20)
		if err != nil || f.Gone != -1 || f.Examined != 9 || len(f.Entries) != 6 {
			t.Fatalf("what history has: %v, %+v", err, f)
		}
		f, err = w.service.Forward(t.Context(), []byte(alice), 0, 9, 100, 1<<20)
		if err != nil || f.Gone != 31 || len(f.Entries) == 0 || f.Entries[0].Offset != 32 {
			t.Fatalf("what the log has: %v, gone up to %d, then %v", err, f.Gone, offsets(f.Entries))
		}
	})
}

// TestStartOfLog: what is told of a cursor near the log's start is what reading on from it
// then brings, with and without history.
func TestStartOfLog(t *testing.T) {
	for _, store := range []bool{false, true} {
		t.Run(fmt.Sprint(store), func(t *testing.T) {
			in(t, store, none, func(t *testing.T, w *world) {
				alice := w.user(0, 0)
				for range 50 {
					w.say(alice, alice)
					time.Sleep(20 * time.Second)
				}
				w.consume(0, math.MaxInt)
				if store {
					w.apply(0, 31) // up to 30
				}
				w.log.cut(0, 30) // 30, 31 and 32 may be duplicates of what was deleted
				told := 0
				for after := int64(20); after < 40; after++ {
					r := w.resolve(t, alice, after)
					upto := int64(-1)
					for at := after; at < 40; {
						f, err := w.service.Forward(t.Context(), []byte(alice), 0, at, 100, 1<<20)
						if err != nil {
							t.Fatal(err)
						}
						upto, at = max(upto, f.Gone), f.Examined
					}
					if r.Gone != upto {
						t.Errorf("after %d: told gone up to %d, and it is up to %d", after, r.Gone, upto)
					}
					if upto >= 0 {
						told++
					}
				}
				if told != 12 {
					t.Errorf("something is gone for %d of the cursors", told)
				}
				// The log's start is asked for when it moves, and not each time.
				asked := w.service.Counters().Bounds.Load()
				time.Sleep(boundsAge + 1)
				w.resolve(t, alice, 33)
				if n := w.service.Counters().Bounds.Load() - asked; n != 1 {
					t.Errorf("%d questions more", n)
				}
				w.log.cut(0, 35)
				time.Sleep(boundsAge + 1)
				if r := w.resolve(t, alice, 33); r.Gone != 37 {
					t.Errorf("when the start has moved: %+v", r)
				}
			})
		})
	}
}

// TestHistoryCameInTime: what the log has just deleted is not told as gone because it was
// not in the store a moment ago.
func TestHistoryCameInTime(t *testing.T) {
	for name, check := range map[string]func(t *testing.T, w *world, alice string){
		"forward": func(t *testing.T, w *world, alice string) {
			f, err := w.service.Forward(t.Context(), []byte(alice), 0, 10, 1, 1)
			if err != nil || f.Gone != -1 || len(f.Entries) != 1 || f.Entries[0].Offset != 11 {
				t.Errorf("error %v, gone up to %d, then %v", err, f.Gone, offsets(f.Entries))
			}
		},
		"resolve": func(t *testing.T, w *world, alice string) {
			if r := w.resolve(t, alice, 10); r.Gone != -1 {
				t.Errorf("%+v", r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, true, none, func(t *testing.T, w *world) {
				alice := w.user(0, 0)
				for range 50 {
					w.say(alice, alice)
				}
				w.consume(0, math.MaxInt)
				w.apply(0, 5)
				if _, err := w.service.Forward(t.Context(), []byte(alice), 0, 3, 1, 1); err != nil {
					t.Fatal(err) // the store was asked how far it is
				}
				w.apply(0, 45)
				w.log.cut(0, 40)
				check(t, w, alice)
			})
		})
	}
}

// TestTrimDuringRead: entries that are removed while they are read are not passed over
// in silence.
func TestTrimDuringRead(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
		}
		w.settle()
		w.log.cut(0, 45)
		w.store.beforeRead = func() { w.store.trim(0, 20) }
		f, err := w.service.Forward(t.Context(), []byte(alice), 0, 3, 10, 1<<20)
		if err != nil || f.Gone != 20 || f.Entries[0].Offset != 21 {
			t.Errorf("error %v, gone up to %d, then %v", err, f.Gone, offsets(f.Entries))
		}
		w.store.beforeRead = func() { w.store.trim(0, 30) }
		p, err := w.back(t, alice, 34, 10, "")
		wantPage(t, "backward", p, err, false, true, 31, 32, 33)
		w.store.afterRead = func() { w.store.trim(0, 32) }
		p, err = w.back(t, alice, 35, 10, "")
		wantPage(t, "backward, when it was read", p, err, false, true, 33, 34)
		w.store.beforeRead = func() { w.store.trim(0, 40) }
		if after, err := w.service.Last(t.Context(), []byte(alice), 0, 15); err != nil || after != 40 {
			t.Errorf("the last of what is there stand after %d, %v", after, err)
		}
		w.store.beforeRead = func() { w.store.Reset(t.Context()) }
		_, err = w.service.Forward(t.Context(), []byte(alice), 0, 41, 10, 1<<20)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != HistoryUnavailable || !e.Retryable() {
			t.Errorf("error %v", err)
		}
	})
}

func TestLast(t *testing.T) {
	for _, store := range []bool{true, false} {
		for _, budget := range []int64{roomy, 4 << 10, none} {
			t.Run(fmt.Sprint(store, budget), func(t *testing.T) {
				in(t, store, budget, func(t *testing.T, w *world) {
					alice, bob := w.user(0, 0), w.user(0, 1)
					for range 50 {
						w.say(alice, alice)
						w.say(bob, bob)
					}
					w.settle()
					floor := w.tails.Partition(0).Floor()
					for n, want := range map[int]int64{1: 97, 10: 79, 45: 9, 50: -1, 60: -1} {
						if !store {
							want = max(want, floor)
						}
						after, err := w.service.Last(t.Context(), []byte(alice), 0, n)
						if err != nil || after != want && after != want-1 {
							t.Errorf("the last %d stand after %d, %v; want %d", n, after, err, want)
						}
					}
				})
			})
		}
	}
}

// TestNothingMissed runs beside a worker that appends and gives up records. Alice has a
// message at every hundredth offset: who is at an older one has always missed something.
func TestNothingMissed(t *testing.T) {
	w := newWorld(1, false, 8<<10, MinScanBytes)
	defer w.close()
	alice, bob := w.user(0, 0), w.user(0, 1)
	w.start()
	if w.service.NothingMissed([]byte(alice), 0, -1) {
		t.Error("a tail that has seen nothing vouches for it")
	}
	const n = 20_000
	var wg sync.WaitGroup
	wg.Go(func() {
		var m backplane.Message
		for offset := range int64(n) {
			user := bob
			if offset%100 == 0 {
				user = alice
			}
			m = *w.message("x", backplane.KindMessage, 0, 1)
			w.tails.Worker(0).Append(&backplane.Record{
				Position: backplane.Position{Generation: generation, Offset: offset}, Time: time.Now().UnixMilli(),
				Value: backplane.AppendMessage(nil, &m), Recipients: backplane.AppendRecipient(nil, []byte(user)),
			}, &m)
		}
	})
	ok := 0
	for end := int64(0); end < n-1; {
		end = w.tails.Partition(0).End()
		if end < 200 {
			continue
		}
		if w.service.NothingMissed([]byte(alice), 0, end/100*100-1) {
			t.Fatalf("%d was missed", end/100*100)
		}
		if w.service.NothingMissed([]byte(bob), 0, n) {
			t.Fatal("the tail vouches for what it has not seen")
		}
		if w.service.NothingMissed([]byte(alice), 0, end) {
			ok++
		}
	}
	wg.Wait()
	if ok == 0 {
		t.Error("it was always said that something may have been missed")
	}
	if n := testing.AllocsPerRun(100, func() { w.service.NothingMissed([]byte(alice), 0, n-1) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestStoreFails: those who need it get an error that they may retry, in bounded time; who
// is beyond it reads the log.
func TestStoreFails(t *testing.T) {
	for _, broken := range []trouble{down, hangs} {
		in(t, true, none, func(t *testing.T, w *world) {
			alice := w.user(0, 0)
			for range 50 {
				w.say(alice, alice)
			}
			w.consume(0, math.MaxInt)
			w.apply(0, 20)
			if got := w.all(t, alice, 10); len(got) != 39 {
				t.Fatalf("%v", got)
			}
			w.store.set(broken)
			time.Sleep(2 * appliedAge)
			began := time.Now()
			_, err := w.service.Forward(t.Context(), []byte(alice), 0, 10, 10, 1<<20)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != HistoryUnavailable || !e.Retryable() {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > DefaultTimeout {
				t.Errorf("it took %v", took)
			}
			if got := w.all(t, alice, 20); len(got) != 29 {
				t.Errorf("%v", got)
			}
			w.store.set(fine)
			time.Sleep(DefaultTimeout + appliedAge)
			if got := w.all(t, alice, 10); len(got) != 39 {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		err   *Error
		is    *Error
		retry bool
	}{
		{&Error{Code: HistoryUnavailable, Err: errDown}, nil, true},
		{&Error{Code: HistoryUnavailable, Err: fmt.Errorf("reading: %w", history.ErrCorrupt)}, nil, false},
		{&Error{Code: HistoryUnavailable, Err: history.ErrForeign}, nil, false},
		{&Error{Code: HistoryBehind, Err: errDown}, ErrHistoryBehind, true},
		{ErrNoHistory, ErrNoHistory, false},
		{ErrClosed, ErrClosed, true},
	} {
		for _, is := range []*Error{ErrHistoryBehind, ErrNoHistory, ErrClosed} {
			if got := errors.Is(tt.err, is); got != (is == tt.is) {
				t.Errorf("%v is %v: %v", tt.err, is, got)
			}
		}
		if tt.err.Retryable() != tt.retry {
			t.Errorf("%v: retryable %v", tt.err, !tt.retry)
		}
	}
	if err := (&Error{Code: LogUnavailable, Err: errDown}); !errors.Is(err, errDown) || err.Error() != "timeline: the log is not available: down" {
		t.Errorf("%v", err)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(1, false, 0, MinScanBytes)
	defer w.close()
	w.start()
	for name, spoil := range map[string]func(c *Config){
		"no partitions":  func(c *Config) { c.N = 0 },
		"too many":       func(c *Config) { c.N = backplane.MaxPartitions + 1 },
		"no tails":       func(c *Config) { c.Tails = nil },
		"no reader":      func(c *Config) { c.Reader = nil },
		"no clock":       func(c *Config) { c.Now = nil },
		"no log":         func(c *Config) { c.Log = nil },
		"little memory":  func(c *Config) { c.ScanBytes = MinScanBytes - 1 },
		"no time to ask": func(c *Config) { c.Timeout = 0 },
	} {
		c := w.service.cfg
		if spoil(&c); c.Validate() == nil {
			t.Errorf("%s is accepted", name)
		}
		if s, err := New(c); err == nil {
			s.Close()
		}
	}
}
