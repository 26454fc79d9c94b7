package reactor

import "github.com/godwit-im/godwit/registry"

// holdTime is how long output may wait for what is expected to come next, in
// milliseconds: longer than an ack and the sender's own copy usually lie apart, and too
// short for a person to notice.
const holdTime = 5

// heldConn is a connection whose output waits.
type heldConn struct {
	handle registry.Handle
	due    int64 // milliseconds of the loop's clock
}

// hold has a connection's output wait. A connection that is in the queue for an earlier
// reason is written at that time: soon enough, and too early does no harm.
func (l *loop) hold(c *conn) {
	if !c.held {
		c.held = true
		l.held.push(heldConn{c.session.Handle(), l.shared.Now + holdTime})
	}
}

// releaseHeld marks the connections that have waited long enough.
func (l *loop) releaseHeld() {
	for l.held.len() > 0 && l.held.peek().due <= l.shared.Now {
		c := l.conns.get(l.held.pop().handle)
		if c == nil {
			continue
		}
		c.held = false
		if c.session.Held() {
			c.session.Unhold()
			l.markDirty(c)
		}
	}
}

// tellHeld tells the poller when the loop has to make a pass for those that are held.
func (l *loop) tellHeld() {
	due := int64(0)
	if l.held.len() > 0 {
		due = l.held.peek().due
	}
	if before := l.heldDue.Swap(due); before == 0 && due != 0 {
		l.poller.watchHeld()
	}
}
