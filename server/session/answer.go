package session

import (
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/auth"
)

// Answer is one of a loop's credits: a place for the answer to something that is
// worked out elsewhere. A session takes one before the work begins; whoever does
// the work fills it in and sends it down the loop's lane, where it finds room for
// certain; the loop takes it and has its credit back.
type Answer struct {
	lane Lane

	// Handle is the connection that waits; it may be gone when the answer comes.
	Handle registry.Handle

	// Of a send.
	id      [backplane.MaxClientID]byte
	idLen   uint8
	message backplane.MessageID
	outcome backplane.Outcome

	// Of a token.
	verified bool
	claims   auth.Claims
	err      error

	// Of a question about the timeline; nil otherwise. The claims are those of the
	// request that waits for it.
	reading *Reading
}

// Done is the answer to a send; see backplane.Waiter.
func (a *Answer) Done(o backplane.Outcome) {
	a.outcome = o
	a.lane.Answer(a)
}

// Verified is the answer to a token. Any goroutine may call it, once.
func (a *Answer) Verified(c auth.Claims, err error) {
	a.verified, a.claims, a.err = true, c, err
	a.lane.Answer(a)
}

// Take hands an answer to its session, nil if the connection has gone, and takes
// the credit back.
func (l *Loop) Take(a *Answer, s *Session) {
	if a.reading != nil {
		l.answeredReading(a, s)
	} else if s != nil {
		if a.verified {
			s.verified(l, a.claims, a.err)
		} else {
			s.answered(l, a)
		}
	}
	l.giveAnswer(a)
}
