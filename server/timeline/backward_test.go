package timeline

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

// back reads a page backward.
func (w *world) back(t *testing.T, user string, before int64, limit int, peer string) (Page, error) {
	t.Helper()
	return w.service.Backward(t.Context(), []byte(user), 0, before, limit, []byte(peer), 1<<20)
}

func wantPage(t *testing.T, what string, p Page, err error, more, newer bool, want ...int64) {
	t.Helper()
	if got := offsets(p.Entries); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%s: %v, error %v, want %v", what, got, err, want)
	}
	if p.MoreBefore != more || p.MoreAfter != newer {
		t.Errorf("%s: more before %v, after %v; want %v, %v", what, p.MoreBefore, p.MoreAfter, more, newer)
	}
}

// TestPages: pages go on in both directions over all places.
func TestPages(t *testing.T) {
	in(t, true, 4<<10, func(t *testing.T, w *world) {
		alice, bob := w.user(0, 0), w.user(0, 1)
		const n = 60
		for range n {
			w.say(alice, bob)
			time.Sleep(time.Second)
		}
		w.consume(0, math.MaxInt)
		w.apply(0, 20)
		floor := w.tails.Partition(0).Floor()
		if floor < 25 || floor > n-5 {
			t.Fatalf("the tail begins after %d", floor)
		}

		var got []int64
		p, err := w.back(t, alice, math.MaxInt64, 7, "")
		for before := int64(math.MaxInt64); ; p, err = w.back(t, alice, before, 7, "") {
			if err != nil {
				t.Fatal(err)
			}
			if p.MoreAfter != (before <= floor || before < n) {
				t.Errorf("before %d: more after %v", before, p.MoreAfter)
			}
			got = append(offsets(p.Entries), got...)
			if before = p.Before; !p.MoreBefore {
				break
			}
		}
		if want := w.timeline(alice, -1, math.MaxInt64, ""); !slices.Equal(got, want) {
			t.Errorf("backward: %v, want %v", got, want)
		}
		if p, err := w.back(t, alice, 0, 7, ""); err != nil || len(p.Entries) > 0 || p.MoreBefore || !p.MoreAfter {
			t.Errorf("before the first: %+v, %v", p, err)
		}

		after := int64(-1)
		for got = nil; ; {
			p, err := w.service.After(t.Context(), []byte(bob), 0, after, 7, []byte(alice), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, offsets(p.Entries)...); !p.MoreAfter {
				break
			}
			after = p.After
		}
		if want := w.timeline(bob, -1, math.MaxInt64, alice); !slices.Equal(got, want) {
			t.Errorf("forward: %v, want %v", got, want)
		}

		p, err = w.service.Around(t.Context(), []byte(bob), 0, 10, 5, nil, 1<<20)
		wantPage(t, "around 10", p, err, true, true, 8, 9, 10, 11, 12)
		p, err = w.service.Around(t.Context(), []byte(bob), 0, n-1, 5, nil, 1<<20)
		wantPage(t, "around the last", p, err, true, false, n-3, n-2, n-1)
	})
}

// TestPagesOfConversations: the peer restricts a page in every place.
func TestPagesOfConversations(t *testing.T) {
	for _, budget := range []int64{roomy, none} {
		for _, applied := range []int{0, 3, 100} {
			in(t, true, budget, func(t *testing.T, w *world) {
				alice, bob, carol := w.user(0, 0), w.user(0, 1), w.user(0, 2)
				w.say(alice, bob)
				w.say(carol, alice)
				w.say(bob, carol)
				w.say(bob, alice)
				w.say(alice, alice)
				w.consume(0, math.MaxInt)
				w.apply(0, applied)
				p, err := w.back(t, alice, math.MaxInt64, 10, bob)
				wantPage(t, "alice with bob", p, err, false, false, 0, 3)
				p, err = w.back(t, alice, math.MaxInt64, 10, alice)
				wantPage(t, "alice with herself", p, err, false, false, 4)
				p, err = w.back(t, carol, math.MaxInt64, 10, alice)
				wantPage(t, "carol with alice", p, err, false, false, 1)
			})
		}
	}
}

// TestHistoryBehind: a page over more than a window holds is refused for the moment. What
// the tail has is there.
func TestHistoryBehind(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		w.sizes(alice, alice, 10, 100)
		w.apply(0, 5)
		w.sizes(alice, alice, 30, 20_000)
		w.consume(0, math.MaxInt)
		_, err := w.back(t, alice, math.MaxInt64, 50, "")
		if e, ok := errors.AsType[*Error](err); !errors.Is(err, ErrHistoryBehind) || !ok || !e.Retryable() {
			t.Errorf("error %v", err)
		}
		scans := w.service.Counters().Scans.Load()
		for range w.scans {
			w.log.skip(0) // more offsets than could ever fit
		}
		w.say(alice, alice)
		w.consume(0, math.MaxInt)
		if _, err := w.back(t, alice, math.MaxInt64, 50, ""); !errors.Is(err, ErrHistoryBehind) || w.service.Counters().Scans.Load() != scans {
			t.Errorf("error %v, after %d scans more", err, w.service.Counters().Scans.Load()-scans)
		}
		p, err := w.back(t, alice, 5, 50, "")
		wantPage(t, "what history has", p, err, false, true, 0, 1, 2, 3, 4)
		w.apply(0, math.MaxInt)
		time.Sleep(appliedPause + 1)
		p, err = w.back(t, alice, math.MaxInt64, 2, "")
		wantPage(t, "when history has caught up", p, err, true, false, 39, 40+w.scans)
	})
}

// TestPageAfterOthers: a window that others have filled from further back does not stand in
// the way of a page for which there is room.
func TestPageAfterOthers(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		w.sizes(alice, alice, 30, 20_000)
		w.consume(0, math.MaxInt)
		w.apply(0, 2)
		if _, err := w.service.Forward(t.Context(), []byte(alice), 0, 2, 1, 1); err != nil {
			t.Fatal(err)
		}
		w.apply(0, 25)
		time.Sleep(appliedPause + 1)
		p, err := w.back(t, alice, math.MaxInt64, 5, "")
		wantPage(t, "the newest", p, err, true, false, 25, 26, 27, 28, 29)
	})
}

// TestPagesWithoutHistory: a node without history has what its tail has.
func TestPagesWithoutHistory(t *testing.T) {
	in(t, false, 4<<10, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
		}
		w.consume(0, math.MaxInt)
		p, err := w.back(t, alice, math.MaxInt64, 50, "")
		if err != nil || len(p.Entries) == 0 || !p.MoreBefore {
			t.Fatalf("%+v, %v", p, err)
		}
		_, err = w.back(t, alice, p.Before, 50, "")
		if e, ok := errors.AsType[*Error](err); !errors.Is(err, ErrNoHistory) || !ok || e.Retryable() {
			t.Errorf("error %v", err)
		}
	})
}

// TestPagesTellWhatIsGone: a page that comes to what neither the log nor the store has
// any more says so, and one that does not come to it says nothing.
func TestPagesTellWhatIsGone(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
			time.Sleep(30 * time.Second)
		}
		w.consume(0, math.MaxInt)
		w.apply(0, 10)
		w.store.trim(0, 4)
		w.log.cut(0, 30) // of what is left, 30 and 31 cannot be told from duplicates
		want := func(what string, p Page, err error, gone int64, more bool, want ...int64) {
			t.Helper()
			wantPage(t, what, p, err, more, p.MoreAfter, want...)
			if p.Gone != gone {
				t.Errorf("%s: gone up to %d, want %d", what, p.Gone, gone)
			}
		}
		p, err := w.back(t, alice, 40, 3, "")
		want("above the hole", p, err, -1, true, 37, 38, 39)
		p, err = w.back(t, alice, 35, 6, "")
		want("over the hole", p, err, 31, true, 7, 8, 9, 32, 33, 34)
		p, err = w.back(t, alice, 20, 2, "")
		want("from within the hole", p, err, 19, true, 8, 9)
		p, err = w.back(t, alice, 10, 3, "")
		want("above the floor", p, err, -1, true, 7, 8, 9)
		p, err = w.back(t, alice, 10, 50, "")
		want("down to the floor", p, err, 4, false, 5, 6, 7, 8, 9)
		p, err = w.back(t, alice, 3, 50, "")
		want("below the floor", p, err, 2, false)
		p, err = w.back(t, alice, 0, 50, "")
		want("before the first", p, err, -1, false)
		p, err = w.service.After(t.Context(), []byte(alice), 0, 2, 3, nil, 1<<20)
		want("after a cursor below the floor", p, err, 4, true, 5, 6, 7)
		p, err = w.service.After(t.Context(), []byte(alice), 0, 5, 2, nil, 1<<20)
		want("after a cursor above the floor", p, err, -1, true, 6, 7)
		p, err = w.service.Around(t.Context(), []byte(alice), 0, 6, 6, nil, 1<<20)
		want("around, down to the floor", p, err, 4, false, 5, 6, 7, 8, 9)
		p, err = w.service.Around(t.Context(), []byte(alice), 0, 7, 4, nil, 1<<20)
		want("around, above the floor", p, err, -1, true, 6, 7, 8, 9)
		p, err = w.service.Around(t.Context(), []byte(alice), 0, 9, 4, nil, 1<<20)
		want("around, up to the hole", p, err, 31, true, 8, 9, 32, 33)
	})
}

// TestPageCameInTime: a page does not tell as gone what history has come to, since it was
// asked, before the log deleted it.
func TestPageCameInTime(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
			time.Sleep(30 * time.Second)
		}
		w.consume(0, math.MaxInt)
		w.apply(0, 5)
		if _, err := w.back(t, alice, 3, 1, ""); err != nil {
			t.Fatal(err) // the store was asked how far it is
		}
		w.apply(0, 35)
		w.log.cut(0, 30)
		p, err := w.back(t, alice, 50, 20, "")
		wantPage(t, "over the log's start", p, err, true, false,
			30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49)
		if p.Gone != -1 {
			t.Errorf("gone up to %d", p.Gone)
		}
	})
}

// TestShortPage: what was found before a place failed is a page.
func TestShortPage(t *testing.T) {
	in(t, true, 4<<10, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 50 {
			w.say(alice, alice)
		}
		w.settle()
		w.store.set(down)
		p, err := w.back(t, alice, math.MaxInt64, 50, "")
		if err != nil || len(p.Entries) == 0 || !p.MoreBefore {
			t.Fatalf("%+v, %v", p, err)
		}
		_, err = w.back(t, alice, p.Before, 50, "")
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != HistoryUnavailable {
			t.Errorf("error %v", err)
		}
	})
}
