package client

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/godwit-im/godwit/codec"
)

// within checks that f takes as long as a client waits before it doubts a silent node.
func within(t *testing.T, f func()) {
	t.Helper()
	if d := took(f); d < welcomeDue || d > welcomeDue*3/2 {
		t.Errorf("that took %v", d)
	}
}

// A client that waits for the welcome of a node asks the others meanwhile, goes on to wait
// as long as they agree, and leaves when they do not.
func TestSilentNode(t *testing.T) {
	for _, test := range []struct {
		name    string
		reached bool
		upgrade bool
	}{
		{"before the upgrade", true, false},
		{"before the welcome", true, true},
		{"that is not reached", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				var blocked chan string // told when the node that is not reached is dialled, and when no more
				u := start(t, n, func(o *Options) {
					o.URLs = []string{"ws://a:8080"}
					o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
						if blocked != nil && address == "b:8080" {
							blocked <- "dialled"
							<-ctx.Done()
							blocked <- "left"
							return nil, ctx.Err()
						}
						return n.dial(ctx, network, address)
					}
				})
				n.accept().refuse(421, "", "Godwit-Node-Url: ws://b:8080", "Godwit-Map-Version: 7")
				p := n.welcome(codec.Welcome{MapVersion: 7})
				u.told()
				if !test.reached {
					blocked = make(chan string, 1)
				}
				p.Close()
				if test.reached {
					p = n.accept().went("b connect 7")
				} else {
					<-blocked
				}
				if test.upgrade {
					p.upgrade()
				}
				within(t, func() { p = n.accept().went("a route") })
				if test.reached { // else the client tries for less long
					p.answerRoute("b", 7) // as the client thinks
					within(t, func() { p = n.accept().went("a route") })
				}
				d := took(func() {
					p.answerRoute("c", 8)
					p = n.accept().went("c connect 8")
				})
				if d != 0 {
					t.Errorf("the client has gone on after %v", d)
				}
				if moved := (*MovedError)(nil); !errors.As(u.lastEnd().Err, &moved) {
					t.Errorf("the error is %v", u.lastEnd().Err)
				}
				p.upgrade()
				p.welcome(codec.Welcome{MapVersion: 8})
				if !test.reached {
					<-blocked
				}
				u.leave(p)
			})
		})
	}
}

// A node that is only slow is waited for.
func TestSlowNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080", "ws://b:8080"))
		p := n.welcome(codec.Welcome{MapVersion: 7})
		slow, _, _ := net.SplitHostPort(p.address)
		p.Close()
		p = n.accept()
		asked := 0
		go func() {
			for q := range n.peers {
				q.readRequest()
				asked++
				q.answerRoute(slow, 7)
			}
		}()
		time.Sleep(welcomeTimeout - time.Millisecond)
		p.upgrade()
		p.welcome(codec.Welcome{MapVersion: 7})
		u.told()
		if u.current() == nil || asked < 3 || asked > 4 {
			t.Errorf("the client asked %d times, connection %v", asked, u.current())
		}
		close(n.peers)
		u.leave(p)
	})
}

// A node that says nothing to a client which was never welcomed is left for one that was not
// tried yet, and waited for where there is none.
func TestSilentSeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080", "ws://b:8080"))
		first := n.accept()
		var second *peer
		if d := took(func() { second = n.accept() }); d < welcomeDue || d > welcomeDue*3/2+defaultMinBackoff {
			t.Errorf("the client went on after %v", d)
		}
		if first.address == second.address || !errors.Is(u.lastEnd().Err, errSilent) {
			t.Errorf("the client left %s for %s because of %v", first.address, second.address, u.lastEnd().Err)
		}
		var third *peer
		if d := took(func() { third = n.accept() }); d < welcomeTimeout || d > welcomeTimeout+defaultMinBackoff {
			t.Errorf("the client went on after %v", d)
		}
		third.upgrade()
		third.welcome(codec.Welcome{})
		u.leave(third)
	})
}

// A node to which a client was told to move may hang, too.
func TestMoveToASilentNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080"))
		old := n.welcome(codec.Welcome{MapVersion: 7})
		old.moves("b", 8)
		p := n.accept().went("b connect 8")
		old.goodbye() // nothing is under way there
		within(t, func() { n.accept().went("a route").answerRoute("c", 9) })
		if _, err := p.in.ReadByte(); err == nil {
			t.Error("the connection to the silent node goes on")
		}
		p = n.welcome(codec.Welcome{MapVersion: 9})
		p.went("c connect 9")
		u.leave(p)
	})
}
