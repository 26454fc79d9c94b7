package wire

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is the error of Dial when a server did not want the connection: by an HTTP
// status, or after the upgrade by frames instead of a welcome.
type Refusal struct {
	Status     int           // of HTTP, or 0 if it was by frames
	CloseCode  int           // of the close frame, if it was by frames
	Code       string        // why, a code of the protocol, empty if it was not told
	Sentence   string        // for people
	URL        string        // of the node that serves the user, if it was told
	MapVersion uint64        // of the map that says so
	RetryAfter time.Duration // when to try again, if it was told

	// Violations are what of the refusal itself was against the protocol.
	Violations []*Violation
}

func (r *Refusal) Error() string {
	if r.Status != 0 {
		return fmt.Sprintf("wire: refused with status %d, %s: %s", r.Status, r.Code, r.Sentence)
	}
	return fmt.Sprintf("wire: refused with close code %d, %s: %s", r.CloseCode, r.Code, r.Sentence)
}

// The headers of a redirect.
const (
	headerURL     = "Godwit-Node-Url"
	headerVersion = "Godwit-Map-Version"
)

// coded are the statuses that come with a code: those for requests that could be
// understood. Status 400 is for others too.
var coded = map[int]bool{
	http.StatusUnauthorized:       true,
	http.StatusMisdirectedRequest: true,
	http.StatusServiceUnavailable: true,
}

// newRefusal reads an answer that is no upgrade. The error is a *Refusal, or that of a
// connection that has ended before all of the answer came.
func newRefusal(resp *http.Response) error {
	r := &Refusal{Status: resp.StatusCode}
	var found findings
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSentence))
	if err != nil {
		return err
	}
	r.Sentence = strings.TrimSuffix(string(body), "\n")
	if code, sentence, both := strings.Cut(r.Sentence, ": "); both && codes[code] {
		r.Code, r.Sentence = code, sentence
	}
	if r.Sentence == "" || strings.Contains(r.Sentence, "\n") || r.Code == "" && coded[r.Status] {
		found.add(RuleHandshake, "status %d comes with %q instead of a line of a code and a sentence", r.Status, body)
	}
	switch resp.StatusCode {
	case http.StatusMisdirectedRequest:
		r.URL = resp.Header.Get(headerURL)
		r.MapVersion, err = strconv.ParseUint(resp.Header.Get(headerVersion), 10, 64)
		if err != nil || r.MapVersion == 0 || r.MapVersion >= maxNumber || !isSocketURL(r.URL) {
			found.add(RuleHandshake, "status 421 leads to %q by version %q", r.URL, resp.Header.Get(headerVersion))
		}
	case http.StatusServiceUnavailable:
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil || seconds < 0 {
			found.add(RuleHandshake, "status 503 with Retry-After %q", resp.Header.Get("Retry-After"))
		}
		r.RetryAfter = time.Duration(seconds) * time.Second
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge:
	default:
		found.add(RuleHandshake, "refused with the status %d, which the protocol does not have", resp.StatusCode)
	}
	r.Violations = found
	return r
}

// tell adds what a frame before a welcome says of a refusal.
func (r *Refusal) tell(frame Frame) {
	switch f := frame.(type) {
	case *Moved:
		r.URL, r.MapVersion = f.URL, f.MapVersion
		r.RetryAfter = time.Duration(f.RetryAfterMS) * time.Millisecond
	case *Error:
		r.Code, r.Sentence = f.Code, f.Message
	}
}
