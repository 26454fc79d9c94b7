package codec

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonReader reads one JSON value from a payload. It adds to jsontext.Decoder that
// strings come without their quotes, as slices of the payload where they have no
// escapes and of scratch where they have, and that errors are of type *Error.
//
// jsontext is strict by itself: it refuses duplicate names, invalid UTF-8 and lone
// surrogates.
type jsonReader struct {
	dec jsontext.Decoder
	// src is a bytes.Buffer because jsontext reads from one in place.
	src     bytes.Buffer
	size    int
	scratch []byte
}

// reset begins to read payload, which must not change until the last slice of it
// was used.
func (r *jsonReader) reset(payload []byte) {
	r.src = *bytes.NewBuffer(payload)
	r.dec.Reset(&r.src)
	r.size = len(payload)
	r.scratch = r.scratch[:0]
}

// kind returns the kind of what comes next, 0 at the end and where the next read
// will give an error.
func (r *jsonReader) kind() jsontext.Kind { return r.dec.PeekKind() }

// token reads what comes next, which must be the delimiter k; what names the
// value for the error.
func (r *jsonReader) token(k jsontext.Kind, what string) *Error {
	got := r.kind()
	if got != k && got != 0 {
		return refusal(CodeBadFrame, what)
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return badJSON(err)
	}
	return nil
}

// end checks that nothing follows the value.
func (r *jsonReader) end() *Error {
	_, err := r.dec.ReadToken()
	switch err {
	case io.EOF:
		return nil
	case nil:
		return refusal(CodeBadFrame, "something follows the object")
	}
	return badJSON(err)
}

// string reads a string. The result is valid until the next reset.
func (r *jsonReader) string() ([]byte, *Error) {
	if k := r.kind(); k != '"' && k != 0 {
		return nil, refusal(CodeBadFrame, "found "+k.String()+" in place of a string")
	}
	quoted, err := r.dec.ReadValue()
	if err != nil {
		return nil, badJSON(err)
	}
	text := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return text[:len(text):len(text)], nil
	}
	r.need()
	from := len(r.scratch)
	if r.scratch, err = jsontext.AppendUnquote(r.scratch, []byte(quoted)); err != nil {
		return nil, badJSON(err)
	}
	return r.scratch[from:len(r.scratch):len(r.scratch)], nil
}

// need makes the scratch as large as the payload, which is as much as all strings
// of one payload can need. It never moves what is in it.
func (r *jsonReader) need() {
	if cap(r.scratch) < r.size {
		r.scratch = make([]byte, 0, r.size)
	}
}

// base64Strict refuses stray bits in the last character, so that bytes have one
// text.
var base64Strict = base64.StdEncoding.Strict()

// base64 decodes text that string returned. ok is false where it is not padded
// standard base64.
func (r *jsonReader) base64(text []byte) (b []byte, ok bool) {
	if bytes.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, false
	}
	r.need()
	from := len(r.scratch)
	out, err := base64Strict.AppendDecode(r.scratch, text)
	if err != nil {
		return nil, false
	}
	r.scratch = out
	return out[from:len(out):len(out)], true
}

// number reads a number as its text.
func (r *jsonReader) number() ([]byte, *Error) {
	if k := r.kind(); k != '0' && k != 0 {
		return nil, refusal(CodeBadFrame, "found "+k.String()+" in place of a number")
	}
	v, err := r.dec.ReadValue()
	if err != nil {
		return nil, badJSON(err)
	}
	return v, nil
}

// skip reads a value and drops it.
func (r *jsonReader) skip() *Error {
	if err := r.dec.SkipValue(); err != nil {
		return badJSON(err)
	}
	return nil
}

// badJSON turns an error of jsontext into ours.
func badJSON(err error) *Error {
	var s *jsontext.SyntacticError
	switch {
	case errors.As(err, &s):
		return refusal(CodeBadFrame, "not valid JSON at byte "+strconv.FormatInt(s.ByteOffset, 10)+": "+s.Err.Error())
	case errors.Is(err, io.EOF):
		return refusal(CodeBadFrame, "not valid JSON: nothing there")
	}
	return refusal(CodeBadFrame, "not valid JSON: "+err.Error())
}
