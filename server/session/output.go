package session

import (
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
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
	// kindOther: finished bytes that need no place because there is at most one of
	// each: the answer to the upgrade, welcome, heartbeat, ping, the last error, close.
	kindOther
)

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

// Pending reports whether there is output.
func (s *Session) Pending() bool { return s.out.Len() > 0 }

// End says what is to happen to the connection now that there is no output.
func (s *Session) End() End { return s.end }

// Fill appends output to dst until that has reached budget bytes or there is no
// more. It may exceed the budget by one entry. Nothing is removed: see Wrote.
func (s *Session) Fill(dst []byte, budget int) []byte {
	skip := int(s.written)
	for i := 0; i < s.out.Len() && len(dst) < budget; i++ {
		start := len(dst)
		dst = s.appendEntry(dst, s.out.At(i))
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
	if n > 0 {
		s.tookAt = l.seconds()
	}
	for n > 0 {
		e := s.out.At(0)
		left := s.size(e) - int(s.written)
		if n < left {
			s.written += uint32(n)
			return
		}
		n -= left
		s.written = 0
		s.pop(l)
	}
	s.tellGap(l)
}

func (s *Session) pop(l *Loop) {
	e := s.out.Pop(&l.rings)
	switch e.kind {
	case kindDelivery:
		s.queued--
		s.queuedBytes -= uint32(len(e.frame.Bytes(e.form)))
	case kindGap:
		s.queued--
	case kindAnswer:
		s.answers--
	}
	e.frame.Release()
}

func (s *Session) push(l *Loop, e entry) {
	if s.out.Len() == 0 {
		s.tookAt = l.seconds()
	}
	s.out.Push(&l.rings, e)
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
