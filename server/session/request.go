package session

import (
	"errors"
	"net/http"

	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// The paths of the public port.
const (
	PathConnect = "/v1/connect"
	PathRoute   = "/v1/route"
	PathHealth  = "/healthz"
)

// request takes bytes until the head of the request is complete. A head that comes
// whole, as nearly all do, is not copied.
func (s *Session) request(l *Loop, p []byte) {
	from := len(s.requested())
	if from > 0 {
		p = s.appendRequest(l, p) // by at most the reactor's read buffer
	}
	end := ws.HeadEnd(p, from)
	switch {
	case end > ws.MaxHead, end < 0 && len(p) >= ws.MaxHead:
		s.respond(l, RefusedRequest, http.StatusRequestHeaderFieldsTooLarge, "the head of the request is too long")
	case end > 0:
		s.handleRequest(l, p[:end], p[end:])
	case from == 0:
		s.appendRequest(l, p)
	}
	if s.state != stateRequest && s.state != stateVerifying {
		s.answeredRequest(l)
	}
}

// handleRequest answers a complete request. early is what came after its head.
func (s *Session) handleRequest(l *Loop, head, early []byte) {
	r, err := ws.ParseRequest(head)
	if err != nil {
		s.refuseRequest(l, err)
		return
	}
	if string(r.Path) != PathConnect {
		s.plainRequest(l, &r)
		return
	}
	h, refusal := parseHello(&r)
	if refusal != nil {
		s.refuseHello(l, head, &r, h, refusal)
		return
	}
	if refusal := notServing(l); refusal != nil {
		s.refuseHello(l, head, &r, h, refusal)
		return
	}
	token := string(h.token)
	if !l.deps.Verifier.Fast() {
		claims, ok := l.deps.Verifier.Cached(token, l.Wall)
		if ok {
			s.admit(l, head, early, &r, h, claims)
			return
		}
		s.keepRequest(l, head, early, &r, h, token)
		return
	}
	claims, err := l.deps.Verifier.Verify(token, l.Wall)
	if err != nil {
		s.refuseHello(l, head, &r, h, tokenRefusal(err))
		return
	}
	s.admit(l, head, early, &r, h, claims)
}

// verifyLater has a token verified elsewhere. It reports false when too many are
// waiting for that.
func (s *Session) verifyLater(l *Loop, token string) bool {
	a := l.takeAnswer(s)
	if a == nil {
		return false
	}
	if !l.deps.VerifyLater(token, a) {
		l.giveAnswer(a)
		return false
	}
	return true
}

// keepRequest keeps the request until its token has been verified elsewhere.
func (s *Session) keepRequest(l *Loop, head, early []byte, r *ws.Request, h hello, token string) {
	if !s.verifyLater(l, token) {
		s.refuseHello(l, head, r, h, refuse(RefusedOverloaded, "too many tokens are waiting to be verified"))
		return
	}
	s.keep(l, head, early)
}

// keep keeps the request until what it waits for is known.
func (s *Session) keep(l *Loop, head, early []byte) {
	if s.requested() == nil {
		s.appendRequest(l, head)
		s.appendRequest(l, early)
	}
	s.state = stateVerifying
}

// keepEarly keeps what the client sends before it is welcomed.
func (s *Session) keepEarly(l *Loop, p []byte) {
	if len(s.requested())+len(p) > ws.MaxHead+earlyBytes {
		s.respond(l, RefusedRequest, http.StatusRequestEntityTooLarge, "wait for the answer before sending so much")
		s.answeredRequest(l)
		return
	}
	s.appendRequest(l, p)
}

// verified takes the answer of VerifyLater: to the request, or to a refresh.
func (s *Session) verified(l *Loop, claims auth.Claims, err error) {
	switch s.state {
	case stateOpen:
		s.refreshed(l, claims, err)
		return
	case stateVerifying:
	default:
		return
	}
	s.kept(l, func(head, early []byte, r *ws.Request, h hello) {
		if err != nil {
			s.refuseHello(l, head, r, h, tokenRefusal(err))
		} else {
			s.admit(l, head, early, r, h, claims)
		}
	})
}

// kept goes on with a request that was kept, unless the node has ceased to serve.
func (s *Session) kept(l *Loop, f func(head, early []byte, r *ws.Request, h hello)) {
	s.state = stateRequest
	p := s.requested()
	end := ws.HeadEnd(p, 0)
	r, _ := ws.ParseRequest(p[:end]) // it was parsed before
	h, _ := parseHello(&r)
	if refusal := notServing(l); refusal != nil {
		s.refuseHello(l, p[:end], &r, h, refusal)
	} else {
		f(p[:end], p[end:], &r, h)
	}
	if s.state != stateVerifying {
		s.answeredRequest(l)
	}
}

// refuseRequest answers a request that the protocol library does not accept.
func (s *Session) refuseRequest(l *Loop, err error) {
	status, detail := http.StatusBadRequest, err.Error()
	if e := (*ws.RequestError)(nil); errors.As(err, &e) {
		status = e.Status
	}
	s.respond(l, RefusedRequest, status, detail)
}

// respond answers with a complete HTTP response, after which the connection ends.
func (s *Session) respond(l *Loop, reason RefusalReason, status int, body string, header ...[2]string) {
	if reason != notRefused {
		l.Counters.Refused(reason)
	}
	s.push(l, raw(l, kindOther, func(dst []byte) []byte { return ws.AppendResponse(dst, status, body, header...) }))
	s.ending(l, Linger)
}
