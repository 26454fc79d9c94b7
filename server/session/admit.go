package session

import (
	"strings"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// admit lets a client in whose token is good, if its user lives here.
func (s *Session) admit(l *Loop, head, early []byte, r *ws.Request, h hello, claims auth.Claims) {
	switch {
	case l.draining:
		s.refuseHello(l, head, r, h, refuse(RefusedDraining, "the node is stopping"))
		return
	case !l.deps.Ready():
		s.refuseHello(l, head, r, h, refuse(RefusedNotReady, "the node is not ready yet"))
		return
	}
	place := l.deps.Placement
	partition, node, url := place.Lookup(claims.User)
	if !place.Local(partition) {
		why := refuse(RefusedNotOwner, "the user is served by node "+node)
		why.moved = &codec.Moved{URL: url, Node: node, MapVersion: place.Version()}
		s.refuseHello(l, head, r, h, why)
		return
	}
	if !s.upgrade(l, head, h) {
		_, err := ws.Upgrade(head, "", nil)
		s.refuseRequest(l, err)
		return
	}
	// One string for both, since both live as long as the session.
	both := claims.User + string(h.device)
	s.user, s.device = both[:len(claims.User)], both[len(claims.User):]
	s.partition = partition
	s.expires = expiry(claims)
	s.tokens, s.tokensAt = float32(l.config.Burst), uint32(l.Now)
	s.state = stateOpen

	// First register, then read where the log is: see delivery.Tails.
	l.deps.Registry.Add(s.user, s.handle)
	l.Counters.Sessions.Add(1)
	end := l.deps.Tails.End(partition)
	s.watermark = end.Offset
	s.tellOffset(l, end.Offset)
	l.Counters.Upgrades.Add(1)
	s.push(l, s.frameEntry(l, kindOther, func(dst []byte) []byte {
		return codec.AppendWelcome(dst, s.encoding, &codec.Welcome{
			Session:    s.id,
			User:       s.user,
			Node:       l.config.Node,
			MapVersion: place.Version(),
			Cursor:     codec.AppendCursor(nil, end),
			Limits:     l.config.welcomeLimits(),
			Heartbeat:  l.config.Heartbeat,
		})
	}))
	s.frames(l, early)
}

func expiry(c auth.Claims) uint32 {
	return uint32(min(max(c.Expires.Unix(), 0), 1<<32-1))
}

// refresh replaces the session's token. A place for an answer is reserved; a token
// that is good gets none.
func (s *Session) refresh(l *Loop, token []byte) {
	text := strings.Clone(string(token))
	v := l.deps.Verifier
	if v.Fast() {
		claims, err := v.Verify(text, l.time())
		s.refreshed(l, claims, err)
		return
	}
	if claims, ok := v.Cached(text, l.time()); ok {
		s.refreshed(l, claims, nil)
		return
	}
	if a := l.takeAnswer(s); a == nil {
		s.refuseFrame(l, codec.CodeRateLimited, "too many tokens are waiting to be verified")
	} else if !l.deps.VerifyLater(text, a) {
		l.giveAnswer(a)
		s.refuseFrame(l, codec.CodeRateLimited, "too many tokens are waiting to be verified")
	}
}

// refreshed takes the verified token of a refresh.
func (s *Session) refreshed(l *Loop, claims auth.Claims, err error) {
	switch {
	case err != nil:
		why := tokenRefusal(err)
		s.refuseFrame(l, why.code, why.message)
	case claims.User != s.user:
		s.refuseFrame(l, codec.CodeUnauthorized, "the token is of another user")
	default:
		s.answers--
		s.expires = expiry(claims)
	}
}
