package session

import (
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/placement"
)

// admit lets a client in whose token is good, if its user lives here.
func (s *Session) admit(l *Loop, head, early []byte, r *ws.Request, h hello, claims auth.Claims) {
	s.partition = backplane.PartitionOf(claims.User, l.deps.Placement.Load().N())
	if why := s.elsewhere(l, h); why != nil {
		s.refuseHello(l, head, r, h, why)
		return
	}
	// One string for both, since both live as long as the session.
	s.names, s.userLen = claims.User+string(h.device), uint8(len(claims.User))
	s.encoding = h.encoding
	b, wait, why := s.place(l, h, claims)
	switch {
	case wait:
		s.keep(l, head, early)
	case why != nil:
		s.refuseHello(l, head, r, h, why)
	default:
		s.enter(l, head, early, r, h, claims, b)
	}
}

// elsewhere returns why the user cannot be served here and now, nil if that is possible.
//
// The owner of a partition takes its users in, and so does the next owner once it is
// ready, because it will be the owner by the time that others know it. The owner before
// sends them on: where they go, they are taken in.
func (s *Session) elsewhere(l *Loop, h hello) *refusal {
	place := l.deps.Placement.Load()
	role := place.Role(s.partition)
	switch {
	case h.mapVersion > place.Version():
		return refuse(RefusedNotReady, "this node does not know yet what has sent you here; it will in a moment")
	case (role == placement.Owner || role == placement.Next) && l.deps.Reached(s.partition):
		return nil
	case role == placement.Owner:
		return refuse(RefusedNotReady, "this node is still reading what the user may have missed")
	}
	moved := movedTo(place, s.partition)
	if moved.URL == "" {
		return refuse(RefusedNotReady, "no node serves the user at present")
	}
	why := refuse(RefusedNotOwner, "the user is served by node "+moved.Node)
	why.moved = moved
	return why
}

// movedTo returns where the users of a partition are served.
func movedTo(place *placement.Map, p backplane.Partition) *codec.Moved {
	node, url := place.Owner(p)
	return &codec.Moved{URL: url, Node: node, MapVersion: place.Version()}
}

// enter welcomes a client. Its connection begins at b, nil for the present.
func (s *Session) enter(l *Loop, head, early []byte, r *ws.Request, h hello, claims auth.Claims, b *begin) {
	if err := s.upgrade(l, head, h); err != nil {
		s.refuseRequest(l, err)
		return
	}
	s.gaps = h.overflow == codec.OverflowGap
	s.deadline = l.expiry(claims)
	_, burst := l.config.Rate.load()
	s.tokens, s.tokensAt = float32(burst), uint32(l.Now)
	s.state = stateOpen

	// First register, then read where the log is: see tail.Tails.End.
	l.deps.Registry.Add(s.user(), s.handle)
	l.Counters.Sessions.Add(1)
	at := l.deps.Tails.End(s.partition)
	resumed := false
	if b != nil {
		at.Offset, resumed = b.after, b.resumed
	}
	s.watermark = at.Offset
	s.tellOffset(l, at.Offset)
	l.Counters.Upgrades.Add(1)
	s.push(l, s.frameEntry(l, kindOther, func(dst []byte) []byte {
		return codec.AppendWelcome(dst, s.encoding, &codec.Welcome{
			Session:    s.id,
			User:       s.user(),
			Node:       l.config.Node,
			MapVersion: l.deps.Placement.Load().Version(),
			Cursor:     codec.AppendCursor(nil, at),
			Resumed:    resumed,
			Limits:     l.config.welcomeLimits(),
			Heartbeat:  l.config.Heartbeat,
		})
	}))
	if b != nil && s.behindOf(l, b) {
		s.beginCatchUp(l)
		s.catchOn(l)
	}
	s.frames(l, early)
}

// expiry returns when a token expires, on the loop's clock. It rounds up: whoever is told
// that its token has expired must not be let in with it again.
func (l *Loop) expiry(c auth.Claims) uint32 {
	at := l.Now + c.Expires.Sub(l.Wall).Milliseconds()
	return uint32(min(max((at+999)/1000, 0), 1<<32-1))
}

// refresh replaces the session's token. A place for an answer is reserved; a token
// that is good gets none.
func (s *Session) refresh(l *Loop, token []byte) {
	if s.limited() {
		s.refuseFrame(l, codec.CodeRateLimited, "more frames than welcome.limits allows")
		return
	}
	text := string(token)
	v := l.deps.Verifier
	if v.Fast() {
		claims, err := v.Verify(text, l.Wall)
		s.refreshed(l, claims, err)
		return
	}
	if claims, ok := v.Cached(text, l.Wall); ok {
		s.refreshed(l, claims, nil)
		return
	}
	if !s.verifyLater(l, text) {
		s.refuseFrame(l, backplane.CodeOverloaded, "too many tokens are waiting to be verified")
	}
}

// refreshed takes the verified token of a refresh.
func (s *Session) refreshed(l *Loop, claims auth.Claims, err error) {
	switch {
	case err != nil:
		why := tokenRefusal(err)
		s.refuseFrame(l, why.code, why.message)
	case claims.User != s.user():
		s.refuseFrame(l, codec.CodeUnauthorized, "the token is of another user")
	default:
		s.answers--
		s.deadline = l.expiry(claims)
	}
}
