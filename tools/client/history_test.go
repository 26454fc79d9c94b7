package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

type paged struct {
	page Page
	err  error
}

// history calls History in a goroutine.
func (u *user) history(ctx context.Context, q Query) chan paged {
	out := make(chan paged, 1)
	go func() {
		page, err := u.Client.History(ctx, q)
		out <- paged{page, err}
	}()
	return out
}

func TestHistory(t *testing.T) {
	for _, json := range []bool{false, true} {
		t.Run(fmt.Sprintf("json=%v", json), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, func(o *Options) { o.JSON = json })
				// Asked before there is a connection, and answered in another order.
				newest := u.history(t.Context(), Query{})
				p := n.welcome(codec.Welcome{Cursor: []byte(cursor(9))})
				first := p.readHistory()
				if len(first.ID) == 0 || first.Limit != codec.DefaultPage || len(first.After)+len(first.Before)+len(first.Around)+len(first.Peer) > 0 {
					t.Errorf("asked for %+v", first)
				}
				older := u.history(t.Context(), Query{After: cursor(1), Before: cursor(5), Limit: 100, Peer: "bob"})
				second := p.readHistory()
				if string(second.After) != cursor(1) || string(second.Before) != cursor(5) || second.Limit != 100 || string(second.Peer) != "bob" {
					t.Errorf("asked for %+v", second)
				}
				p.page(second.ID, codec.PageBounds{After: []byte(cursor(4)), Before: []byte(cursor(2)), Gone: []byte(cursor(1))}, 2)
				p.page([]byte("nobody asked"), codec.PageBounds{}, 2)
				own := fromBob("m2", "b")
				own.From, own.To, own.TTL = []byte("alice"), [][]byte{[]byte("bob")}, 2000
				p.page(first.ID, codec.PageBounds{After: []byte(cursor(9)), Before: []byte(cursor(8)), MoreBefore: true}, 8, fromBob("m1", "a"), own)
				r := <-newest
				if r.err != nil || len(r.page.Messages) != 2 || r.page.After != cursor(9) || r.page.Before != cursor(8) || r.page.MoreAfter || !r.page.MoreBefore || r.page.Gone != "" {
					t.Fatalf("History returned %+v, %v", r.page, r.err)
				}
				a, b := r.page.Messages[0], r.page.Messages[1]
				if string(a.Body) != "a" || a.Self || a.Seq != 0 || a.Cursor != cursor(8) || a.MessageID == b.MessageID {
					t.Errorf("the first message is %+v", a)
				}
				if string(b.Body) != "b" || !b.Self || b.TTL != 2*time.Second || b.Cursor != cursor(9) {
					t.Errorf("the second message is %+v", b)
				}
				if r := <-older; r.err != nil || len(r.page.Messages) != 0 || r.page.Gone != cursor(1) || r.page.After != cursor(4) {
					t.Errorf("History returned %+v, %v", r.page, r.err)
				}
				if got := u.stream(); len(got) > 0 || u.Cursor() != cursor(9) {
					t.Errorf("pages were told as %q, and the cursor is %q", got, u.Cursor())
				}
				u.leave(p)
			})
		})
	}
}

func TestHistoryIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		for code, retryable := range map[backplane.Code]bool{
			codec.CodeHistoryDown: true, codec.CodeHistoryBehind: true, codec.CodeNoHistory: false, "too_blue": false,
		} {
			asked := u.history(t.Context(), Query{})
			p.write(codec.AppendPageRefusal(nil, p.enc, p.readHistory().ID, code))
			var refused *HistoryError
			if r := <-asked; !errors.As(r.err, &refused) || refused.Code != code || refused.Retryable() != retryable || !strings.Contains(r.err.Error(), string(code)) {
				t.Errorf("History returned %v, want %s", r.err, code)
			}
		}
		u.leave(p)
	})
}

// What every server would refuse, or the encoder would mangle, does not get there.
func TestHistoryRefusesByItself(t *testing.T) {
	u, err := New(Options{URLs: []string{"ws://n"}, Token: StaticToken("t")})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		query Query
		want  backplane.Code
	}{
		{Query{After: "\xff"}, codec.CodeBadCursor},
		{Query{Before: strings.Repeat("A", codec.MaxCursor+1)}, codec.CodeBadCursor},
		{Query{Around: cursor(1), After: cursor(1)}, codec.CodeBadCursor},
		{Query{Limit: -1}, codec.CodeBadLimit},
		{Query{Limit: codec.MaxPage + 1}, codec.CodeBadLimit},
		{Query{Peer: "\xff"}, codec.CodeBadPeer},
		{Query{Peer: strings.Repeat("u", backplane.MaxUserID+1)}, codec.CodeBadPeer},
	} {
		var refused *HistoryError
		if _, err := u.History(t.Context(), test.query); !errors.As(err, &refused) || refused.Code != test.want {
			t.Errorf("History of %+v returned %v, want %s", test.query, err, test.want)
		}
	}
}

// A request that a lost connection has taken along is made again; others end.
func TestHistoryAcrossConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		asked := u.history(t.Context(), Query{After: cursor(3)})
		p.readHistory()
		p.Close()
		p = n.welcome(codec.Welcome{})
		h := p.readHistory()
		if string(h.After) != cursor(3) {
			t.Errorf("asked for %+v", h)
		}
		p.page(h.ID, codec.PageBounds{After: []byte(cursor(4))}, 4, fromBob("m1", "a"))
		if r := <-asked; r.err != nil || len(r.page.Messages) != 1 {
			t.Errorf("History returned %+v, %v", r.page, r.err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		given := u.history(ctx, Query{})
		p.readHistory()
		cancel()
		if r := <-given; r.err != context.Canceled {
			t.Errorf("History returned %v", r.err)
		}
		ended := u.history(t.Context(), Query{})
		p.readHistory()
		u.leave(p)
		if r := <-ended; !errors.Is(r.err, ErrClosed) {
			t.Errorf("at the end History returned %v", r.err)
		}
		if r := <-u.history(t.Context(), Query{}); !errors.Is(r.err, ErrClosed) {
			t.Errorf("after the end History returned %v", r.err)
		}
	})
}

// Requests count as frames and their answers as answers, together with sends.
func TestHistoryKeepsTheLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		const inFlight = 5
		p := n.welcome(codec.Welcome{Limits: codec.SessionLimits{InFlight: inFlight}})
		sent := u.send(t.Context(), hello("m1"))
		p.readSend()
		var asked []chan paged
		for range 10 {
			asked = append(asked, u.history(t.Context(), Query{}))
		}
		var ids [][]byte
		for range inFlight - spareAnswers - 1 {
			ids = append(ids, p.readHistory().ID)
		}
		synctest.Wait() // were there another frame, it would be in the pipe
		p.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := p.in.Peek(1); err == nil {
			t.Fatalf("more than %d frames are under way", inFlight-spareAnswers)
		}
		p.SetReadDeadline(time.Time{})
		for answered := range asked {
			p.page(ids[answered], codec.PageBounds{}, 0)
			if len(ids) < len(asked) {
				ids = append(ids, p.readHistory().ID)
			}
		}
		for _, a := range asked {
			if r := <-a; r.err != nil {
				t.Error(r.err)
			}
		}
		p.ack("m1", backplane.Stored, "")
		<-sent
		u.leave(p)
	})
}

// The server reads few pages of a client at a time, and refuses more. Sends need not wait for
// that.
func TestHistoryAwaitsItsTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		ctx, cancel := context.WithCancel(t.Context())
		abandoned := u.history(ctx, Query{})
		ids := [][]byte{p.readHistory().ID}
		cancel()
		if r := <-abandoned; r.err != context.Canceled {
			t.Errorf("History returned %v", r.err)
		}
		var asked []chan paged
		for range 3 * maxPages {
			asked = append(asked, u.history(t.Context(), Query{}))
		}
		for range maxPages - 1 {
			ids = append(ids, p.readHistory().ID)
		}
		synctest.Wait()
		impatient, cancel := context.WithCancel(t.Context())
		given := u.history(impatient, Query{})
		synctest.Wait()
		cancel()
		if r := <-given; r.err != context.Canceled {
			t.Errorf("History returned %v", r.err)
		}
		sent := u.send(t.Context(), hello("m1"))
		p.ack(p.readSend(), backplane.Stored, "") // were there another request, it would come first
		if r := <-sent; r.err != nil {
			t.Error(r.err)
		}
		for answered := range 1 + len(asked) {
			p.page(ids[answered], codec.PageBounds{}, 0)
			if len(ids) < 1+len(asked) {
				ids = append(ids, p.readHistory().ID)
			}
		}
		for _, a := range asked {
			if r := <-a; r.err != nil {
				t.Error(r.err)
			}
		}
		u.leave(p)
	})
}

// A send of which nobody told the outcome is looked for in the sender's timeline, from the
// place where that was before the first attempt.
func TestUnknownSendIsLookedFor(t *testing.T) {
	own := func(id string) *backplane.Message {
		m := &backplane.Message{From: []byte("alice"), To: [][]byte{[]byte("bob")}, ID: []byte(id), Body: []byte("hello")}
		m.MessageID = backplane.Identify([]byte("phone"), m)
		return m
	}
	other := own("m1") // of another device
	other.MessageID = backplane.Identify([]byte("laptop"), other)
	for _, test := range []struct {
		name   string
		answer func(p *peer)
		found  bool
	}{
		{"there", func(p *peer) {
			h := p.readHistory()
			if string(h.After) != cursor(7) || string(h.Peer) != "bob" {
				t.Errorf("asked for %+v", h)
			}
			p.page(h.ID, codec.PageBounds{After: []byte(cursor(9)), MoreAfter: true}, 8, other, own("m2"))
			if h = p.readHistory(); string(h.After) != cursor(9) {
				t.Errorf("then asked for %+v", h)
			}
			p.page(h.ID, codec.PageBounds{After: []byte(cursor(10)), MoreAfter: true}, 10, own("m1"))
		}, true},
		{"not there", func(p *peer) {
			p.page(p.readHistory().ID, codec.PageBounds{After: []byte(cursor(9))}, 8, other)
		}, false},
		{"a page that leads nowhere", func(p *peer) {
			p.page(p.readHistory().ID, codec.PageBounds{After: []byte(cursor(7)), MoreAfter: true}, 8)
		}, false},
		{"there, after a while", func(p *peer) {
			p.write(codec.AppendPageRefusal(nil, p.enc, p.readHistory().ID, codec.CodeHistoryDown))
			p.page(p.readHistory().ID, codec.PageBounds{After: []byte(cursor(8))}, 8, own("m1"))
		}, true},
		{"no history", func(p *peer) {
			p.write(codec.AppendPageRefusal(nil, p.enc, p.readHistory().ID, codec.CodeNoHistory))
		}, false},
		{"no answer", func(p *peer) { p.readHistory() }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, func(o *Options) { o.Cursor = cursor(7) })
				p := n.welcome(codec.Welcome{Cursor: []byte(cursor(7)), Resumed: true})
				sent := u.send(t.Context(), hello("m1"))
				p.readSend()
				p.deliverAt(1, 30, fromBob("b1", "meanwhile"))
				p.ack("m1", backplane.Unknown, backplane.CodeTimeout)
				p.readSend()
				p.ack("m1", backplane.Rejected, codec.CodeNoHistory) // which ends the attempts
				d := took(func() { test.answer(p) })
				var unknown *UnknownError
				if r := <-sent; !errors.As(r.err, &unknown) || unknown.Found != test.found || strings.Contains(r.err.Error(), "timeline") != test.found {
					t.Errorf("Send returned %v", r.err)
				}
				if d > lookTimeout {
					t.Errorf("it looked for %v", d)
				}
				u.leave(p)
			})
		})
	}
}

// Signals are in no history, and who has ended the context wants no more answers.
func TestUnknownSendIsNotLookedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		signal := hello("m1")
		signal.Kind = backplane.KindSignal
		sent := u.send(t.Context(), signal)
		p.readSend()
		p.ack("m1", backplane.Unknown, backplane.CodeTimeout)
		p.readSend()
		p.ack("m1", backplane.Rejected, backplane.CodeTooLarge)
		if r := <-sent; r.err == nil {
			t.Error("the signal is said to be stored")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent = u.send(ctx, hello("m2"))
		p.readSend()
		if r := <-sent; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("Send returned %v", r.err)
		}
		u.leave(p) // which finds no other frame
	})
}
