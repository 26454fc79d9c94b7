package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Timelines reads and erases the timelines of users. Its methods are called from the
// goroutines of requests, and return soon after their context has ended. Their errors
// are *Refusal.
type Timelines interface {
	// Page returns the part of a user's timeline that h asks for: the members of a
	// history page as a JSON object, without type and id. The id of h means nothing.
	Page(ctx context.Context, user []byte, h *codec.History) ([]byte, error)
	// Erase hides everything in a user's timeline that the log has stored before. When it
	// returns, this node shows nothing of that any more.
	Erase(ctx context.Context, user []byte) (Erasure, error)
}

// Erasure is the answer of DELETE /v1/history.
type Erasure struct {
	User      string              `json:"user"`
	Partition backplane.Partition `json:"partition"`
	// Time is the log time of the erasure, in Unix milliseconds.
	Time int64 `json:"time"`
	// LogRetentionMS is for how long the log still has what was erased, in milliseconds
	// from when it was sent; 0 is for ever.
	LogRetentionMS int64 `json:"log_retention_ms"`
}

// Refusal is why a question about a timeline has no answer.
type Refusal struct {
	Code    backplane.Code
	Message string // for people; empty if the code says all
	// Unknown tells that an erasure may nevertheless be stored, or will be. It may be
	// asked for again.
	Unknown bool
	// OwnerURL is where clients of the user connect; set with codec.CodeNotOwner.
	OwnerURL string
}

func (e *Refusal) Error() string {
	if e.Message == "" {
		return "admin: " + string(e.Code)
	}
	return "admin: " + string(e.Code) + ": " + e.Message
}

// history answers with a part of a user's timeline. The parameters are "user", and those
// of a history frame by the same names and rules: "after", "before", "around", "limit"
// and "peer". The answer is a history page without its type and id; what is refused is
// answered with an error frame. The HTTP status says what to do:
//
//	200    the page
//	400    it would be refused again
//	404    the node keeps no history, and the page lies further back than its memory
//	421    another node serves the user: the header Godwit-Node-Url has its public URL
//	503    retry after a pause
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	s.question(w, func() ([]byte, error) {
		var d codec.Decoder
		user, h, err := s.parseHistory(&d, r.URL)
		if err != nil {
			return nil, err
		}
		return s.config.Timelines.Page(r.Context(), user, h)
	})
}

// erase erases the timeline of the user whom the parameter "user" names, and answers with
// an Erasure. The HTTP status is as for history; 504 says that the outcome is not known, or
// that the erasure is stored and the node has not read it back yet. To erase again does
// no harm, except to what has come in between.
func (s *Server) erase(w http.ResponseWriter, r *http.Request) {
	s.question(w, func() ([]byte, error) {
		values, err := parameters(r.URL, "user")
		if err != nil {
			return nil, err
		}
		user, err := userOf(values)
		if err != nil {
			return nil, err
		}
		done, err := s.config.Timelines.Erase(r.Context(), user)
		if err != nil {
			return nil, err
		}
		return json.Marshal(done)
	})
}

// question answers with what ask returns, if there is room for one more.
func (s *Server) question(w http.ResponseWriter, ask func() ([]byte, error)) {
	select {
	case s.questions <- struct{}{}:
		defer func() { <-s.questions }()
	default:
		refuseQuestion(w, &Refusal{Code: backplane.CodeOverloaded, Message: "too many questions wait at this port"})
		return
	}
	body, err := ask()
	if err != nil {
		e := &Refusal{Code: codec.CodeInternal, Message: err.Error()}
		errors.As(err, &e)
		refuseQuestion(w, e)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

func refuseQuestion(w http.ResponseWriter, e *Refusal) {
	status := statusOf(backplane.Rejected, e.Code)
	if e.Unknown {
		status = http.StatusGatewayTimeout
	}
	if e.OwnerURL != "" {
		w.Header().Set(codec.HeaderNodeURL, e.OwnerURL)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	message := e.Message
	if message == "" {
		message = textOf(e.Code)
	}
	refuse(w, status, e.Code, message)
}

// textOf returns the sentence of a code.
func textOf(code backplane.Code) string {
	for _, info := range codec.Codes() {
		if info.Code == code {
			return info.Text
		}
	}
	return ""
}

// parseHistory reads the parameters of a question. Those of a history frame are left to
// codec, so that what a question may be is decided in one place. h aliases d.
func (s *Server) parseHistory(d *codec.Decoder, u *url.URL) (user []byte, h *codec.History, err error) {
	values, err := parameters(u, "user", "after", "before", "around", "limit", "peer")
	if err != nil {
		return nil, nil, err
	}
	if user, err = userOf(values); err != nil {
		return nil, nil, err
	}
	frame := []byte(`{"type":"history","id":"-"`)
	for _, name := range []string{"after", "before", "around", "peer"} {
		if value := values[name]; value != "" {
			frame = append(append(append(frame, `,"`...), name...), `":`...)
			if frame, err = jsontext.AppendQuote(frame, value); err != nil {
				return nil, nil, badParameter(name + ": not valid UTF-8")
			}
		}
	}
	if text := values["limit"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, nil, &Refusal{Code: codec.CodeBadLimit}
		}
		frame = strconv.AppendUint(append(frame, `,"limit":`...), n, 10)
	}
	var f codec.ClientFrame
	if err := d.Decode(codec.JSON, append(frame, '}'), &s.limits, &f); err != nil {
		var e *codec.Error
		errors.As(err, &e)
		return nil, nil, &Refusal{Code: e.Code, Message: e.Detail}
	}
	return user, &f.History, nil
}

// parameters returns the parameters of a URL, none of which may be there twice or have
// another name than these.
func parameters(u *url.URL, names ...string) (map[string]string, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badParameter(err.Error())
	}
	values := make(map[string]string, len(names))
	for _, name := range names {
		if list := query[name]; len(list) == 1 {
			values[name] = list[0]
		} else if len(list) > 1 {
			return nil, badParameter(name + ": given twice")
		}
		delete(query, name)
	}
	for name := range query {
		return nil, badParameter(strconv.Quote(name) + ": there is no such parameter")
	}
	return values, nil
}

func userOf(values map[string]string) ([]byte, error) {
	user := []byte(values["user"])
	if err := backplane.ValidUser(user); err != nil {
		return nil, badParameter("user: " + err.Error())
	}
	return user, nil
}

func badParameter(detail string) error {
	return &Refusal{Code: codec.CodeBadParameter, Message: detail}
}
