package reactor

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/session"
)

// TestBurst has one pass bring a client many times what its outbox holds. It reads,
// and its socket has room, so nothing is dropped.
func TestBurst(t *testing.T) {
	const count = 1000
	n := start(t, func(c *Config) { c.Session.QueueMessages = 16 })
	c := n.onEachLoop()[0]
	l := n.loops()[0]
	user := c.user
	on(l, func() { l.budget = 0 })
	for i := range count {
		n.publish("backend", user, fmt.Sprint(i), binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	eventually(t, "a whole burst in the mailbox", func() bool { return l.mailbox.Len() == count })
	on(l, func() { l.budget = putsPerPass })
	for i := range uint32(count) {
		f := c.next()
		if f.Type != codec.FrameDeliver || binary.BigEndian.Uint32(f.Deliver.Message.Body) != i {
			t.Fatalf("got a %v in place of message %d", f.Type, i)
		}
	}
	for i, reason := range session.DropReasons() {
		if got := l.shared.Counters.Drop(i); got != 0 {
			t.Errorf("%d were dropped: %s", got, reason)
		}
	}
}
