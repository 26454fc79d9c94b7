package client

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// The texts of all errors are one line without control characters, whatever the server
// sent: they end up on terminals and in logs.

var (
	// ErrClosed is what Send, History and Refresh return once Run has returned; the error that
	// ended Run, if any, is wrapped with it.
	ErrClosed = errors.New("client: the client is closed")

	// ErrIDInUse is what Send returns for an id with which another send, of another
	// content, awaits its ack.
	ErrIDInUse = errors.New("client: the id is in use by another send")

	// ErrNoAnswer ends a connection on which nothing came after a ping.
	ErrNoAnswer = errors.New("client: the server does not answer")
)

// RejectedError says that a message was not stored, for certain.
type RejectedError struct {
	ID   string
	Code backplane.Code
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("client: send %q rejected: %s", e.ID, describe(e.Code))
}

// UnknownError says that nobody knows whether a message was stored for all whom it
// concerns. Sending it again with the same ID and content settles that, and makes no
// second message as long as it is within a minute. After that, look for it with
// Client.History first.
type UnknownError struct {
	ID string
	// Found says that the message is in the sender's own timeline: it is stored for the
	// sender at least. False does not say that it is not.
	Found bool
	// Code is the last that the server gave, if any.
	Code backplane.Code
	// Err is why Send did not go on trying.
	Err error
}

func (e *UnknownError) Error() string {
	s := fmt.Sprintf("client: the outcome of send %q is unknown", e.ID)
	if e.Code != "" {
		s += ": " + describe(e.Code)
	}
	s += ": " + e.Err.Error()
	if e.Found {
		s += "; it is in the sender's timeline"
	}
	return s
}

func (e *UnknownError) Unwrap() error { return e.Err }

// The reasons for which Send gives up that are no errors of their own.
var (
	errWindowOver   = fmt.Errorf("no answer that settles it within %v", sendWindow)
	errNotRetryable = errors.New("the server would refuse another attempt")
)

// ServerError is what the server says is wrong without an ack for it, such as the token
// of a Refresh.
type ServerError struct {
	Code    backplane.Code
	Message string
}

func (e *ServerError) Error() string {
	return printable("client: the server says " + string(e.Code) + ": " + e.Message)
}

// SequenceError says that the deliveries numbered Want to Got-1 neither arrived nor were
// told to be lost, or, when Got is below Want, that numbers came twice. Either is a
// mistake of the server.
type SequenceError struct{ Want, Got uint64 }

func (e *SequenceError) Error() string {
	return fmt.Sprintf("client: the server went on with number %d where %d was due", e.Got, e.Want)
}

// RefusedError is an answer by HTTP that refuses the connection.
type RefusedError struct {
	Status int
	Code   backplane.Code // empty if the body gives none
	// Message is for people: the body, or its part behind the code.
	Message string
	// RetryAfter is how long the server asks to wait, 0 if it does not.
	RetryAfter time.Duration
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("client: connection refused with status %d", e.Status)
	switch {
	case e.Code != "":
		return s + ": " + string(e.Code) + ": " + e.Message
	case e.Message != "":
		return s + ": " + e.Message
	case http.StatusText(e.Status) != "":
		return s + " " + http.StatusText(e.Status)
	}
	return s
}

// CloseError says that the server closed the connection.
type CloseError struct {
	Code   codec.CloseCode // 1005 if it gave none
	Reason string
	// Cause is the code of the last error frame on the connection, if any.
	Cause backplane.Code
}

func (e *CloseError) Error() string {
	s := fmt.Sprintf("client: the server closed the connection with code %d", e.Code)
	if e.Cause != "" {
		s += ": " + string(e.Cause)
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return printable(s)
}

// MovedError says that the user is served by another node.
type MovedError struct {
	URL        string
	Node       string // empty if not told
	MapVersion uint64 // 0 if not told
	// RetryAfter is how long to wait before connecting there.
	RetryAfter time.Duration
}

// movedError returns what a moved says.
func movedError(m *codec.Moved) *MovedError {
	return &MovedError{URL: m.URL, Node: m.Node, MapVersion: m.MapVersion, RetryAfter: min(m.RetryAfter, maxPause)}
}

func (e *MovedError) Error() string {
	return fmt.Sprintf("client: the user is served at %q", e.URL)
}

// RouteError says that no node tells who serves the user.
type RouteError struct{ Errs []error } // of the nodes that were asked

func (e *RouteError) Error() string {
	s := "client: no node tells the route"
	for i, err := range e.Errs {
		s += [2]string{": ", "; "}[min(i, 1)] + err.Error()
	}
	return printable(s)
}

func (e *RouteError) Unwrap() []error { return e.Errs }

// ProtocolError says that the server broke the rules of the protocol.
type ProtocolError struct{ Err error }

func (e *ProtocolError) Error() string {
	return "client: the server broke the protocol: " + e.Err.Error()
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// TokenError says that Options.Token failed.
type TokenError struct{ Err error }

func (e *TokenError) Error() string { return "client: there is no token: " + e.Err.Error() }

func (e *TokenError) Unwrap() error { return e.Err }

// describe returns a code with the sentence that explains it.
func describe(code backplane.Code) string {
	for _, c := range codec.Codes() {
		if c.Code == code {
			return string(code) + ": " + c.Text
		}
	}
	return printable(string(code))
}
