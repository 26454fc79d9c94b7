package reactor

import "github.com/godwit-im/godwit/registry"

// holdTime is how long output may wait for what is expected to come next, in
// milliseconds: longer than an ack and the sender's own copy usually lie apart, and too
// short for a person to notice.
const holdTime = 5

// holding is a queue of the connections whose output waits, each once, first come first
// due.
type holding struct {
	queue []heldConn
	first int // of queue that is not taken yet
}

type heldConn struct {
	handle registry.Handle
	due    int64 // milliseconds of the loop's clock
}

// hold has a connection's output wait. A connection that is in the queue for an earlier
// reason is written at that time: soon enough, and too early does no harm.
func (l *loop) hold(c *conn) {
	if !c.held {
		c.held = true
		l.held.queue = append(l.held.queue, heldConn{c.session.Handle(), l.shared.Now + holdTime})
	}
}

// releaseHeld marks the connections that have waited long enough.
func (l *loop) releaseHeld() {
	h := &l.held
	for ; h.first < len(h.queue) && h.queue[h.first].due <= l.shared.Now; h.first++ {
		c := l.conns.get(h.queue[h.first].handle)
		if c == nil {
			continue
		}
		c.held = false
		if c.session.Held() {
			c.session.Unhold()
			l.markDirty(c)
		}
	}
	if 2*h.first >= len(h.queue) {
		h.queue = h.queue[:copy(h.queue, h.queue[h.first:])]
		h.first = 0
	}
}

// tellHeld tells the poller when the loop has to make a pass for those that are held.
func (l *loop) tellHeld() {
	due := int64(0)
	if h := &l.held; h.first < len(h.queue) {
		due = h.queue[h.first].due
	}
	if before := l.heldDue.Swap(due); before == 0 && due != 0 {
		l.poller.watchHeld()
	}
}
