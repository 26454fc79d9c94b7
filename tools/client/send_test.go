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

func TestSendIsStored(t *testing.T) {
	for _, json := range []bool{false, true} {
		t.Run(fmt.Sprintf("json=%v", json), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, func(o *Options) { o.JSON = json })
				sent := u.send(t.Context(), Outgoing{To: []string{"bob", "carol"}, Kind: backplane.KindSignal, TTL: time.Second, Body: []byte{0xff, 0}})
				p := n.welcome(codec.Welcome{})
				f := p.read()
				id := string(f.Send.ID)
				if len(id) != 32 || fmt.Sprintf("%s", f.Send.To) != "[bob carol]" || f.Send.Kind != backplane.KindSignal || f.Send.TTL != 1000 || string(f.Send.Body) != "\xff\x00" {
					t.Errorf("the frame is %+v", f)
				}
				p.ack(id, backplane.Stored, "")
				r := <-sent
				want := Ack{ID: id, MessageID: backplane.MessageID{1, 2, 3}, Time: time.UnixMilli(1_767_225_600_123)}
				if r.err != nil || r.ack != want {
					t.Errorf("Send returned %+v, %v", r.ack, r.err)
				}
				u.leave(p)
			})
		})
	}
}

// What would close the connection, or be mangled by the encoder, must not get there.
func TestSendRefusesByItself(t *testing.T) {
	many := make([]string, backplane.MaxRecipients+1)
	for i := range many {
		many[i] = fmt.Sprint("user", i)
	}
	bob := []string{"bob"}
	for _, test := range []struct {
		message Outgoing
		want    backplane.Code
	}{
		{Outgoing{ID: strings.Repeat("i", 65), To: bob}, codec.CodeBadID},
		{Outgoing{ID: "\xff", To: bob}, codec.CodeBadID},
		{Outgoing{}, codec.CodeNoRecipients},
		{Outgoing{To: many}, codec.CodeTooManyRecipients},
		{Outgoing{To: []string{"bob", ""}}, codec.CodeBadRecipient},
		{Outgoing{To: []string{"b\xff"}}, codec.CodeBadRecipient},
		{Outgoing{To: []string{"bob", "carol", "bob"}}, codec.CodeDuplicateRecipient},
		{Outgoing{To: bob, Body: make([]byte, backplane.MaxBody+1)}, codec.CodeBodyTooLarge},
		{Outgoing{To: bob, Kind: 7}, codec.CodeBadKind},
		{Outgoing{To: bob, TTL: -1}, codec.CodeBadTTL},
		{Outgoing{To: bob, TTL: 1}, codec.CodeBadTTL},
		{Outgoing{To: bob, TTL: 366 * 24 * time.Hour}, codec.CodeBadTTL},
		// Beyond the welcome below.
		{Outgoing{To: bob, Body: make([]byte, 11)}, codec.CodeBodyTooLarge},
		{Outgoing{To: []string{"bob", "carol", "dave"}}, codec.CodeTooManyRecipients},
	} {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			u := start(t, n, nil)
			p := n.welcome(codec.Welcome{Limits: codec.SessionLimits{BodyBytes: 10, Recipients: 2}})
			r := <-u.send(t.Context(), test.message)
			var rejected *RejectedError
			if !errors.As(r.err, &rejected) || rejected.Code != test.want {
				t.Errorf("Send of %.60v returned %v, want the code %s", test.message, r.err, test.want)
			}
			u.leave(p) // which finds no frame but the close
		})
	}
}

func TestSendIsTriedAgainWithTheSameID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		sent := u.send(t.Context(), Outgoing{To: []string{"bob"}})
		id := p.readSend()
		for _, a := range []struct {
			status backplane.Status
			code   backplane.Code
		}{
			{backplane.Rejected, backplane.CodeOverloaded},
			{backplane.Unknown, backplane.CodeTimeout},
			{backplane.Rejected, codec.CodeRateLimited},
		} {
			p.ack(id, a.status, a.code)
			if again := p.readSend(); again != id {
				t.Fatalf("after %s the id is %s, want %s", a.code, again, id)
			}
		}
		p.ack(id, backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Errorf("Send returned %v", r.err)
		}
		u.leave(p)
	})
}

func TestSendGivesUp(t *testing.T) {
	type answer struct {
		status backplane.Status
		code   backplane.Code
	}
	var (
		hopeless = answer{backplane.Rejected, codec.CodeRecipientIsSender}
		busy     = answer{backplane.Rejected, backplane.CodeOverloaded}
		unsure   = answer{backplane.Unknown, backplane.CodeTimeout}
	)
	for _, test := range []struct {
		name    string
		answers []answer // the last one for ever
		unknown bool     // else rejected
		code    backplane.Code
		after   time.Duration
	}{
		{"refused", []answer{hopeless}, false, codec.CodeRecipientIsSender, 0},
		{"a code of a newer server", []answer{{backplane.Rejected, "too_blue"}}, false, "too_blue", 0},
		{"refused after unknown", []answer{unsure, hopeless}, true, codec.CodeRecipientIsSender, 0},
		{"busy for ever", []answer{busy}, false, backplane.CodeOverloaded, sendWindow},
		{"unknown for ever", []answer{unsure}, true, backplane.CodeTimeout, sendWindow},
		{"unknown, then busy", []answer{unsure, busy}, true, backplane.CodeOverloaded, sendWindow},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				p := n.welcome(codec.Welcome{})
				began := time.Now()
				sent := u.send(t.Context(), hello("m1"))
				go func() {
					for i := 0; ; i++ {
						f, err := p.readFrame()
						if err != nil || f.Header.OpCode.IsControl() {
							p.Close()
							return
						}
						if c := p.decode(f); c.Type == codec.FrameHistory {
							p.page(c.History.ID, codec.PageBounds{}, 0)
							continue
						}
						a := test.answers[min(i, len(test.answers)-1)]
						p.ack("m1", a.status, a.code)
					}
				}()
				r := <-sent
				waited := time.Since(began)
				var (
					rejected *RejectedError
					unknown  *UnknownError
				)
				switch {
				case errors.As(r.err, &unknown):
					if !test.unknown || unknown.Code != test.code || unknown.ID != "m1" {
						t.Errorf("Send returned %v", r.err)
					}
				case errors.As(r.err, &rejected):
					if test.unknown || rejected.Code != test.code || rejected.ID != "m1" {
						t.Errorf("Send returned %v", r.err)
					}
				default:
					t.Errorf("Send returned %v", r.err)
				}
				if test.after > 0 && waited != test.after || test.after == 0 && waited > sendPauseMin {
					t.Errorf("Send returned after %v", waited)
				}
				u.stop()
				<-u.ran
			})
		})
	}
}

// A connection may break after the server has stored a message and before its ack is out:
// the same id on the next connection finds out.
func TestSendGoesOnOnTheNextConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		sent := u.send(t.Context(), hello(""))
		p := n.welcome(codec.Welcome{})
		id := p.readSend()
		p.Close()
		p = n.welcome(codec.Welcome{})
		if again := p.readSend(); again != id {
			t.Errorf("the id is %s, want %s", again, id)
		}
		p.ack(id, backplane.Rejected, backplane.CodeOverloaded) // says nothing about the first
		p.readSend()
		p.closeWith(codec.CloseRestart)
		p = n.welcome(codec.Welcome{})
		if again := p.readSend(); again != id {
			t.Errorf("the id is %s, want %s", again, id)
		}
		p.ack(id, backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Errorf("Send returned %v", r.err)
		}
		u.leave(p)
	})
}

func TestSendWindowEndsWithoutAConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		began := time.Now()
		sent := u.send(t.Context(), hello("m1"))
		time.Sleep(time.Minute) // the window begins with the first attempt
		p := n.welcome(codec.Welcome{})
		p.readSend()
		p.Close() // and no other connection comes
		r := <-sent
		var unknown *UnknownError
		if !errors.As(r.err, &unknown) || unknown.Code != "" {
			t.Errorf("Send returned %v", r.err)
		}
		if waited := time.Since(began); waited < time.Minute+sendWindow || waited > time.Minute+sendWindow+defaultMaxBackoff {
			t.Errorf("Send returned after %v", waited)
		}
		u.stop()
		if err := <-u.ran; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestContextEndsSend(t *testing.T) {
	t.Run("without a connection", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			u := start(t, newNode(t), nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if r := <-u.send(ctx, hello("")); r.err != context.DeadlineExceeded {
				t.Errorf("Send returned %v", r.err)
			}
			u.stop()
			<-u.ran
		})
	})
	t.Run("under way", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			u := start(t, n, nil)
			p := n.welcome(codec.Welcome{})
			ctx, cancel := context.WithCancel(t.Context())
			sent := u.send(ctx, hello("m1"))
			p.readSend()
			cancel()
			r := <-sent
			var unknown *UnknownError
			if !errors.As(r.err, &unknown) || !errors.Is(r.err, context.Canceled) {
				t.Errorf("Send returned %v", r.err)
			}
			p.ack("m1", backplane.Stored, "") // for nobody, and no harm
			u.leave(p)
		})
	})
	t.Run("between attempts", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := newNode(t)
			u := start(t, n, nil)
			p := n.welcome(codec.Welcome{})
			ctx, cancel := context.WithCancel(t.Context())
			sent := u.send(ctx, hello("m1"))
			p.readSend()
			p.ack("m1", backplane.Rejected, backplane.CodeOverloaded)
			cancel()
			r := <-sent
			var unknown *UnknownError
			if r.err != context.Canceled && !errors.As(r.err, &unknown) {
				t.Errorf("Send returned %v", r.err)
			}
			u.leave(p)
		})
	})
}

func TestSendAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		sent := u.send(t.Context(), hello("m1"))
		p.readSend()
		u.leave(p)
		var unknown *UnknownError
		if r := <-sent; !errors.As(r.err, &unknown) || !errors.Is(r.err, ErrClosed) {
			t.Errorf("the send under way returned %v", r.err)
		}
		if r := <-u.send(t.Context(), hello("m2")); !errors.Is(r.err, ErrClosed) || errors.As(r.err, &unknown) {
			t.Errorf("a later one returned %v", r.err)
		}
		if err := u.Run(t.Context()); err == nil {
			t.Error("Run ran twice")
		}
	})
}

func TestSendsWithTheSameID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{})
		ctx, cancel := context.WithCancel(t.Context())
		first := u.send(ctx, hello("m1"))
		p.readSend()
		cancel()
		<-first
		// The attempt goes on without its caller. Who repeats the send shares it.
		again := u.send(t.Context(), hello("m1"))
		synctest.Wait()
		other := u.send(t.Context(), Outgoing{ID: "m1", To: []string{"bob"}, Body: []byte("something else")})
		if r := <-other; r.err != ErrIDInUse {
			t.Errorf("another message with the id returned %v", r.err)
		}
		p.ack("m1", backplane.Stored, "")
		if r := <-again; r.err != nil || r.ack.ID != "m1" {
			t.Errorf("the repeated send returned %v", r.err)
		}
		u.leave(p) // which finds no second frame
	})
}

// The server closes connections on which too many answers wait. An attempt counts until
// it is answered, even if nobody waits for it.
func TestSendsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		const inFlight = 5
		p := n.welcome(codec.Welcome{Limits: codec.SessionLimits{InFlight: inFlight}})
		ctx, cancel := context.WithCancel(t.Context())
		abandoned := u.send(ctx, hello("gone"))
		p.readSend()
		cancel()
		<-abandoned
		var results []chan result
		for i := range 10 {
			results = append(results, u.send(t.Context(), hello(fmt.Sprint("m", i))))
		}
		ids := []string{"gone"}
		for answered := 0; answered < 11; answered++ {
			for len(ids) < min(inFlight-spareAnswers, 11-answered) {
				ids = append(ids, p.readSend())
			}
			// Were there another frame, it would be in the pipe now.
			synctest.Wait()
			p.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := p.in.Peek(1); err == nil {
				t.Fatalf("%d sends are answered, and more than %d others are under way", answered, len(ids))
			}
			p.SetReadDeadline(time.Time{})
			p.ack(ids[0], backplane.Stored, "")
			ids = ids[1:]
		}
		for _, r := range results {
			if r := <-r; r.err != nil {
				t.Error(r.err)
			}
		}
		u.leave(p)
	})
}

// The server takes bursts of two seconds' worth, and closes far beyond.
func TestSendsArePaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		const perSecond, count = 10, 100
		p := n.welcome(codec.Welcome{Limits: codec.SessionLimits{InFlight: 256, SendsPerSecond: perSecond}})
		began := time.Now()
		for i := range count {
			u.send(t.Context(), hello(fmt.Sprint("m", i)))
		}
		tokens, last := 2.0*perSecond, began
		for range count {
			p.ack(p.readSend(), backplane.Stored, "")
			now := time.Now()
			tokens = min(2*perSecond, tokens+now.Sub(last).Seconds()*perSecond) - 1
			last = now
			if tokens < 0 {
				t.Fatal("the client sends faster than its bucket fills")
			}
		}
		if d := time.Since(began); d < (count-perSecond)/perSecond*time.Second || d > count/perSecond*time.Second {
			t.Errorf("%d sends at %d a second took %v", count, perSecond, d)
		}
		u.leave(p)
	})
}

// If all that is under way came to the server at once, after a stall of the network, it
// must not be more than its bucket holds.
func TestSendsInFlightAreBoundedByTheRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		const perSecond = 3
		p := n.welcome(codec.Welcome{Limits: codec.SessionLimits{InFlight: 256, SendsPerSecond: perSecond}})
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 100 {
			u.send(ctx, hello(fmt.Sprint("m", i)))
		}
		for range 2 * perSecond {
			p.readSend()
		}
		p.SetReadDeadline(time.Now().Add(answerDue / 2)) // later there would be a ping
		if _, err := p.in.Peek(1); err == nil {
			t.Errorf("more than %d sends are under way", 2*perSecond)
		}
		p.SetReadDeadline(time.Time{})
		cancel()
		u.leave(p)
	})
}

func TestCancelledSendGivesItsTurnBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{Limits: codec.SessionLimits{SendsPerSecond: 1}})
		began := time.Now()
		u.send(t.Context(), hello("m1"))
		p.ack(p.readSend(), backplane.Stored, "")
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := u.send(ctx, hello("m2"))
		synctest.Wait()
		cancel()
		if r := <-cancelled; r.err != context.Canceled {
			t.Errorf("Send returned %v", r.err)
		}
		sent := u.send(t.Context(), hello("m3"))
		p.ack(p.readSend(), backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Error(r.err)
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("the second send took its turn after %v", d)
		}
		u.leave(p)
	})
}
