package session

import (
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/delivery"
)

// catchUp is the state of a connection that reads what it has missed, because it was away
// or slow: from its watermark on, out of the tail, the log and history, while live
// deliveries pass it by. It ends when a reading that began after the session was registered
// has come to the end of the tail and no live delivery beyond that has passed by: what
// comes next is delivered live, and nothing lies between.
//
// A session borrows it from its loop.
type catchUp struct {
	skipped int64  // the highest offset that passed by
	retry   uint32 // when to read again after a failure, in seconds; 0 if there was none
	reading bool   // an answer is awaited
	queued  bool   // is among Loop.readers, who wait for the loop to have room for a reading
}

// catchRetry is how long a connection waits to read again when that failed, in seconds. The
// reading itself has waited for what is slow.
const catchRetry = 1

// Catching reports whether the connection reads what it has missed.
func (s *Session) Catching() bool { return s.catch != nil }

// beginCatchUp has the connection read on from its watermark.
func (s *Session) beginCatchUp(l *Loop) {
	if n := len(l.catchUps); n > 0 {
		s.catch, l.catchUps = l.catchUps[n-1], l.catchUps[:n-1]
	} else {
		s.catch = new(catchUp)
	}
	*s.catch = catchUp{skipped: -1}
	l.Counters.Catching.Add(1)
}

func (s *Session) endCatchUp(l *Loop) {
	if s.catch == nil {
		return
	}
	if len(l.catchUps) < keepSpare {
		l.catchUps = append(l.catchUps, s.catch)
	}
	s.catch = nil
	l.Counters.Catching.Add(-1)
}

// behindLost reports whether what comes next on a connection that is live may lie behind
// something that was never read, because the log had deleted it before: history may have
// it, or the client has to be told. A gap that is pending tells it all.
func (s *Session) behindLost(l *Loop) bool {
	return s.watermark < l.lost[s.partition] && (s.output == nil || s.output.gap == nil)
}

// passBy notes a live delivery for a connection that is catching up.
func (s *Session) passBy(l *Loop, f *delivery.Frame) {
	if f.Signal {
		l.Counters.Dropped(DropSignal)
		return
	}
	s.catch.skipped = max(s.catch.skipped, f.Position.Offset)
	l.Counters.Left.Add(1)
}

// catchOn reads the next messages if there is room for them and nothing is being read.
// The queue has to be half empty, so that a reading is worth its while.
func (s *Session) catchOn(l *Loop) {
	c := s.catch
	if c == nil || c.reading || s.state != stateOpen {
		return
	}
	limit, bytes := l.config.QueueMessages, l.config.QueueBytes
	if o := s.output; o != nil {
		if int(o.queued) > limit/2 || int(o.queuedBytes) > bytes/2 {
			return
		}
		limit, bytes = limit-int(o.queued), bytes-int(o.queuedBytes)
	}
	if l.deps.Memory.Over() {
		if s.output != nil && s.output.queued > 0 {
			return // to go on when that is written
		}
		limit, bytes = overBudgetQueue, overBudgetBytes
	}
	if l.seconds() < c.retry {
		return
	}
	r := &Reading{Kind: ReadNext, After: s.watermark, Limit: min(limit, pageMessages), Bytes: min(bytes, pageBytes)}
	if c.reading = s.read(l, r); !c.reading {
		s.queueReader(l, r.Near)
	}
}

// queueReader has the session read when the loop has room for that.
func (s *Session) queueReader(l *Loop, near bool) {
	switch {
	case l.reading == 0:
		s.catch.retry = l.seconds() + catchRetry // nobody of this loop will make room
	case s.catch.queued:
	case near:
		s.catch.queued = true
		l.readers.near = append(l.readers.near, s.handle)
	default:
		s.catch.queued = true
		l.readers.far = append(l.readers.far, s.handle)
	}
}

// caughtUp puts what was read on the connection.
func (s *Session) caughtUp(l *Loop, r *Reading) {
	c := s.catch
	if c == nil || s.state != stateOpen {
		return
	}
	c.reading = false
	if r.Code != "" {
		c.retry = l.seconds() + s.spread(catchRetry)
		l.Counters.ReadsFailed.Add(1)
		return
	}
	c.retry = 0
	if r.Gone > s.watermark {
		s.tellGone(l, r.Gone)
	}
	for i, m := range r.Caught {
		if m.Frame.Position.Offset <= s.watermark {
			continue
		}
		s.putCaught(l, m)
		r.Caught[i].Frame = nil // it is the session's now
	}
	s.watermark = max(s.watermark, r.Examined)
	if r.Live && s.watermark >= c.skipped {
		s.endCatchUp(l)
		l.Counters.CaughtUp.Add(1)
		return
	}
	s.catchOn(l)
}

// putCaught puts a message on the connection, and takes over the reference to its frame.
func (s *Session) putCaught(l *Loop, m Caught) {
	form := delivery.VariantOf(s.encoding, true)
	s.seq++
	s.watermark = m.Frame.Position.Offset
	o := s.push(l, entry{kind: kindDelivery, frame: m.Frame, seq: s.seq, form: form, self: m.Self})
	o.queued++
	o.queuedBytes += uint32(len(m.Frame.Bytes(form)))
	s.tellOffset(l, s.watermark)
	l.Counters.Caught.Add(1)
}

// tellGone tells the client that messages up to an offset may be gone for good.
func (s *Session) tellGone(l *Loop, offset int64) {
	s.seq++
	s.pushGap(l, &codec.Gap{
		FromSeq: s.seq, ToSeq: s.seq, Reason: codec.GapRetention,
		After: s.cursor(l, s.watermark), Before: s.cursor(l, offset+1),
	})
	s.watermark = offset
	s.tellOffset(l, offset)
}
