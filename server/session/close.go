package session

import (
	"net/http"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/placement"
)

// close says goodbye with a code: what is in the outbox goes first, then the
// close frame, and then the client's close frame is awaited.
func (s *Session) close(l *Loop, code codec.CloseCode, reason string) {
	if s.state != stateOpen {
		return
	}
	s.lastFrame(l, uint16(code), reason)
	l.Counters.closed(code)
}

// lastFrame queues a close frame: nothing follows it.
func (s *Session) lastFrame(l *Loop, code uint16, reason string) {
	s.leave(l)
	if s.output != nil {
		s.output.gap = nil
	}
	s.state = stateClosing
	s.deadline = l.seconds() + secondsOf(closeTimeout)
	s.push(l, raw(l, kindOther, func(dst []byte) []byte { return ws.AppendClose(dst, code, reason) }))
}

// closeFor is close with an error frame before it that says why in the terms of
// the protocol.
func (s *Session) closeFor(l *Loop, code backplane.Code, message string) {
	if s.state != stateOpen {
		return
	}
	s.push(l, s.frameEntry(l, kindOther, func(dst []byte) []byte {
		return codec.AppendError(dst, s.encoding, &codec.ErrorFrame{Code: code, Message: message})
	}))
	s.close(l, codec.CloseFor(code), message)
}

// closeNormal answers a close frame without a code (RFC 6455, section 7.4.1).
const closeNormal = 1000

// fail is close for a client that broke the framing: nothing more of it can be
// understood, so its close frame is not awaited (RFC 6455, section 7.1.7).
func (s *Session) fail(l *Loop, code codec.CloseCode, reason string) {
	s.close(l, code, reason)
	s.ending(l, Linger)
}

// ending: the connection ends as soon as the outbox is empty.
func (s *Session) ending(l *Loop, e End) {
	s.state, s.end = stateEnding, e
	s.deadline = l.seconds() + secondsOf(closeTimeout)
}

// peerClosed handles the client's close frame: it is answered with the same code,
// unless it is the answer to ours.
func (s *Session) peerClosed(l *Loop, code uint16) {
	if s.state == stateOpen {
		if code == ws.CloseNoStatus {
			code = closeNormal
		}
		s.lastFrame(l, code, "")
		l.Counters.closedByClient()
	}
	s.ending(l, Hangup)
}

// Drain closes the session for the node's shutdown: at once, or as soon as the
// sends on their way to the log are answered. Who has not sent a whole request yet
// is refused.
func (s *Session) Drain(l *Loop) {
	switch {
	case s.state == stateRequest:
		s.respond(l, RefusedDraining, http.StatusServiceUnavailable, "the node is stopping\n")
		s.answeredRequest(l)
	case s.state == stateOpen:
		s.leaveAs(l, leavesNode)
	}
}

// Move tells a client whose user another node serves where that is, and closes the
// session as soon as its sends on their way to the log are answered. Where this node
// serves the user it does nothing.
func (s *Session) Move(l *Loop) {
	if s.state != stateOpen || s.farewell != stays {
		return
	}
	place := l.deps.Placement.Load()
	if role := place.Role(s.partition); role == placement.Owner || role == placement.Next {
		return
	}
	s.pushMoved(l, movedTo(place, s.partition))
	s.leaveAs(l, leavesForNode)
}

// leaveAs begins the farewell.
func (s *Session) leaveAs(l *Loop, why farewell) {
	if s.farewell == stays {
		s.farewell = why
		if s.producing == 0 {
			s.sayGoodbye(l)
		}
	}
}

func (s *Session) sayGoodbye(l *Loop) {
	if s.farewell == leavesForNode {
		s.close(l, codec.CloseMoved, "another node serves the user now")
	} else {
		s.closeFor(l, backplane.CodeShutdown, "the node is stopping; connect again")
	}
}

// TellDegraded tells the client that the node has lost its log.
func (s *Session) TellDegraded(l *Loop) {
	if s.state != stateOpen {
		return
	}
	s.push(l, s.frameEntry(l, kindOther, func(dst []byte) []byte {
		return codec.AppendError(dst, s.encoding, &codec.ErrorFrame{Code: codec.CodeDegraded, Message: "the node has lost its log; another one may serve you"})
	}))
}

// leaving returns the code for what cannot be done any more, because the session is about
// to be closed; empty if it is not.
func (s *Session) leaving(l *Loop) backplane.Code {
	switch {
	case s.farewell == leavesForNode:
		return codec.CodeNotOwner
	case s.farewell == leavesNode, l.draining:
		return backplane.CodeShutdown
	}
	return ""
}
