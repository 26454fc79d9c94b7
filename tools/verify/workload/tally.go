package workload

import (
	"sync"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// tally counts what happens. Any goroutine may call it.
type tally struct {
	mu     sync.Mutex
	counts Counts
}

// count changes the counts.
func (t *tally) count(change func(*Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.counts)
}

// event counts an event.
func (t *tally) event(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	switch e := e.(type) {
	case *event.Connect:
		c.Connects++
	case *event.Refused:
		c.Refusals++
	case *event.Close:
		c.Closes++
	case *event.Moved:
		c.Moves++
	case *event.Violation:
		c.Violations++
	case *event.Send:
		c.Sends++
	case *event.Ack:
		c.Acks++
	case *event.Nack:
		c.Nacks++
	case *event.Unknown:
		c.Unknowns++
	case *event.Deliver:
		c.Delivers++
	case *event.Gap:
		c.Gaps++
	case *event.Gone:
		c.Gones++
	case *event.Heartbeat:
		c.Heartbeats++
	case *event.Page:
		c.Pages++
		if e.Code != "" {
			c.RefusedPages++
		}
	}
}

// get returns the counts.
func (t *tally) get() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	c.OnTheWay = c.Sends - c.Acks - c.Nacks - c.Unknowns
	return c
}
