package session

import (
	"errors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/registry"
)

// Session is one connection. Its size matters: a node has a million, most of them
// idle. What only a busy one needs is in input and output, which are borrowed from the
// loop. The zero value is not usable; Open makes it so.
type Session struct {
	// Static once set: at Open, or when the user is known.
	handle    registry.Handle
	id        uint64
	names     string // the user's id, and the device's name
	userLen   uint8
	encoding  codec.Encoding
	partition backplane.Partition

	// What comes in and is incomplete, and what goes out; nil when there is nothing.
	input  *input
	output *output
	catch  *catchUp // of a connection that is not live

	answers   uint16 // answers in the outbox or being worked out
	producing uint16 // of those, sends that are on their way to the log
	pages     uint8  // of those, pages: at most maxPages

	state    state
	end      End
	farewell farewell
	gaps     bool // what has no room is dropped and told, not read again
	ahead    int8 // acks put before their copies, less copies put before their acks: see hold

	// Where the client is in its timeline. Offsets are of partition.
	seq       uint64
	watermark int64 // the last record given to this connection, delivered or dropped
	told      int64 // the last offset told to the client

	// Times, in seconds of the loop's clock.
	toldAt   uint32 // when the cursor told was that of the present
	lastRead uint32
	pingedAt uint32 // when an idle client was pinged, 0 when it was not
	deadline uint32 // of the token while open; before, of the upgrade; after, of the close

	// The bucket of frames that the client may send: see limited.
	tokens   float32
	tokensAt uint32 // milliseconds modulo 2^32
}

// farewell says why a session is about to be closed, as soon as its sends are answered.
type farewell uint8

const (
	stays farewell = iota
	// leavesNode: the node stops.
	leavesNode
	// leavesForNode: another node serves the user.
	leavesForNode
)

type state uint8

const (
	// stateRequest: the request is incomplete.
	stateRequest state = iota
	// stateVerifying: the request is complete, and its token is being checked elsewhere, or
	// the place where the connection is to begin.
	stateVerifying
	// stateOpen: welcomed.
	stateOpen
	// stateClosing: the last frame, a close, is in the outbox or was sent; the
	// client's close is awaited.
	stateClosing
	// stateEnding: nothing more is read; the connection ends with the outbox.
	stateEnding
)

// End says what is to become of the connection when its outbox is empty.
type End uint8

const (
	// Stay: it goes on.
	Stay End = iota
	// Linger: nothing more will be written. Shut down the sending side and go on
	// reading, to no purpose, until the client closes or the deadline passes: if
	// the socket were closed with bytes of the client unread, the kernel would
	// send a reset, and the client could lose the close frame that says why.
	Linger
	// Hangup: the closing handshake is complete, close the socket.
	Hangup
)

// Open begins a session on a new connection.
func (s *Session) Open(l *Loop, h registry.Handle) {
	now := l.seconds()
	*s = Session{
		handle:   h,
		id:       newID(),
		lastRead: now,
		deadline: now + secondsOf(l.config.UpgradeTimeout),
	}
}

// Handle returns the connection's handle.
func (s *Session) Handle() registry.Handle { return s.handle }

// Receive takes bytes that the client sent. It may overwrite them, and keeps none.
func (s *Session) Receive(l *Loop, p []byte) {
	s.lastRead, s.pingedAt = l.seconds(), 0
	switch s.state {
	case stateRequest:
		s.request(l, p)
	case stateVerifying:
		s.keepEarly(l, p)
	case stateOpen, stateClosing:
		s.frames(l, p)
	}
}

// Closed releases what the session holds; the connection is gone.
func (s *Session) Closed(l *Loop) {
	s.leave(l)
	s.endCatchUp(l)
	s.dropInput(l)
	s.dropOutput(l)
	s.state = stateEnding
}

func (s *Session) user() string   { return s.names[:s.userLen] }
func (s *Session) device() string { return s.names[s.userLen:] }

// leave takes the session out of the registry.
func (s *Session) leave(l *Loop) {
	if s.names != "" && l.deps.Registry.Remove(s.user(), s.handle) {
		l.Counters.Sessions.Add(-1)
	}
}

func (s *Session) event(l *Loop, ev ws.Event) {
	switch {
	case ev.Op == ws.Close:
		s.peerClosed(l, ev.Code)
	case s.state == stateClosing:
		// We said close; what the client still sends is not for us.
	case s.flooding(l):
		s.closeFor(l, codec.CodeRateLimited, "more frames than welcome.limits allows, for too long")
	case ev.Op == ws.Pong:
	case !s.reserve(l):
	case ev.Op == ws.Ping:
		s.push(l, raw(l, kindAnswer, func(dst []byte) []byte { return ws.AppendFrame(dst, ws.Pong, ev.Payload) }))
	case (ev.Op == ws.Text) != s.encoding.Text():
		s.refuseFrame(l, codec.CodeBadFrame, "the other kind of message belongs to the subprotocol that was agreed on")
	default:
		s.clientFrame(l, ev.Payload)
	}
}

// clientFrame handles a frame of the protocol. A place for its answer is reserved.
func (s *Session) clientFrame(l *Loop, payload []byte) {
	f := &l.frame
	if err := l.decoder.Decode(s.encoding, payload, &l.codecLimits, f); err != nil {
		var e *codec.Error
		errors.As(err, &e)
		l.Counters.BadFrames.Add(1)
		if e.ID != nil && e.Type == codec.FrameHistory {
			s.refusePage(l, e.ID, e.Code)
		} else if e.ID != nil {
			s.reject(l, e.ID, e.Code)
		} else {
			s.refuseFrame(l, e.Code, e.Detail)
		}
		return
	}
	switch f.Type {
	case codec.FrameSend:
		s.send(l, &f.Send)
	case codec.FrameHistory:
		s.history(l, &f.History)
	case codec.FrameRefresh:
		s.refresh(l, f.Token)
	case codec.FramePing:
		s.push(l, s.frameEntry(l, kindAnswer, func(dst []byte) []byte { return codec.AppendPong(dst, s.encoding) }))
	}
}

// refuseFrame answers a frame that has no id to be answered by.
func (s *Session) refuseFrame(l *Loop, code backplane.Code, detail string) {
	s.push(l, s.frameEntry(l, kindAnswer, func(dst []byte) []byte {
		return codec.AppendError(dst, s.encoding, &codec.ErrorFrame{Code: code, Message: detail})
	}))
}

// flooding takes one frame out of the client's bucket, and reports whether the
// client is so far beyond its rate that it must go.
func (s *Session) flooding(l *Loop) bool {
	perSecond, most := l.config.Rate.load()
	if perSecond == 0 {
		s.tokens = 0
		return false
	}
	rate, burst := float32(perSecond), float32(most)
	now := uint32(l.Now)
	s.tokens = min(burst, s.tokens+float32(now-s.tokensAt)*rate/1000)
	s.tokensAt = now
	s.tokens--
	return s.tokens < -burst
}

// limited reports whether the frame at hand is beyond the client's rate.
func (s *Session) limited() bool { return s.tokens < 0 }
