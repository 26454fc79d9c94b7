package reactor

import (
	"testing"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/session"
)

// TestManyDevices: a message to a user with very many connections takes a loop several
// passes. Between them the others of the loop are read and answered; the message goes on
// where it was, and every connection gets it once.
func TestManyDevices(t *testing.T) {
	const devices, part = 500, 100
	n := start(t, func(c *Config) { c.Loops = 1 })
	l := n.loops()[0]
	other := n.connect("other")
	many := make([]*client, devices)
	for i := range many {
		many[i] = n.connect("many")
	}
	put := l.shared.Counters.Put.Load
	on(l, func() { l.budget = 0 })
	before := put()
	n.publish("backend", "many", "1", nil)
	eventually(t, "the message in the mailbox", func() bool { return l.mailbox.Len() > 0 })
	on(l, func() {
		l.budget = part
		l.do(func() { l.budget = 0 }) // from the next pass on
	})
	eventually(t, "a pass", func() bool { return put() == before+part })

	// From here on the loop always has more to do, and comes no further.
	for range 20 {
		other.frame(codec.ClientFrame{Type: codec.FramePing})
		if f := other.next(); f.Type != codec.FramePong {
			t.Fatalf("got a %v", f.Type)
		}
	}
	if got := put() - before; got != part {
		t.Fatalf("%d connections have the message, want %d", got, part)
	}

	on(l, func() { l.budget = 7 })
	n.publish("backend", "many", "2", nil)
	for i, c := range many {
		for _, id := range []string{"1", "2"} {
			if f := c.next(); f.Type != codec.FrameDeliver || string(f.Deliver.Message.ID) != id {
				t.Fatalf("connection %d got a %v %s, want message %s", i, f.Type, f.Deliver.Message.ID, id)
			}
		}
	}
	if got := put() - before; got != 2*devices {
		t.Errorf("%d were put on connections, want %d", got, 2*devices)
	}
}

// TestTellAll: what all connections are told does not keep them from being told something
// else that was begun before.
func TestTellAll(t *testing.T) {
	const connections = 20
	n := start(t, func(c *Config) { c.Loops = 1 })
	l := n.loops()[0]
	for range connections {
		n.connect("somebody")
	}
	var first, second int
	on(l, func() {
		l.tellAll(func(*session.Session) { first++ })
		l.tellAll(func(*session.Session) { second++ })
	})
	eventually(t, "all were told both", func() (told bool) {
		on(l, func() { told = first == connections && second == connections })
		return told
	})
}
