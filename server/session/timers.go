package session

import (
	"time"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

func secondsOf(d time.Duration) uint32 { return uint32((d + time.Second - 1) / time.Second) }

// Deadline returns when Expire wants to be called next, in seconds. It may
// move later unseen, since Expire does nothing before its time; when a call makes it
// earlier, the reactor notices by asking again after the call.
func (s *Session) Deadline(l *Loop) uint32 {
	if s.state != stateOpen {
		return s.deadline
	}
	return min(s.deadline, s.idleAt(l), s.heartbeatAt(l), s.stalledAt(), s.overdueAt(), s.retryAt())
}

const never = 1<<32 - 1

// stalledAt returns when to give up a client that takes nothing.
func (s *Session) stalledAt() uint32 {
	if !s.Pending() {
		return never
	}
	return s.output.tookAt + secondsOf(stallTimeout)
}

// overdueAt returns when to give up a client that does not finish a message.
func (s *Session) overdueAt() uint32 {
	if s.input == nil {
		return never
	}
	return s.input.since + secondsOf(messageTimeout)
}

// retryAt returns when to read on after that has failed.
func (s *Session) retryAt() uint32 {
	if s.catch == nil || s.catch.retry == 0 {
		return never
	}
	return s.catch.retry
}

// idleAt returns when to ping a silent client, or to give a pinged one up.
func (s *Session) idleAt(l *Loop) uint32 {
	if s.pingedAt != 0 {
		at := s.pingedAt
		if s.Pending() {
			at = max(at, s.output.tookAt) // it reads, and has not come to the ping yet
		}
		return at + secondsOf(idleGrace)
	}
	return s.lastRead + s.spread(secondsOf(l.config.Idle))
}

func (s *Session) heartbeatAt(l *Loop) uint32 {
	return s.toldAt + s.spread(secondsOf(l.config.CursorLag))
}

// spread lengthens a time by up to a quarter, by the session's id, so that
// connections that came together do not fall due together.
func (s *Session) spread(d uint32) uint32 { return d + uint32(s.id%uint64(d/4+1)) }

// Expire does what is due. It reports false when the connection has to end here
// and now, without another word.
func (s *Session) Expire(l *Loop) bool {
	now := l.seconds()
	if s.state != stateOpen {
		if now < s.deadline {
			return true
		}
		if s.state == stateRequest || s.state == stateVerifying {
			l.Counters.Refused(RefusedTimeout)
		}
		return false
	}
	if now >= s.deadline {
		s.closeFor(l, codec.CodeTokenExpired, "the token has expired")
		return true
	}
	if now >= s.stalledAt() {
		// A close frame would only wait behind the rest.
		l.Counters.Stalled.Add(1)
		return false
	}
	if now >= s.overdueAt() {
		s.closeFor(l, codec.CodePolicy, "a message was not finished in time")
		return true
	}
	if now >= s.idleAt(l) {
		if s.pingedAt != 0 {
			l.Counters.Idle.Add(1)
			return false
		}
		s.pingedAt = now
		s.push(l, raw(l, kindOther, func(dst []byte) []byte { return ws.AppendFrame(dst, ws.Ping, nil) }))
	}
	if now >= s.retryAt() {
		s.catch.retry = 0
		s.catchOn(l)
	}
	if now >= s.heartbeatAt(l) {
		s.heartbeat(l)
	}
	return true
}
