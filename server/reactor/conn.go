package reactor

import (
	"errors"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/session"
)

// conn is a connection: a socket and its session. Its memory is a slot of its loop
// and is used again, under a new generation, for another connection.
type conn struct {
	session    session.Session
	gnet       gnet.Conn
	fd         int32
	slot       int32
	generation uint32
	open       bool
	dirty      bool // in the loop's dirty list
	held       bool // in the loop's list of those whose output may wait a moment
	armed      bool // waits for the socket to be writable
	known      bool // the poller's epoll instance knows the descriptor
	shut       bool // the sending side was shut down
	waited     bool // Drain waits for it
}

type flushResult uint8

const (
	flushDone flushResult = iota // all is written, or the rest waits for the socket
	flushMore                    // the budget is used up
	flushEnd                     // the connection is to be closed
)

// flush writes a connection's output, as much as the kernel takes and the budget
// of a pass allows.
func (l *loop) flush(c *conn) flushResult {
	if c.armed {
		return flushDone
	}
	for budget := flushBytes; c.session.Pending(); {
		if budget <= 0 {
			return flushMore
		}
		l.out = c.session.Fill(l.out[:0], budget)
		n, err := unix.Write(int(c.fd), l.out)
		if err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if !errors.Is(err, unix.EAGAIN) {
				return flushEnd
			}
			n = 0
		}
		c.session.Wrote(l.shared, n)
		budget -= n
		if n < len(l.out) {
			return l.arm(c)
		}
	}
	if c.session.Catching() {
		l.rearm(c) // it may have to try again
	}
	switch c.session.End() {
	case session.Hangup:
		return flushEnd
	case session.Linger:
		if !c.shut {
			c.shut = true
			if unix.Shutdown(int(c.fd), unix.SHUT_WR) != nil {
				return flushEnd
			}
		}
	}
	return flushDone
}

func (l *loop) arm(c *conn) flushResult {
	if l.poller.arm(int(c.fd), c.session.Handle(), !c.known) != nil {
		return flushEnd // the descriptor is not usable
	}
	c.armed, c.known = true, true
	l.rearm(c) // it may not stand still for ever
	return flushDone
}

// slots are the connections of a loop. They are kept in chunks, which never move,
// so that a pointer to a conn stays good while it is open.
type slots struct {
	loop   int
	chunks []*[slotChunk]conn
	free   []int32
	used   int // slots that were ever used
}

const slotChunk = 256

// len returns how many are open.
func (s *slots) len() int { return s.used - len(s.free) }

// take returns a free slot, open, under a new generation. A loop's room is less than
// registry.MaxSlots.
func (s *slots) take() *conn {
	var slot int
	if n := len(s.free); n > 0 {
		slot = int(s.free[n-1])
		s.free = s.free[:n-1]
	} else {
		slot = s.used
		s.used++
		if slot/slotChunk == len(s.chunks) {
			s.chunks = append(s.chunks, new([slotChunk]conn))
		}
	}
	c := &s.chunks[slot/slotChunk][slot%slotChunk]
	*c = conn{slot: int32(slot), generation: c.generation + 1, open: true, dirty: c.dirty}
	return c
}

// give frees a slot. A dirty one is still in the loop's list, where it is found
// closed; should it be used again before, it is found there once, as it ought to be.
func (s *slots) give(c *conn) {
	c.open, c.gnet = false, nil
	s.free = append(s.free, c.slot)
}

func (s *slots) handle(c *conn) registry.Handle {
	return registry.MakeHandle(s.loop, int(c.slot), c.generation)
}

// at returns the open connection in a slot, nil if there is none.
func (s *slots) at(slot int) *conn {
	if slot >= s.used {
		return nil
	}
	if c := &s.chunks[slot/slotChunk][slot%slotChunk]; c.open {
		return c
	}
	return nil
}

// get returns the connection that a handle names, nil if it has gone.
func (s *slots) get(h registry.Handle) *conn {
	c := s.at(h.Slot())
	if c == nil || c.generation&(1<<31-1) != h.Generation() {
		return nil
	}
	return c
}
