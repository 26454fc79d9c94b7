package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// moves tells the client to move to a node, at once.
func (p *peer) moves(node string, version uint64) {
	p.t.Helper()
	p.write(codec.AppendMoved(nil, p.enc, &codec.Moved{URL: "ws://" + node + ":8080", Node: node, MapVersion: version}))
}

// What is under way is answered on the old connection, after the client has gone to the
// new one; and what the old one delivers then comes on the new one.
func TestMoveAwaitsAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080"))
		old := n.welcome(codec.Welcome{Cursor: []byte(cursor(0))})
		sent := u.send(t.Context(), hello("m1"))
		id := old.readSend()
		page := make(chan error, 1)
		go func() { _, err := u.History(t.Context(), Query{}); page <- err }()
		question := old.readHistory()
		old.moves("b", 8)
		p := n.accept().went("b connect 8")
		p.upgrade()
		p.welcome(codec.Welcome{Cursor: []byte(cursor(0))})
		synctest.Wait()
		u.told()
		old.deliver(1, "old")
		old.deliver(7, "and wrong, if anybody looked")
		p.deliver(1, "new")
		later := u.send(t.Context(), hello("m2"))
		p.ack(p.readSend(), backplane.Stored, "")
		if r := <-later; r.err != nil {
			t.Error(r.err)
		}
		old.ack(id, backplane.Stored, "")
		if r := <-sent; r.err != nil || r.ack.ID != "m1" {
			t.Errorf("the send under way returned %+v", r)
		}
		old.page(question.ID, codec.PageBounds{}, 0)
		if err := <-page; err != nil {
			t.Errorf("the question under way returned %v", err)
		}
		old.goodbye() // nothing is left to come
		if got := u.told(); !slices.Equal(got, []string{"message 1 new"}) {
			t.Errorf("told %q", got)
		}
		u.leave(p)
	})
}

// What the old connection does not answer is sent again on the new one, with the same id.
func TestMoveRepeats(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(old *peer)
	}{
		{"closed", func(old *peer) { old.closeWith(codec.CloseMoved) }},
		{"lost", func(old *peer) { old.Close() }},
		{"silent", func(old *peer) { old.goodbye() }},
		{"not the owner", func(old *peer) {
			old.ack("m1", backplane.Rejected, codec.CodeNotOwner)
			old.goodbye()
		}},
		{"unknown", func(old *peer) {
			old.ack("m1", backplane.Unknown, backplane.CodeTimeout)
			old.goodbye()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, seeds("ws://a:8080"))
				old := n.welcome(codec.Welcome{})
				sent := u.send(t.Context(), hello("m1"))
				old.readSend()
				old.moves("b", 8)
				p := n.welcome(codec.Welcome{})
				synctest.Wait()
				began := time.Now()
				test.end(old)
				ended := time.Now()
				if id := p.readSend(); id != "m1" || !time.Now().Equal(ended) {
					t.Errorf("%v after the end %s was sent", time.Since(ended), id)
				}
				if d := ended.Sub(began); d > retireTimeout {
					t.Errorf("the client waited %v", d)
				}
				p.ack("m1", backplane.Stored, "")
				if r := <-sent; r.err != nil {
					t.Errorf("the send returned %v", r.err)
				}
				u.leave(p)
			})
		})
	}
}

// The old node may be faster than the way to the new one.
func TestMoveClosedBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080"))
		old := n.welcome(codec.Welcome{})
		u.told()
		old.moves("b", 8)
		old.deliver(1, "last")
		old.closeWith(codec.CloseMoved)
		p := n.welcome(codec.Welcome{})
		p.went("b connect 8")
		a, b := "ws://a:8080/v1/connect", "ws://b:8080/v1/connect"
		if got := u.told(); !slices.Equal(got, []string{"message 1 last", "disconnected " + a, "connecting " + b, "connected " + b}) {
			t.Errorf("told %q", got)
		}
		var moved *MovedError
		if s := u.lastEnd(); !errors.As(s.Err, &moved) || s.RetryIn != 0 {
			t.Errorf("the state was %+v", s)
		}
		u.leave(p)
	})
}

// If the other node cannot be reached, or does not take the client, that is like any node that
// is down.
func TestMoveFails(t *testing.T) {
	for name, fail := range map[string]func(*peer){
		"lost":    func(p *peer) { p.Close() },
		"refused": func(p *peer) { p.refuse(http.StatusServiceUnavailable, "", "Retry-After: 1") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, seeds("ws://a:8080"))
				old := n.welcome(codec.Welcome{})
				old.moves("b", 8)
				fail(n.accept().went("b connect 8"))
				old.goodbye()
				n.accept().went("a route").answerRoute("c", 9)
				p := n.welcome(codec.Welcome{})
				p.went("c connect 9")
				u.leave(p)
			})
		})
	}
}

// Nodes that send a client to and fro do not keep it busy.
func TestMovesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, seeds("ws://a:8080"))
		began := time.Now()
		p := n.welcome(codec.Welcome{MapVersion: 7})
		other := map[string]string{"a": "b", "b": "a"}
		for range maxRedirects {
			p.moves(other[p.to()[:1]], 7)
			next := n.welcome(codec.Welcome{MapVersion: 7})
			p.goodbye()
			p = next
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("the moves took %v", d)
		}
		p.moves(other[p.to()[:1]], 7)
		p.closeWith(codec.CloseMoved)
		if s := u.lastEnd(); s.RetryIn == 0 {
			t.Error("the client goes on without a pause")
		}
		n.accept().went("a route").answerRoute("a", 7)
		u.leave(n.welcome(codec.Welcome{}))
	})
}

// The end of the client ends a move in any phase, and leaves nothing behind.
func TestRunEndsWithinAMove(t *testing.T) {
	for _, test := range []struct {
		name string
		part func(n *node, old *peer)
	}{
		{"while waiting", func(n *node, old *peer) {
			old.write(codec.AppendMoved(nil, old.enc, &codec.Moved{URL: "ws://b", RetryAfter: time.Minute}))
		}},
		{"while dialling", func(n *node, old *peer) { old.moves("b", 8) }},
		{"closed, while dialling", func(n *node, old *peer) { old.moves("b", 8); old.closeWith(codec.CloseMoved) }},
		{"during the handshake", func(n *node, old *peer) { old.moves("b", 8); n.accept() }},
		{"while retiring", func(n *node, old *peer) { old.moves("b", 8); n.welcome(codec.Welcome{}) }},
		{"while degraded", func(n *node, old *peer) { old.fail(codec.CodeDegraded, ""); n.accept() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNode(t)
				u := start(t, n, seeds("ws://a:8080", "ws://c:8080"))
				old := n.welcome(codec.Welcome{})
				u.send(t.Context(), hello("m1"))
				old.readSend()
				test.part(n, old)
				synctest.Wait()
				d := took(func() {
					u.stop()
					if err := <-u.ran; err != nil {
						t.Errorf("Run returned %v", err)
					}
				})
				if d > partTimeout+closeTimeout {
					t.Errorf("Run returned after %v", d)
				}
			})
		})
	}
}

// degradedAt connects a client to node b, by way of a, and has b lose its log. The client
// cannot reach the nodes of which down says so.
func degradedAt(t *testing.T, n *node, spread time.Duration, down func(address string) bool) (*user, *peer) {
	t.Helper()
	u := start(t, n, func(o *Options) {
		o.URLs = []string{"ws://a:8080"}
		o.DegradedSpread = spread
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if down(address) {
				return nil, errors.New("connection refused")
			}
			return n.dial(ctx, network, address)
		}
	})
	n.accept().refuse(http.StatusMisdirectedRequest, "", "Godwit-Node-Url: ws://b:8080", "Godwit-Map-Version: 7")
	p := n.welcome(codec.Welcome{Node: "b", MapVersion: 7, Heartbeat: 100 * time.Hour})
	p.went("b connect 7")
	synctest.Wait()
	u.told()
	p.fail(codec.CodeDegraded, "the log is gone")
	return u, p
}

// A node that has lost its log is left for another one that has taken its place by a newer
// map, and for no other.
func TestDegraded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		var up atomic.Bool
		u, old := degradedAt(t, n, time.Minute, func(address string) bool { return address == "c:8080" && !up.Load() })
		old.fail(codec.CodeDegraded, "as was said")
		began := time.Now()
		n.accept().went("a route").answerRoute("b", 8) // it is the same
		if d := time.Since(began); d > time.Minute {
			t.Errorf("the client asked after %v", d)
		}
		n.accept().went("a route").answerRoute("c", 7) // that was before b
		n.accept().went("a route").refuse(http.StatusServiceUnavailable, "")
		n.accept().went("a route").answerRoute("c", 9) // which cannot be reached
		synctest.Wait()
		old.deliver(1, "still here")
		old.deliver(2, "and here")
		if got := u.told(); !slices.Equal(got, []string{"error", "error", "message 1 still here", "message 2 and here"}) {
			t.Errorf("told %q", got)
		}
		up.Store(true)
		p := n.accept() // c is among those that are asked, too
		for p.request.URL.Path == pathRoute {
			p.answerRoute("c", 9)
			p = n.accept()
		}
		p.went("c connect 9").upgrade()
		if got := p.request.URL.Query().Get("cursor"); got != cursor(2) {
			t.Errorf("the client goes on at %s", got)
		}
		p.welcome(codec.Welcome{MapVersion: 9})
		old.goodbye()
		u.leave(p)
	})
}

// All clients of the node ask at random times, and less and less often.
func TestDegradedSpread(t *testing.T) {
	const clients, spread = 100, time.Minute
	bubble(t, func(t *testing.T) {
		var all []time.Duration
		for range clients {
			n := newNode(t)
			u, old := degradedAt(t, n, spread, func(string) bool { return false })
			began := time.Now()
			asked := 0
			for until := began.Add(10 * time.Hour); time.Now().Before(until); asked++ {
				p := n.accept().went("a route")
				if asked == 0 {
					all = append(all, time.Since(began))
				}
				p.answerRoute("b", 7)
			}
			if asked < 50 || asked > 130 {
				t.Errorf("in ten hours the client asked %d times", asked)
			}
			u.stop()
			old.goodbye()
			<-u.ran
		}
		slices.Sort(all)
		if first, last := all[0], all[clients-1]; first > spread/10 || last < spread*9/10 || last > spread {
			t.Errorf("the first questions came from %v to %v", first, last)
		}
	})
}

// A node that stores something has its log again.
func TestDegradedNoLonger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u, p := degradedAt(t, n, time.Minute, func(string) bool { return false })
		sent := u.send(t.Context(), hello("m1"))
		p.ack(p.readSend(), backplane.Rejected, codec.CodeDegraded)
		p.ack(p.readSend(), backplane.Stored, "")
		if r := <-sent; r.err != nil {
			t.Error(r.err)
		}
		synctest.Wait()
		select {
		case <-n.peers:
			t.Error("the client goes on asking")
		case <-time.After(24 * time.Hour):
		}
		// The next time it asks again.
		p.fail(codec.CodeDegraded, "the log is gone again")
		n.accept().went("a route").answerRoute("c", 8)
		next := n.welcome(codec.Welcome{})
		next.went("c connect 8")
		p.goodbye()
		u.leave(next)
	})
}

// A client that knows no other node stays, and asks nobody.
func TestDegradedAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t)
		u := start(t, n, nil)
		p := n.welcome(codec.Welcome{Heartbeat: 100 * time.Hour})
		p.fail(codec.CodeDegraded, "")
		time.Sleep(24 * time.Hour)
		u.leave(p)
	})
}
