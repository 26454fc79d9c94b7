package session

import (
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/delivery"
)

// pendingGap is the range that a connection in overflow has lost so far.
type pendingGap struct {
	from, to uint64 // sequence numbers, both included
	after    int64  // the last offset put before them
	reason   DropReason
}

// Deliver gives the connection a message. self says that its user is the sender.
// The session takes references of its own.
func (s *Session) Deliver(l *Loop, f *delivery.Frame, self bool) {
	offset := f.Position.Offset
	switch {
	case s.state != stateOpen:
		l.Counters.Dropped(DropClosing)
		return
	case offset <= s.watermark:
		// It lay before the connection's start.
		l.Counters.Dropped(DropBeforeStart)
		return
	case s.catch != nil:
		s.passBy(l, f)
		return
	case s.behindLost(l):
		s.beginCatchUp(l)
		s.passBy(l, f)
		s.catchOn(l)
		return
	}
	form := s.form(f, self)
	size := len(f.Bytes(form))
	if !s.gaps {
		if reason := s.overflows(l, size); reason != notDropped {
			// It goes on as a reader of the log when there is room again.
			l.Counters.Overflowed(reason)
			if f.Signal {
				l.Counters.Dropped(DropSignal)
				return
			}
			s.beginCatchUp(l)
			s.passBy(l, f)
			return
		}
	}
	s.seq++
	before := s.watermark
	s.watermark = offset
	if o := s.output; o != nil && o.gap != nil {
		l.Counters.Dropped(o.gap.reason)
		o.gap.to = s.seq
		// Room may have come without a write: when the node is over budget no more.
		s.tellGap(l)
		return
	}
	if reason := s.overflows(l, size); reason != notDropped {
		l.Counters.Dropped(reason)
		s.output.gap = &pendingGap{from: s.seq, to: s.seq, after: before, reason: reason}
		s.tellGap(l)
		return
	}
	f.Retain(1)
	own := self && f.Session == s.id
	o := s.pushHeld(l, entry{kind: kindDelivery, frame: f, seq: s.seq, form: form, self: self}, own && s.holdCopy())
	o.queued++
	o.queuedBytes += uint32(size)
	s.tellOffset(l, offset)
	l.Counters.Put.Add(1)
}

// Full reports whether Deliver would drop the message for want of room. Before it
// does, the reactor writes what the socket takes: a client is slow when its
// socket is full, not when much comes at once.
func (s *Session) Full(l *Loop, f *delivery.Frame, self bool) bool {
	if s.state != stateOpen || s.catch != nil {
		return false
	}
	return s.output != nil && s.output.gap != nil || s.overflows(l, len(f.Bytes(s.form(f, self)))) != notDropped
}

// form returns the variant of a frame that this session gets.
func (s *Session) form(f *delivery.Frame, self bool) delivery.Variant {
	return delivery.VariantOf(s.encoding, !self || f.Session != s.id)
}

// overflows returns why a delivery of so many bytes has no room, if it has none. An
// empty outbox has room for anything.
func (s *Session) overflows(l *Loop, size int) DropReason {
	switch c, o := l.config, s.output; {
	case o == nil || o.queued == 0:
		return notDropped
	case int(o.queued) >= c.QueueMessages:
		return DropOutboxFull
	case int(o.queuedBytes)+size > c.QueueBytes:
		return DropOutboxBytes
	case o.crowded(size) && l.deps.Memory.Over():
		return DropNodeMemory
	}
	return notDropped
}

// crowded reports whether a delivery of so many bytes would be more than may wait while
// the node is over its budget.
func (o *output) crowded(size int) bool {
	return o.queued >= overBudgetQueue || int(o.queuedBytes)+size > overBudgetBytes
}

// tellGap ends an overflow when the outbox is half empty, so that a client that
// reads slowly is not told of a gap for each message.
func (s *Session) tellGap(l *Loop) {
	o := s.output
	if o == nil || o.gap == nil || s.state != stateOpen || int(o.queued) > l.config.QueueMessages/2 || int(o.queuedBytes) > l.config.QueueBytes/2 ||
		o.crowded(0) && l.deps.Memory.Over() {
		return
	}
	g := o.gap
	o.gap = nil
	s.pushGap(l, &codec.Gap{
		FromSeq: g.from, ToSeq: g.to, Reason: codec.GapReason(g.reason.String()),
		After:  s.cursor(l, g.after),
		Before: s.cursor(l, s.watermark+1),
	})
	s.tellOffset(l, s.watermark)
}

func (s *Session) pushGap(l *Loop, g *codec.Gap) {
	o := s.push(l, s.frameEntry(l, kindGap, func(dst []byte) []byte { return codec.AppendGap(dst, s.encoding, g) }))
	o.queued++
	l.Counters.Gaps.Add(1)
}

// tellOffset notes that the client has been told a position.
func (s *Session) tellOffset(l *Loop, offset int64) {
	s.told, s.toldAt = offset, l.seconds()
}

// cursor returns the cursor of an offset.
func (s *Session) cursor(l *Loop, offset int64) []byte {
	p := l.deps.Tails.End(s.partition)
	p.Offset = offset
	return codec.AppendCursor(nil, p)
}

// heartbeat tells the client a newer cursor, if the loop knows one: that of what
// has come out of the mailbox, never that of what is still in it. A connection in
// overflow or with output waiting gets none.
func (s *Session) heartbeat(l *Loop) {
	s.toldAt = l.seconds() // or nothing newer is known, or the client is being told
	reached := l.positions[s.partition]
	if reached <= s.told || s.Pending() || s.catch != nil {
		return
	}
	if s.behindLost(l) {
		s.beginCatchUp(l)
		s.catchOn(l)
		return
	}
	s.watermark = max(s.watermark, reached)
	s.push(l, s.frameEntry(l, kindOther, func(dst []byte) []byte {
		return codec.AppendHeartbeat(dst, s.encoding, &codec.Heartbeat{Seq: s.seq, Cursor: s.cursor(l, reached)})
	}))
	s.tellOffset(l, reached)
	l.Counters.Heartbeats.Add(1)
}
