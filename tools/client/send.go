package client

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Send sends a message and waits until its outcome is known. It waits for a connection
// as long as ctx allows, and tries again for 20 s after its first attempt: when the server
// says that trying again may help, when the outcome is unknown, and when the connection
// is lost.
//
// A nil error means that the message is stored. A *RejectedError means that it is not, for
// certain. An *UnknownError means that it may be; before Send returns it, it looks for the
// message in the user's timeline for a few seconds, as long as ctx allows. Where ctx has
// ended or the Client is closed, the error wraps the cause; without an *UnknownError around
// it nothing was stored.
//
// Any goroutine may call it, also before Run.
func (c *Client) Send(ctx context.Context, m Outgoing) (Ack, error) {
	if m.ID == "" {
		m.ID = randomID()
	}
	if code := m.wrong(); code != "" {
		return Ack{}, &RejectedError{ID: m.ID, Code: code}
	}
	trying, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := sending{client: c, message: &m, cancel: cancel}
	defer s.stop()
	ack, err := s.run(trying)
	// A signal is in no history.
	if unknown := (*UnknownError)(nil); errors.As(err, &unknown) && ctx.Err() == nil && m.Kind != backplane.KindSignal {
		unknown.Found = c.find(ctx, s.messageID(), m.To[0], s.after)
	}
	return ack, err
}

// sending is a call of Send.
type sending struct {
	client  *Client
	message *Outgoing
	cancel  context.CancelCauseFunc

	window *time.Timer // ends the context when the time for attempts is over
	user   string      // the sender
	after  string      // a cursor that precedes the message, wherever it is stored
	// uncertain is set once an attempt may have been stored. From then on a rejection
	// says something about itself only, and settles nothing.
	uncertain bool
	code      backplane.Code // the last of the server
	pause     backoff
}

func (s *sending) stop() {
	if s.window != nil {
		s.window.Stop()
	}
}

func (s *sending) run(ctx context.Context) (Ack, error) {
	s.pause = backoff{min: sendPauseMin, max: sendPauseMax}
	for {
		k, err := s.client.connected(ctx)
		if err != nil {
			return Ack{}, s.failed(err)
		}
		a, err := s.attempt(ctx, k)
		switch {
		case errors.Is(err, errLost):
			continue // at once, on the next connection
		case err != nil:
			return Ack{}, s.failed(err)
		case a.status == backplane.Stored:
			return a.ack, nil
		}
		s.code = a.code
		s.uncertain = s.uncertain || a.status == backplane.Unknown
		if a.status == backplane.Rejected && !codec.Retryable(a.code) {
			return Ack{}, s.failed(errNotRetryable)
		}
		if s.client.current() != k {
			continue // at once: the next connection need not have the same to say
		}
		if err := sleep(ctx, s.pause.next()); err != nil {
			return Ack{}, s.failed(err)
		}
	}
}

// attempt sends the message once and returns the attempt with its ack.
func (s *sending) attempt(ctx context.Context, k *conn) (*attempt, error) {
	if code := s.message.exceeds(&k.welcome.Limits); code != "" {
		return &attempt{status: backplane.Rejected, code: code}, nil
	}
	if s.window == nil {
		s.user, s.after = k.welcome.User, s.client.received()
	}
	a, err := k.begin(ctx, s.message.ID, k.message(s.message.frame()))
	if err != nil {
		return nil, err
	}
	if s.window == nil {
		s.window = time.AfterFunc(sendWindow, func() { s.cancel(errWindowOver) })
	}
	if err := k.await(ctx, a); err != nil {
		s.uncertain = true
		return nil, err
	}
	return a, nil
}

// failed returns the error of Send, given why it gives up.
func (s *sending) failed(why error) error {
	switch {
	case s.uncertain:
		return &UnknownError{ID: s.message.ID, Code: s.code, Err: why}
	case why == errWindowOver, why == errNotRetryable:
		return &RejectedError{ID: s.message.ID, Code: s.code}
	}
	return why
}

// messageID returns the id that the server gives the message.
func (s *sending) messageID() backplane.MessageID {
	f := s.message.frame().Send
	return backplane.Identify([]byte(s.client.opts.Device), &backplane.Message{
		From: []byte(s.user), To: f.To, ID: f.ID, Kind: f.Kind, Body: f.Body,
	})
}

// wrong returns the code with which every server would reject the message, empty if it is
// all right. Invalid UTF-8 must not get as far as the encoder.
func (m *Outgoing) wrong() backplane.Code {
	switch {
	case len(m.ID) > backplane.MaxClientID || !utf8.ValidString(m.ID):
		return codec.CodeBadID
	case len(m.To) == 0:
		return codec.CodeNoRecipients
	case len(m.To) > backplane.MaxRecipients:
		return codec.CodeTooManyRecipients
	case len(m.Body) > backplane.MaxBody:
		return codec.CodeBodyTooLarge
	case !m.Kind.Valid():
		return codec.CodeBadKind
	case m.TTL < 0 || m.TTL > backplane.MaxTTL*time.Millisecond || m.TTL%time.Millisecond != 0:
		return codec.CodeBadTTL
	}
	for i, u := range m.To {
		if backplane.ValidUser([]byte(u)) != nil {
			return codec.CodeBadRecipient
		}
		if slices.Contains(m.To[:i], u) {
			return codec.CodeDuplicateRecipient
		}
	}
	return ""
}

// exceeds returns the code with which a server of these limits would reject the message.
// It must not be tried: a frame that is much too large costs the connection.
func (m *Outgoing) exceeds(l *codec.SessionLimits) backplane.Code {
	switch {
	case l.BodyBytes > 0 && len(m.Body) > int(l.BodyBytes):
		return codec.CodeBodyTooLarge
	case l.Recipients > 0 && len(m.To) > int(l.Recipients):
		return codec.CodeTooManyRecipients
	}
	return ""
}

func (m *Outgoing) frame() *codec.ClientFrame {
	to := make([][]byte, len(m.To))
	for i, u := range m.To {
		to[i] = []byte(u)
	}
	return &codec.ClientFrame{
		Type: codec.FrameSend,
		Send: codec.Send{ID: []byte(m.ID), To: to, Kind: m.Kind, TTL: m.TTL.Milliseconds(), Body: m.Body},
	}
}
