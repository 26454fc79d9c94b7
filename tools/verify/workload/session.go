package workload

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

// errLost says that there is no connection, or that it has ended before the answer came.
var errLost = errors.New("workload: there is no connection")

// session is a connection of the plain client that was welcomed.
type session struct {
	// Static.
	plain  *plain
	conn   *wire.Conn
	number uint64
	at     place
	since  time.Time

	leaving chan struct{} // closed when the server has said where else to go
	over    chan struct{} // closed when everything was read and written
	end     *wire.End     // valid then

	heard atomic.Int64 // when the last frame came, in Unix nanoseconds

	// Guarded by the plain's mu.
	open     map[string]*post      // attempts without an answer, by their ids
	asks     map[string]chan *page // and questions
	reading  map[string]bool       // those of the reading at the end
	ended    bool
	moved    *wire.Moved
	degraded bool      // the node has lost its log
	pinged   time.Time // a ping is out, and nothing has come since; zero: not

	// Owned by the plain's run.
	askAt  time.Time     // when to ask whether another node has taken over; zero: never
	spread time.Duration // and over how long after that
}

func newSession(c *plain, conn *wire.Conn, at place) *session {
	s := &session{
		plain: c, conn: conn, number: c.load.conns.Add(1), at: at, since: time.Now(),
		leaving: make(chan struct{}), over: make(chan struct{}),
		open: make(map[string]*post), asks: make(map[string]chan *page), reading: make(map[string]bool),
	}
	s.heard.Store(s.since.UnixNano())
	return s
}

// read takes what the server sends until the connection ends.
func (s *session) read() {
	for {
		frame, err := s.conn.Next()
		if err != nil {
			errors.As(err, &s.end)
			s.plain.ended(s)
			close(s.over)
			return
		}
		s.heard.Store(time.Now().UnixNano())
		s.plain.take(s, frame)
	}
}

// ended gives everything that has no answer one.
func (c *plain) ended(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.ended = true
	if c.mu.taking == s {
		c.mu.taking = nil
	}
	if c.mu.at == s {
		c.mu.at = nil
		c.setOnline(false)
	}
	for id, p := range s.open {
		c.write(&event.Unknown{Conn: s.number, ID: id, Why: "no answer"})
		c.settled(p, unknown)
	}
	for _, answer := range s.asks {
		close(answer)
	}
	s.open, s.asks = nil, nil
	c.write(wire.EndEvent(s.number, s.end))
}

// take takes a frame.
func (c *plain) take(s *session, frame wire.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.pinged = time.Time{}
	switch f := frame.(type) {
	case *wire.Deliver:
		if c.mu.taking == s {
			c.write(wire.FrameEvent(s.number, f))
			c.mu.view.took(f.Cursor)
			c.got(event.MessageID(f.MessageID))
		}
	case *wire.Heartbeat:
		if c.mu.taking == s {
			c.write(wire.FrameEvent(s.number, f))
			c.mu.view.beat(f.Cursor)
			ring(c.beats)
		}
	case *wire.Gap:
		if c.mu.taking == s {
			c.gap(s, f)
		}
	case *wire.Ack:
		c.acked(s, f)
	case *wire.Page:
		c.answered(s, f)
	case *wire.Moved:
		c.write(wire.FrameEvent(s.number, f))
		s.told(f)
	case *wire.Error:
		s.degraded = s.degraded || f.Code == "degraded"
	case *wire.Violation:
		c.write(wire.FrameEvent(s.number, f))
	}
}

// gap takes a gap. mu is held.
func (c *plain) gap(s *session, f *wire.Gap) {
	e := wire.FrameEvent(s.number, f)
	c.write(e)
	if _, dropped := e.(*event.Gap); !dropped {
		return // what is gone cannot be fetched
	}
	at, _ := c.mu.view.at(0)
	c.mu.gaps = append(c.mu.gaps, &gap{f.After, f.Before, at})
	ring(c.gaps)
}

// acked takes an ack. mu is held.
func (c *plain) acked(s *session, f *wire.Ack) {
	p := s.open[f.ID]
	if p == nil {
		return // a violation, which follows
	}
	delete(s.open, f.ID)
	c.write(wire.FrameEvent(s.number, f))
	switch f.Status {
	case wire.Stored:
		s.degraded = false
		c.settled(p, stored)
	case wire.Rejected:
		c.settled(p, refusal(f.Code))
	default:
		c.settled(p, unknown)
	}
}

// answered takes a page. mu is held.
func (c *plain) answered(s *session, f *wire.Page) {
	e := wire.FrameEvent(s.number, f).(*event.Page)
	e.Reading = s.reading[f.ID]
	c.write(e)
	if len(c.mu.gaps) > 0 && !e.Reading { // else what is on the page has still to come
		for i := range e.Entries {
			c.got(e.Entries[i].MessageID)
		}
	}
	if answer := s.asks[f.ID]; answer != nil {
		answer <- &page{code: f.Code, after: f.After, before: f.Before, moreAfter: f.MoreAfter, moreBefore: f.MoreBefore}
	}
	delete(s.asks, f.ID)
	delete(s.reading, f.ID)
}

// attempt makes a send.
func (c *plain) attempt(p *post) bool {
	c.mu.Lock()
	s := c.mu.at
	if s == nil {
		c.mu.Unlock()
		return false
	}
	send := p.send()
	id := event.MessageID(s.conn.MessageID(send))
	c.begin(p, id)
	c.write(p.sendEvent(s.number, id))
	s.open[p.id] = p
	c.mu.Unlock()
	_ = s.conn.Send(*send) // after an error the connection ends, and the send with it
	return true
}

// history asks for a page.
func (c *plain) history(ctx context.Context, h wire.History, reading bool) (*page, error) {
	c.mu.Lock()
	s := c.mu.at
	if s == nil {
		c.mu.Unlock()
		return nil, errLost
	}
	c.mu.asked++
	h.ID = fmt.Sprint("h", c.mu.asked)
	answer := make(chan *page, 1)
	s.asks[h.ID] = answer
	if reading {
		s.reading[h.ID] = true
	}
	c.mu.Unlock()
	if err := s.conn.History(h); err != nil {
		return nil, errLost
	}
	select {
	case p, ok := <-answer:
		if !ok {
			return nil, errLost
		}
		return p, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// told notes where the server wants the connection to go. The plain's mu is held.
func (s *session) told(m *wire.Moved) {
	if s.moved == nil {
		close(s.leaving)
	}
	s.moved = m
}

// leaveFor has the connection go elsewhere.
func (s *session) leaveFor(m *wire.Moved) {
	s.plain.mu.Lock()
	defer s.plain.mu.Unlock()
	if s.moved == nil {
		s.told(m)
	}
}

// target returns where the server wants the connection to go; nil if it has not said so.
func (s *session) target() *wire.Moved {
	s.plain.mu.Lock()
	defer s.plain.mu.Unlock()
	return s.moved
}

// wait waits, and reports whether the connection is still there.
func (s *session) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.over:
	case <-ctx.Done():
	}
	return false
}

// silent reports whether the server does not answer any more. It pings one that is silent.
// paced is whether the device itself does not read all that there is.
func (s *session) silent(now time.Time, paced bool) bool {
	s.plain.mu.Lock()
	pinged := s.pinged
	late := false
	for _, p := range s.open {
		late = late || now.Sub(p.latest) >= overdue
	}
	ping := !paced && pinged.IsZero() && now.Sub(time.Unix(0, s.heard.Load())) >= silence
	switch {
	case ping:
		s.pinged = now
	case paced:
		s.pinged = time.Time{} // it may have answered
	}
	s.plain.mu.Unlock()
	if ping {
		_ = s.conn.Ping() // after an error the connection ends
	}
	return !paced && (late || !pinged.IsZero() && now.Sub(pinged) >= patience)
}

// askNow reports whether to ask others for the route, because the node has lost its log.
// The plain's run calls it.
func (s *session) askNow(now time.Time) bool {
	s.plain.mu.Lock()
	degraded := s.degraded
	s.plain.mu.Unlock()
	ask := degraded && !s.askAt.IsZero() && !now.Before(s.askAt)
	switch {
	case !degraded:
		s.askAt = time.Time{}
	case s.askAt.IsZero():
		s.spread = degradedSpread
		s.askAt = now.Add(upTo(s.plain.finder.rand, s.spread))
	case ask:
		s.spread *= 2
		s.askAt = now.Add(upTo(s.plain.finder.rand, s.spread))
	}
	return ask
}

// retire reads the connection on until its sends and questions are answered, or for some
// seconds, and closes it.
func (s *session) retire(ctx context.Context) {
	deadline := time.NewTimer(retire)
	defer deadline.Stop()
	look := time.NewTicker(poll)
	defer look.Stop()
	for done := false; !done; {
		select {
		case <-s.over:
			return
		case <-deadline.C:
			done = true
		case <-ctx.Done():
			done = true
		case <-look.C:
			s.plain.mu.Lock()
			done = len(s.open)+len(s.asks) == 0
			s.plain.mu.Unlock()
		}
	}
	_ = s.conn.Close() // it has ended if that fails
}
