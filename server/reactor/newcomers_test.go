package reactor

import (
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/session"
)

// TestNewcomersTakeTurns: when very many clients come at once, those who are there are served
// between them. What waits are the newcomers, in the kernel.
func TestNewcomersTakeTurns(t *testing.T) {
	const newcomers, few = 100, 8
	n := start(t, func(c *Config) { c.Loops = 1 })
	l := n.loops()[0]
	here := n.connect("here")
	var acceptedBefore uint64
	on(l, func() {
		n.deps.Producer = producerFunc(func(s *backplane.Send, w backplane.Waiter) error {
			acceptedBefore = n.r.accepted.Load()
			return n.Produce(s, w)
		})
	})
	at := n.r.accepted.Load()

	blocked, release := make(chan struct{}), make(chan struct{})
	l.do(func() { close(blocked); <-release })
	<-blocked
	here.send("1", "nobody")
	request := ws.AppendRequest(nil, "h", session.PathConnect+"?token=new", [16]byte{}, []string{codec.Proto.Subprotocol()})
	for range newcomers {
		if _, err := n.dial().Write(request); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	for here.next().Type != codec.FrameAck {
	}
	on(l, func() {
		if acceptedBefore > at+few {
			t.Errorf("%d of %d newcomers were accepted before a message was read that had come before them", acceptedBefore-at, newcomers)
		}
	})
	eventually(t, "all are welcomed", func() bool { return l.shared.Counters.Upgrades.Load() == newcomers+1 })
}

// producerFunc is a Producer of a function.
type producerFunc func(s *backplane.Send, w backplane.Waiter) error

// Produce calls the function.
func (f producerFunc) Produce(s *backplane.Send, w backplane.Waiter) error { return f(s, w) }
