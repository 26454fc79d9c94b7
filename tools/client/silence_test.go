package client

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// readPing reads the client's next frame, which is to be a ping after so much time.
func (p *peer) readPing(after time.Duration) {
	p.t.Helper()
	d := took(func() {
		if f := p.read(); f.Type != codec.FramePing {
			p.t.Fatalf("a %s came, want a ping", f.Type)
		}
	})
	if d != after {
		p.t.Errorf("the ping came after %v, want %v", d, after)
	}
}

// givesUp waits until the client gives up the connection, on which a ping has come just
// now.
func (u *user) givesUp(p *peer) {
	u.t.Helper()
	if d := took(func() { p.in.ReadByte() }); d != pongTimeout {
		u.t.Errorf("the client gave up after %v", d)
	}
	if s := u.lastEnd(); !errors.Is(s.Err, ErrNoAnswer) {
		u.t.Errorf("the error is %v", s.Err)
	}
}

// A client that awaits nothing pings as rarely as the server asks for.
func TestLiveness(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{Heartbeat: 40 * time.Second})
		p.readPing(40 * time.Second)
		p.write(codec.AppendPong(nil, p.enc))
		time.Sleep(39 * time.Second)
		p.deliver(1, "hi") // anything is a sign of life
		p.readPing(40 * time.Second)
		time.Sleep(pongTimeout - time.Millisecond)
		p.deliver(2, "hi")
		p.readPing(40 * time.Second)
		u.givesUp(p)
		u.leave(n.welcome(codec.Welcome{}))
	})
}

// A client that awaits an answer doubts a silent server soon, and only so long.
func TestLateAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		ask    func(u *user, p *peer) (answered <-chan error)
		answer func(p *peer)
	}{
		{"of a send", func(u *user, p *peer) <-chan error {
			out := make(chan error, 1)
			go func() {
				_, err := u.Send(u.t.Context(), hello("m1"))
				out <- err
			}()
			p.readSend()
			return out
		}, func(p *peer) { p.ack("m1", backplane.Stored, "") }},
		{"of history", func(u *user, p *peer) <-chan error {
			out := make(chan error, 1)
			go func() {
				_, err := u.History(u.t.Context(), Query{})
				out <- err
			}()
			p.id = p.readHistory().ID
			return out
		}, func(p *peer) { p.page(p.id, codec.PageBounds{}, 0) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, nil)
				p := n.welcome(codec.Welcome{Heartbeat: time.Minute})
				time.Sleep(30 * time.Second)
				answered := test.ask(u, p)
				p.readPing(answerDue)
				time.Sleep(pongTimeout - time.Millisecond)
				p.write(codec.AppendPong(nil, p.enc))
				p.readPing(answerDue) // it is there, but why does it not answer?
				p.deliver(1, "hi")
				time.Sleep(answerDue - time.Millisecond)
				p.deliver(2, "anything is a sign of life")
				p.readPing(answerDue)
				test.answer(p)
				if err := <-answered; err != nil {
					t.Error(err)
				}
				p.readPing(time.Minute)
				p.write(codec.AppendPong(nil, p.enc))

				answered = test.ask(u, p)
				p.readPing(answerDue)
				u.givesUp(p)
				p = n.welcome(codec.Welcome{})
				if f := p.read(); f.Type == codec.FrameHistory {
					p.id = f.History.ID
				}
				test.answer(p)
				if err := <-answered; err != nil {
					t.Error(err)
				}
				u.leave(p)
			})
		})
	}
}

// A send neither shortens nor prolongs the time that the server has after a ping.
func TestSendAfterAPing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{Heartbeat: time.Minute})
		p.readPing(time.Minute)
		time.Sleep(time.Second)
		began := time.Now()
		sent := u.send(t.Context(), hello("m1"))
		p.readSend()
		p.in.ReadByte()
		if d := time.Since(began); d != pongTimeout-time.Second {
			t.Errorf("the client gave up after %v", d)
		}
		p = n.welcome(codec.Welcome{Heartbeat: time.Second})
		p.readSend()
		p.readPing(time.Second) // as the server wants it, if that is sooner
		p.ack("m1", backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Error(r.err)
		}
		u.leave(p)
	})
}

// A node that hangs takes bytes and gives none. What was sent to it is stored elsewhere
// within the time that a send has.
func TestNodeHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080", "ws://b:8080"))
		p := n.welcome(codec.Welcome{MapVersion: 7, Heartbeat: time.Hour})
		hung, _, _ := net.SplitHostPort(p.address)
		time.Sleep(stableAfter)
		began := time.Now()
		sent := u.send(t.Context(), hello("m1"))
		p.readSend()
		p.readPing(answerDue)
		u.givesUp(p)
		other := map[string]string{"a": "b", "b": "a"}[hung]
		n.accept().went(other+" route").answerRoute(other, 8)
		if d := time.Since(began); d > answerDue+pongTimeout+defaultMinBackoff {
			t.Errorf("the client asks for the route after %v", d)
		}
		p = n.welcome(codec.Welcome{MapVersion: 8})
		p.went(other + " connect 8")
		p.ack(p.readSend(), backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Error(r.err)
		}
		synctest.Wait()
		u.leave(p)
	})
}
