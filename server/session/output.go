package session

import (
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/registry/ring"
	"github.com/godwit-im/godwit/server/delivery"
)

// entry is one thing in the outbox. Its bytes are made when there is room in the
// socket, and made again if only a part was taken, so that what waits is the
// shared frame alone.
type entry struct {
	frame *delivery.Frame // holds one reference
	seq   uint64          // of a delivery
	kind  entryKind
	form  delivery.Variant // of a delivery
	self  bool             // of a delivery
}

type entryKind uint8

const (
	// kindDelivery: per-device head and shared tail.
	kindDelivery entryKind = iota
	// kindGap: finished bytes, counted with the deliveries.
	kindGap
	// kindAnswer: finished bytes, with a place reserved by reserve.
	kindAnswer
	// kindPage: an answer that is a page, of which there are maxPages at most.
	kindPage
	// kindOther: finished bytes that need no place because there is at most one of
	// each: the answer to the upgrade, welcome, heartbeat, ping, the last error, close.
	kindOther
)

// output is what waits for the socket, and the state of it. A session borrows it from its
// loop while there is anything.
type output struct {
	box         ring.Outbox[entry]
	written     uint32      // bytes of the first entry that are written already
	queued      uint32      // deliveries and gaps in the outbox
	queuedBytes uint32      // of the deliveries
	tookAt      uint32      // when the socket last took some of it, or it began, in seconds
	urgent      bool        // something in the outbox is not to wait for company
	gap         *pendingGap // of a session in overflow; only while something is queued
}

func (s *Session) op() ws.Op {
	if s.encoding.Text() {
		return ws.Text
	}
	return ws.Binary
}

// size returns how many bytes an entry has on the wire.
func (s *Session) size(e *entry) int {
	n := len(e.frame.Bytes(e.form))
	if e.kind == kindDelivery {
		n += codec.DeliverHeadSize(s.encoding, e.seq, e.self)
		n += ws.HeaderSize(n)
	}
	return n
}

func (s *Session) appendEntry(dst []byte, e *entry) []byte {
	tail := e.frame.Bytes(e.form)
	if e.kind == kindDelivery {
		dst = ws.AppendHeader(dst, s.op(), codec.DeliverHeadSize(s.encoding, e.seq, e.self)+len(tail))
		dst = codec.AppendDeliverHead(dst, s.encoding, e.seq, e.self)
	}
	return append(dst, tail...)
}

// An ack and the sender's own copy of the message come by different ways, the one soon
// after the other. Whichever is first is held for a moment, so that both cost one write
// and wake the client once; see Held.

// holdAck returns whether the ack of a stored send may wait for the copy.
func (s *Session) holdAck() bool {
	s.ahead = min(s.ahead+1, maxAhead)
	return s.ahead > 0
}

// holdCopy returns whether the session's own copy of what it sent may wait for the ack.
func (s *Session) holdCopy() bool {
	s.ahead = max(s.ahead-1, -maxAhead)
	return s.ahead < 0
}

// maxAhead bounds the count of those whose counterpart is missing. It need not be exact: a
// counterpart that never comes costs others a moment.
const maxAhead = 100

// pushHeld is push for something that may wait for its counterpart.
func (s *Session) pushHeld(l *Loop, e entry, hold bool) *output {
	urgent := s.output != nil && s.output.urgent
	o := s.push(l, e)
	o.urgent = urgent || !hold
	return o
}

// Held reports whether all output may wait a moment, until something else comes or
// Unhold is called.
func (s *Session) Held() bool { return s.output != nil && !s.output.urgent }

// Unhold ends the wait: what was expected has not come in time.
func (s *Session) Unhold() {
	s.ahead = 0
	if s.output != nil {
		s.output.urgent = true
	}
}

// Pending reports whether there is output.
func (s *Session) Pending() bool { return s.output != nil }

// End says what is to happen to the connection now that there is no output.
func (s *Session) End() End { return s.end }

// Fill appends output to dst until that has reached budget bytes or there is no
// more. It may exceed the budget by one entry. Nothing is removed: see Wrote.
func (s *Session) Fill(dst []byte, budget int) []byte {
	o := s.output
	if o == nil {
		return dst
	}
	skip := int(o.written)
	for i := 0; i < o.box.Len() && len(dst) < budget; i++ {
		start := len(dst)
		dst = s.appendEntry(dst, o.box.At(i))
		if skip > 0 {
			n := copy(dst[start:], dst[start+skip:])
			dst = dst[:start+n]
			skip = 0
		}
	}
	return dst
}

// Wrote tells that the socket took the first n bytes of what Fill gave. Entries
// that are out are removed; if that makes room after a drop, the gap follows.
func (s *Session) Wrote(l *Loop, n int) {
	o := s.output
	if o == nil {
		return
	}
	if n > 0 {
		o.tookAt = l.seconds()
	}
	for n > 0 {
		left := s.size(o.box.At(0)) - int(o.written)
		if n < left {
			o.written += uint32(n)
			return
		}
		n -= left
		o.written = 0
		s.pop(l, o)
	}
	s.tellGap(l)
	s.catchOn(l)
	if o.box.Len() == 0 {
		s.dropOutput(l)
	}
}

func (s *Session) pop(l *Loop, o *output) {
	e := o.box.Pop(&l.rings)
	switch e.kind {
	case kindDelivery:
		o.queued--
		o.queuedBytes -= uint32(len(e.frame.Bytes(e.form)))
	case kindGap:
		o.queued--
	case kindAnswer:
		s.answers--
	case kindPage:
		s.answers--
		s.pages--
	}
	e.frame.Release()
}

// push appends an entry to the output, and returns that.
func (s *Session) push(l *Loop, e entry) *output {
	if s.output == nil {
		if n := len(l.outputs); n > 0 {
			s.output, l.outputs = l.outputs[n-1], l.outputs[:n-1]
		} else {
			s.output = new(output)
		}
		s.output.tookAt = l.seconds()
	}
	s.output.box.Push(&l.rings, e)
	s.output.urgent = true
	return s.output
}

// dropOutput gives the output back, with whatever is in it.
func (s *Session) dropOutput(l *Loop) {
	o := s.output
	if o == nil {
		return
	}
	for o.box.Len() > 0 {
		s.pop(l, o)
	}
	s.output, *o = nil, output{}
	if len(l.outputs) < keepSpare {
		l.outputs = append(l.outputs, o)
	}
}

// raw returns an entry of finished bytes; fill appends them.
func raw(l *Loop, kind entryKind, fill func(dst []byte) []byte) entry {
	l.output = fill(l.output[:0])
	return entry{kind: kind, frame: delivery.Raw(l.deps.Memory, l.output)}
}

// frameEntry is raw for a frame of the protocol; fill appends its payload.
func (s *Session) frameEntry(l *Loop, kind entryKind, fill func(dst []byte) []byte) entry {
	l.scratch = fill(l.scratch[:0])
	return raw(l, kind, func(dst []byte) []byte { return ws.AppendFrame(dst, s.op(), l.scratch) })
}

// reserve takes a place for an answer. A client that has all places in use asks
// without reading the answers, and is closed.
func (s *Session) reserve(l *Loop) bool {
	if int(s.answers) < l.config.InFlight {
		s.answers++
		return true
	}
	s.closeFor(l, codec.CodeSlow, "more answers outstanding than welcome.limits allows")
	return false
}
