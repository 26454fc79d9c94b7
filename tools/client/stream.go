package client

import (
	"errors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// The stream is what a client hands over: one timeline in order, across connections.
// There are two cursors. That of what was received is the one to connect with: what has
// been received waits in the queue of the callbacks, which outlives connections, so
// nothing is asked for twice. That of what was handed over is the one for a program to
// keep: what waits in the queue is lost with the process.

// Cursor returns the place in the user's timeline up to which the callbacks have dealt
// with everything, empty if there is none yet: the one to keep for Options.Cursor of the
// next run. Within OnMessage it does not count the message; whoever keeps
// messages keeps Message.Cursor along with each.
//
// Any goroutine may call it. After Run has returned it counts all that was received.
func (c *Client) Cursor() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handedTo
}

// received returns the cursor of what was received, to go on from.
func (c *Client) received() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.receivedTo
}

// advance moves the cursor of what was received, and has run, which may be nil and keeps
// about size bytes of memory, called and the cursor of what was handed over moved after
// it. Run's goroutine calls it.
func (c *Client) advance(to string, size int, run func()) {
	c.mu.Lock()
	c.receivedTo = to
	c.mu.Unlock()
	c.events.put(size, func() {
		if run != nil {
			run()
		}
		c.mu.Lock()
		c.handedTo = to
		c.mu.Unlock()
	})
}

// delivered takes a message.
func (r *runner) delivered(k *conn, d *codec.Deliver) {
	r.count(k, d.Seq, d.Seq)
	// A signal comes once, as long as somebody is there, and never from the log.
	again := d.Message.Kind != backplane.KindSignal && r.seen.add(d.Message.MessageID)
	on := r.opts.OnMessage
	if again || on == nil {
		r.advance(string(d.Cursor), eventSize, nil)
		return
	}
	m := messageOf(d)
	r.advance(m.Cursor, m.size(), func() { on(m) })
}

// gap takes a range of numbers without messages. It moves no cursor: that of what was
// dropped is not told, and what follows a gap has its own.
func (r *runner) gap(k *conn, f *codec.Gap) {
	r.count(k, f.FromSeq, f.ToSeq)
	if f.Reason == codec.GapRetention {
		r.tellGone(Gone{After: string(f.After), Before: string(f.Before)})
		return
	}
	if on := r.opts.OnGap; on != nil {
		g := gapOf(f)
		r.events.put(eventSize, func() { on(g) })
	}
}

func (r *runner) heartbeat(k *conn, f *codec.Heartbeat) {
	// It accounts for no number, and says that the next is to be one higher.
	r.count(k, f.Seq+1, f.Seq)
	r.advance(string(f.Cursor), eventSize, nil)
}

// tellGone tells what is gone to OnGone, once: who reconnects before a message has
// followed is told again by the server.
func (r *runner) tellGone(g Gone) {
	if g == r.gone {
		return
	}
	r.gone = g
	r.log.Warn("messages are gone", "after", g.After, "before", g.Before, "code", g.Code)
	if on := r.opts.OnGone; on != nil {
		r.events.put(eventSize, func() { on(g) })
	}
}

// forget makes the client begin anew if the connection was refused because of its cursor,
// and reports whether that is so.
func (r *runner) forget(err error) bool {
	cursor, code := r.received(), codeOf(err)
	if cursor == "" || code != codec.CodeUnknownCursor && code != codec.CodeBadCursor {
		return false
	}
	r.tellGone(Gone{After: cursor, Code: code})
	r.advance("", eventSize, nil)
	return true
}

// codeOf returns the code with which the server refused or closed the connection, empty
// if it gave none.
func codeOf(err error) backplane.Code {
	var (
		refused *RefusedError
		closed  *CloseError
	)
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case errors.As(err, &closed):
		return closed.Cause
	}
	return ""
}
