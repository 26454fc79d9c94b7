package session

import (
	"net/http"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// begin is where in its timeline a connection begins that does not begin at the present.
type begin struct {
	after   int64
	resumed bool // a cursor was given, and everything after it is there
	behind  bool // it is known that something lies between after and the present
}

// place finds out where the connection is to begin. wait says that this has to be worked
// out elsewhere: then resolved goes on.
//
// Nearly all who come back were away for a moment only. For them the tail knows everything
// since, and most have missed nothing: that is one look at it.
func (s *Session) place(l *Loop, h hello, claims auth.Claims) (b *begin, wait bool, why *refusal) {
	var r *Reading
	switch {
	case h.cursor != nil:
		end := l.deps.Tails.End(s.partition)
		after, code := codec.ResolveCursor(h.cursor, end.Generation, s.partition)
		if code != "" {
			return nil, false, refuseCursor(code)
		}
		if after >= l.deps.Tails.Partition(s.partition).Floor() && after <= end.Offset {
			return &begin{after: after, resumed: true}, false, nil
		}
		r = &Reading{Kind: ReadResume, After: after}
	case h.start > 0:
		r = &Reading{Kind: ReadLast, After: -1, Limit: int(h.start)}
	default:
		return nil, false, nil
	}
	if !s.read(l, r) {
		return nil, false, refuse(RefusedOverloaded, "too many connections are being resumed")
	}
	r.answer.claims = claims
	return nil, true, nil
}

// behindOf reports whether a connection that begins at b has something to catch up with.
// The session is registered: what the tail does not have yet comes live.
func (s *Session) behindOf(l *Loop, b *begin) bool {
	tail := l.deps.Tails.Partition(s.partition)
	newest := tail.Newest([]byte(s.user())) // before Floor: see tail.Tail.Newest
	return b.behind || newest > b.after || tail.Floor() > b.after
}

func refuseCursor(code backplane.Code) *refusal {
	why := refuse(RefusedCursor, "the cursor is not one of this user's")
	if why.code = code; code == codec.CodeUnknownCursor {
		why.message = "the cursor is of another log, or lies beyond the end of this one"
	}
	return why
}

// resolved goes on with a request, now that it is known where the connection begins.
func (s *Session) resolved(l *Loop, r *Reading, a *Answer) {
	if s.state != stateVerifying {
		return
	}
	s.kept(l, func(head, early []byte, request *ws.Request, h hello) {
		switch why := s.elsewhere(l, h); {
		case why != nil: // by now
			s.refuseHello(l, head, request, h, why)
		case r.Code == codec.CodeUnknownCursor:
			s.refuseHello(l, head, request, h, refuseCursor(r.Code))
		case r.Code != "":
			why := refuse(RefusedHistory, "what the connection is to begin with cannot be read now")
			why.code, why.status = r.Code, http.StatusServiceUnavailable
			s.refuseHello(l, head, request, h, why)
		default:
			s.enter(l, head, early, request, h, a.claims, &begin{
				after: r.After, behind: true, resumed: r.Kind == ReadResume && r.Gone <= r.After,
			})
		}
	})
}
