package admin

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// messages takes a message of a backend. The body of the request is
//
//	{"id":"...","from":"alice","to":["bob"],"kind":"message","body":"..."}
//
// with "body_base64" in place of "body" for bytes that are not text, and
// optionally "device". The members that a send frame has too follow its rules. The
// answer is an ack frame; where a send is refused, "message" in it may say more for
// people. The HTTP status says what to do:
//
//	200            stored
//	4xx            rejected: it would be refused again
//	429, 503       rejected, retry after a pause
//	504            unknown: retry with the same id, from, device and contents
//
// The message id is that of a send of user from on device (DefaultDevice if none
// is named), so a retry is known as one for backplane.DuplicateWindow, at whatever
// node it arrives. As with devices, an id is never used again for something else.
//
// A client that goes away before the answer cannot know whether its message was
// stored, exactly as after a 504.
func (s *Server) messages(w http.ResponseWriter, r *http.Request) {
	select {
	case s.sends <- struct{}{}:
		defer func() { <-s.sends }()
	default:
		reject(w, nil, backplane.CodeOverloaded, "too many sends wait at this port")
		return
	}
	a := &answer{done: make(chan backplane.Outcome, 1)}
	if !s.start(w, r, a) {
		return
	}
	select {
	case outcome := <-a.done:
		writeAck(w, &codec.Ack{
			ID: a.id, Status: outcome.Status, Code: outcome.Code,
			MessageID: a.message, Time: outcome.Time,
		}, "")
	case <-r.Context().Done():
		// The client went away, or the server was cut off. Done finds room in the
		// channel whenever it comes.
	}
}

// start reads a send and hands it to the producer. It reports whether an outcome
// will come; if not, it has answered. Nothing of the request's body is held when it
// returns.
func (s *Server) start(w http.ResponseWriter, r *http.Request, a *answer) bool {
	body, err := s.read(w, r)
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			reject(w, nil, codec.CodeFrameTooLarge, "the body of the request is larger than any valid send")
			return false
		}
		reject(w, nil, codec.CodeBadFrame, "the body of the request did not come whole")
		return false
	}
	var d codec.Decoder
	m, device, err := parseSend(&d, body, &s.limits)
	if err != nil {
		var e *codec.Error
		errors.As(err, &e)
		reject(w, e.ID, e.Code, e.Detail)
		return false
	}
	m.MessageID = backplane.Identify(device, &m)
	a.id, a.message = bytes.Clone(m.ID), m.MessageID
	err = s.config.Producer.Produce(&backplane.Send{
		ID: m.MessageID, From: m.From, To: m.To, Value: backplane.AppendMessage(nil, &m),
	}, a)
	if err != nil {
		code := backplane.CodeOverloaded
		if e := (*backplane.Rejection)(nil); errors.As(err, &e) {
			code = e.Code
		}
		reject(w, a.id, code, "")
		return false
	}
	return true
}

// read returns the body of a request, which is refused unread where its length is
// told and too large.
func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > s.bodyMax {
		return nil, &http.MaxBytesError{Limit: s.bodyMax}
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead) // which ReadFrom wants at the end
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, s.bodyMax))
	return buf.Bytes(), err
}

// answer waits for the outcome of a send. It implements backplane.Waiter.
type answer struct {
	id      []byte
	message backplane.MessageID
	done    chan backplane.Outcome // with room for the one outcome
}

// Done implements backplane.Waiter. It never blocks.
func (a *answer) Done(o backplane.Outcome) { a.done <- o }

// reject answers a send that was not tried. id is nil where none could be read.
func reject(w http.ResponseWriter, id []byte, code backplane.Code, message string) {
	writeAck(w, &codec.Ack{ID: id, Status: backplane.Rejected, Code: code}, message)
}

// writeAck answers with an ack frame, and a sentence for people in it if there is one.
func writeAck(w http.ResponseWriter, a *codec.Ack, message string) {
	body := codec.AppendAck(nil, codec.JSON, a)
	if message != "" {
		body = append(body[:len(body)-1], `,"message":`...)
		body, _ = jsontext.AppendQuote(body, message)
		body = append(body, '}')
	}
	status := statusOf(a.Status, a.Code)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	writeJSON(w, status, body)
}

// statusOf returns the HTTP status of an outcome.
func statusOf(status backplane.Status, code backplane.Code) int {
	switch status {
	case backplane.Stored:
		return http.StatusOK
	case backplane.Unknown:
		return http.StatusGatewayTimeout
	}
	switch code {
	case codec.CodeBodyTooLarge, codec.CodeFrameTooLarge, backplane.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case codec.CodeRateLimited:
		return http.StatusTooManyRequests
	case backplane.CodeForbidden:
		return http.StatusForbidden
	case codec.CodeNotOwner:
		return http.StatusMisdirectedRequest
	case codec.CodeNoHistory:
		return http.StatusNotFound
	}
	if codec.Retryable(code) {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}
