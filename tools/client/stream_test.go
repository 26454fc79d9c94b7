package client

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// messages returns the messages of what was told, and what is gone.
func (u *user) stream() (told []string) {
	for _, e := range u.told() {
		if e[:2] == "me" || e[:2] == "go" || e[:2] == "ga" {
			told = append(told, e)
		}
	}
	return told
}

// asked returns what a connection asks for in its query, but for the device.
func (p *peer) asked() string {
	query := p.request.URL.Query()
	query.Del("device")
	return query.Encode()
}

// Each connection goes on behind the last frame with a cursor of the one before.
func TestResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{Cursor: []byte(cursor(4))})
		for i, test := range []struct {
			part func()
			want int64 // the offset behind which the next connection begins
		}{
			{func() {}, 4},
			{func() { p.deliver(1, "a"); p.deliverAt(2, 12, fromBob("x", "b")) }, 12},
			{func() { p.heartbeat(0, cursor(20)) }, 20},
			// The cursors of a gap are not to be kept: what was dropped comes after all.
			{func() {
				p.deliverAt(1, 21, fromBob("y", "c"))
				p.gap(2, 5, codec.GapOutboxFull, cursor(21), cursor(30))
			}, 21},
			{func() { p.gap(1, 1, codec.GapRetention, cursor(21), cursor(40)) }, 21},
		} {
			if got := p.asked(); i == 0 && got != "" {
				t.Errorf("the first connection asks for %q", got)
			}
			test.part()
			synctest.Wait()
			if got := u.Cursor(); got != cursor(test.want) {
				t.Errorf("part %d: Cursor returns %q, want that of %d", i, got, test.want)
			}
			p.Close()
			p = n.welcome(codec.Welcome{Cursor: []byte(cursor(test.want)), Resumed: true})
			if got := p.asked(); got != "cursor="+cursor(test.want) {
				t.Errorf("after part %d the client asks for %q, want the cursor of %d", i, got, test.want)
			}
		}
		u.leave(p)
		if u.Cursor() != cursor(21) {
			t.Errorf("after Run Cursor returns %q", u.Cursor())
		}
	})
}

// The cursor of the options is the first connection's, and another run's.
func TestStart(t *testing.T) {
	for _, test := range []struct {
		change func(*Options)
		want   string // asked of the first connection
		then   string // of the second
	}{
		{func(o *Options) {}, "", "cursor=" + cursor(7)},
		{func(o *Options) { o.Start = 20 }, "start=last%3A20", "cursor=" + cursor(7)},
		{func(o *Options) { o.Cursor, o.Start = cursor(3), 20 }, "cursor=" + cursor(3), "cursor=" + cursor(7)},
		{func(o *Options) { o.Overflow = codec.OverflowGap }, "overflow=gap", "cursor=" + cursor(7) + "&overflow=gap"},
	} {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			u := start(t, n, test.change)
			p := n.accept()
			if got := p.asked(); got != test.want {
				t.Errorf("the client asks for %q, want %q", got, test.want)
			}
			p.Close() // before the welcome: it asks for the same again
			p = n.welcome(codec.Welcome{Cursor: []byte(cursor(7))})
			if got := p.asked(); got != test.want {
				t.Errorf("then for %q, want %q", got, test.want)
			}
			p.Close()
			p = n.welcome(codec.Welcome{Cursor: []byte(cursor(7))})
			if got := p.asked(); got != test.then {
				t.Errorf("after a welcome for %q, want %q", got, test.then)
			}
			u.leave(p)
		})
	}
}

// What has been received but not handed over is not asked for again, and is not counted
// by Cursor.
func TestCursorIsOfWhatWasHandedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		release := make(chan struct{})
		var seen []string
		var u *user
		u = start(t, n, func(o *Options) {
			o.OnMessage = func(m Message) {
				<-release
				seen = append(seen, u.Cursor()+" "+m.Cursor)
			}
		})
		p := n.welcome(codec.Welcome{Cursor: []byte(cursor(0))})
		p.deliver(1, "a")
		p.deliver(2, "b")
		p.Close()
		p = n.welcome(codec.Welcome{Cursor: []byte(cursor(2)), Resumed: true})
		if got := p.asked(); got != "cursor="+cursor(2) {
			t.Errorf("the client asks for %q", got)
		}
		synctest.Wait()
		if got := u.Cursor(); got != cursor(0) {
			t.Errorf("before the first message is dealt with, Cursor returns %q", got)
		}
		release <- struct{}{}
		synctest.Wait()
		if got := u.Cursor(); got != cursor(1) {
			t.Errorf("after the first message, Cursor returns %q", got)
		}
		release <- struct{}{}
		u.leave(p)
		if want := []string{cursor(0) + " " + cursor(1), cursor(1) + " " + cursor(2)}; !slices.Equal(seen, want) {
			t.Errorf("OnMessage saw the cursors %q, want %q", seen, want)
		}
	})
}

// A message comes once, though the server may deliver it again. A signal is not known
// again: it comes from the moment, never from the log.
func TestDuplicates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{Cursor: []byte(cursor(0))})
		p.deliverAt(1, 1, fromBob("m1", "a"))
		p.deliverAt(2, 2, fromBob("m1", "a"))
		p.deliverAt(3, 3, fromBob("m1", "b"))
		signal := fromBob("m2", "typing")
		signal.Kind = backplane.KindSignal
		p.deliverAt(4, 4, signal)
		p.deliverAt(5, 5, signal)
		p.Close()
		p = n.welcome(codec.Welcome{Cursor: []byte(cursor(5)), Resumed: true})
		if got := p.asked(); got != "cursor="+cursor(5) {
			t.Errorf("the client asks for %q", got)
		}
		p.deliverAt(1, 6, fromBob("m1", "b"))
		p.deliverAt(2, 7, fromBob("m3", "c"))
		want := []string{"message 1 a", "message 3 b", "message 4 typing", "message 5 typing", "message 2 c"}
		if got := u.stream(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		if len(u.errs) > 0 || u.Cursor() != cursor(7) {
			t.Errorf("the errors are %v, and the cursor is %q", u.errs, u.Cursor())
		}
		u.leave(p)
	})
}

func TestSeen(t *testing.T) {
	var s seen
	id := func(n int) backplane.MessageID { return backplane.MessageID{byte(n), byte(n >> 8)} }
	for n := range 3 * rememberedIDs {
		if s.add(id(n)) {
			t.Fatalf("message %d is said to have been there", n)
		}
		if again := max(0, n-rememberedIDs+1); !s.add(id(again)) {
			t.Fatalf("after message %d, number %d is forgotten", n, again)
		}
	}
	if len(s.known) != rememberedIDs || len(s.ring) != rememberedIDs {
		t.Errorf("%d ids are remembered in %d places", len(s.known), len(s.ring))
	}
	if s.add(id(0)) {
		t.Error("an id is remembered for ever")
	}
}

// What is gone is told in its place, once.
func TestRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, func(o *Options) { o.Cursor = cursor(1) })
		p := n.welcome(codec.Welcome{Cursor: []byte(cursor(1))})
		p.gap(1, 1, codec.GapRetention, cursor(1), cursor(40))
		p.Close()
		p = n.welcome(codec.Welcome{Cursor: []byte(cursor(1))})
		p.gap(1, 1, codec.GapRetention, cursor(1), cursor(40))
		p.deliverAt(2, 40, fromBob("m1", "a"))
		p.gap(3, 3, codec.GapRetention, cursor(40), cursor(60))
		p.deliverAt(4, 60, fromBob("m2", "b"))
		want := []string{
			"gone " + cursor(1) + " " + cursor(40) + " ", "message 2 a",
			"gone " + cursor(40) + " " + cursor(60) + " ", "message 4 b",
		}
		if got := u.stream(); !slices.Equal(got, want) || len(u.errs) > 0 {
			t.Errorf("told %q, want %q; the errors are %v", got, want, u.errs)
		}
		u.leave(p)
	})
}

// A cursor that the server does not know is forgotten: the client says so, begins anew,
// and leaves out what it has had.
func TestUnknownCursor(t *testing.T) {
	for _, code := range []backplane.Code{codec.CodeUnknownCursor, codec.CodeBadCursor} {
		for name, refuse := range map[string]func(*peer){
			"by status": func(p *peer) { p.refuse(400, string(code)+": no such place") },
			"by close": func(p *peer) {
				p.upgrade()
				p.fail(code, "no such place")
				p.closeWith(codec.CloseBadRequest)
			},
		} {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					n := newNode(t)
					u := start(t, n, func(o *Options) { o.Start = 5 })
					p := n.welcome(codec.Welcome{Cursor: []byte(cursor(0))})
					p.deliver(1, "a")
					p.deliver(2, "b")
					p.Close()
					p = n.accept()
					if got := p.asked(); got != "cursor="+cursor(2) {
						t.Errorf("the client asks for %q", got)
					}
					refuse(p)
					p = n.accept()
					if got := p.asked(); got != "start=last%3A5" {
						t.Errorf("then it asks for %q", got)
					}
					if got := u.Cursor(); got != "" {
						t.Errorf("Cursor returns %q", got)
					}
					p.upgrade()
					p.welcome(codec.Welcome{Cursor: []byte(cursor(-1))})
					p.deliver(1, "a")
					p.deliver(2, "b")
					p.deliver(3, "c")
					want := []string{"message 1 a", "message 2 b", "gone " + cursor(2) + "  " + string(code), "message 3 c"}
					if got := u.stream(); !slices.Equal(got, want) {
						t.Errorf("told %q, want %q", got, want)
					}
					p.Close()
					if p = n.welcome(codec.Welcome{}); p.asked() != "cursor="+cursor(3) {
						t.Errorf("at last it asks for %q", p.asked())
					}
					u.leave(p)
				})
			})
		}
	}
}

// Without a cursor such a refusal is final, like others of its kind.
func TestUnknownCursorWithoutOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		n.accept().refuse(400, "unknown_cursor: no such place")
		var refused *RefusedError
		if err := <-u.ran; !errors.As(err, &refused) || refused.Code != codec.CodeUnknownCursor {
			t.Errorf("Run returned %v", err)
		}
		if got := u.stream(); len(got) > 0 {
			t.Errorf("told %q", got)
		}
	})
}

// A node that cannot read what was missed is asked again, with the same cursor.
func TestCannotResumeNow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, func(o *Options) { o.Cursor = cursor(3) })
		n.accept().refuse(503, "history_unavailable: later", "Retry-After: 1")
		p := n.accept()
		if p.asked() != "cursor="+cursor(3) {
			t.Errorf("the client asks for %q", p.asked())
		}
		p.upgrade()
		p.fail(codec.CodeHistoryDown, "later")
		p.closeWith(codec.CloseTryAgainLater)
		p = n.welcome(codec.Welcome{Cursor: []byte(cursor(3)), Resumed: true})
		if p.asked() != "cursor="+cursor(3) {
			t.Errorf("then it asks for %q", p.asked())
		}
		if got := u.stream(); len(got) > 0 {
			t.Errorf("told %q", got)
		}
		u.leave(p)
	})
}

func TestExpiryIsTold(t *testing.T) {
	for _, json := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			var got Message
			u := start(t, n, func(o *Options) {
				o.JSON = json
				o.OnMessage = func(m Message) { got = m }
			})
			p := n.welcome(codec.Welcome{})
			m := fromBob("m1", "a")
			m.TTL = 1500
			p.deliverAt(1, 1, m)
			synctest.Wait()
			if got.TTL != 1500*time.Millisecond {
				t.Errorf("the message is %+v", got)
			}
			u.leave(p)
		})
	}
}
