package session

import (
	"errors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// send starts a message on its way into the log. A place for its ack is reserved.
func (s *Session) send(l *Loop, f *codec.Send) {
	if code := s.leaving(l); code != "" {
		s.reject(l, f.ID, code)
		return
	}
	if l.deps.Degraded() {
		s.reject(l, f.ID, codec.CodeDegraded)
		return
	}
	if s.limited() {
		s.reject(l, f.ID, codec.CodeRateLimited)
		return
	}
	for _, u := range f.To {
		if string(u) == s.user() {
			s.reject(l, f.ID, codec.CodeRecipientIsSender)
			return
		}
	}
	m := &l.message
	*m = backplane.Message{From: append(m.From[:0], s.user()...), To: f.To, ID: f.ID, Kind: f.Kind, TTL: f.TTL, Body: f.Body}
	m.MessageID = backplane.Identify(s.deviceName(l), m)
	l.value = backplane.AppendMessage(l.value[:0], m)

	a := l.takeAnswer(s)
	if a == nil {
		s.reject(l, f.ID, backplane.CodeOverloaded)
		return
	}
	a.idLen = uint8(copy(a.id[:], f.ID))
	a.message = m.MessageID
	err := l.deps.Producer.Produce(&backplane.Send{
		ID: m.MessageID, From: m.From, To: m.To, Value: l.value, Session: s.id,
	}, a)
	if err != nil {
		l.giveAnswer(a)
		code := backplane.CodeOverloaded
		if r := (*backplane.Rejection)(nil); errors.As(err, &r) {
			code = r.Code
		}
		s.reject(l, f.ID, code)
		return
	}
	s.producing++
}

// deviceName returns the name of the device for the message id: without a name the
// session's id stands in for it, and a retry is known within the session only.
func (s *Session) deviceName(l *Loop) []byte {
	if s.device() != "" {
		l.scratch = append(l.scratch[:0], s.device()...)
	} else {
		l.scratch = codec.AppendSessionID(l.scratch[:0], s.id)
	}
	return l.scratch
}

// answered sends the ack of a send whose outcome is known.
func (s *Session) answered(l *Loop, a *Answer) {
	s.producing--
	s.ack(l, &codec.Ack{
		ID: a.id[:a.idLen], Status: a.outcome.Status, Code: a.outcome.Code,
		MessageID: a.message, Time: a.outcome.Time,
	})
	if s.farewell != stays && s.producing == 0 {
		s.sayGoodbye(l)
	}
}

// reject answers a send that was not even tried.
func (s *Session) reject(l *Loop, id []byte, code backplane.Code) {
	s.ack(l, &codec.Ack{ID: id, Status: backplane.Rejected, Code: code})
}

func (s *Session) ack(l *Loop, a *codec.Ack) {
	l.Counters.acked(a.Status)
	if s.state != stateOpen {
		s.answers-- // a close is in the outbox already, and nothing may follow it
		return
	}
	e := s.frameEntry(l, kindAnswer, func(dst []byte) []byte { return codec.AppendAck(dst, s.encoding, a) })
	s.pushHeld(l, e, a.Status == backplane.Stored && s.holdAck())
}
