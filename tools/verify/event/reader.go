package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"
)

// MaxLine bounds a line, in bytes with its end. The longest is a page of 100 messages of
// 64 recipients each; the server's own bound for a page in JSON is 1,300,000 bytes.
const MaxLine = 4 << 20

// typePrefix is how a Writer begins its lines.
const typePrefix = `{"type":"`

// ErrUnknownType is the error for an event of a type that this version does not know.
var ErrUnknownType = errors.New("event: unknown type")

// Error says which line of a file is not an event.
type Error struct {
	Line int64
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("event: line %d: %v", e.Line, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Records reads the events of a file, one by one, holding no more than a line of it. The
// iteration ends after the first error, which is an *Error or that of r. A last line
// without its end is an error: its writer was stopped in the middle of it.
//
// Members that this version does not know are ignored.
func Records(r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		lines := bufio.NewReaderSize(r, 1<<20)
		var long []byte // scratch for lines that are longer than the buffer
		for n := int64(1); ; n++ {
			line, err := readLine(lines, &long)
			switch {
			case err == io.EOF && len(line) == 0:
				return
			case err == io.EOF:
				err = &Error{Line: n, Err: io.ErrUnexpectedEOF}
			case errors.Is(err, errLong):
				err = &Error{Line: n, Err: err}
			case err == nil:
				var rec Record
				if rec, err = Decode(line); err == nil {
					rec.Line = n
					if !yield(rec, nil) {
						return
					}
					continue
				}
				err = &Error{Line: n, Err: err}
			}
			yield(Record{}, err)
			return
		}
	}
}

var errLong = fmt.Errorf("longer than %d bytes", MaxLine)

// readLine returns the next line with its end. It is good until the next call.
func readLine(r *bufio.Reader, long *[]byte) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	*long = append((*long)[:0], line...)
	for err == bufio.ErrBufferFull {
		line, err = r.ReadSlice('\n')
		if len(*long)+len(line) > MaxLine {
			return nil, errLong
		}
		*long = append(*long, line...)
	}
	return *long, err
}

// Decode decodes a line. The record has no reference to it.
func Decode(line []byte) (Record, error) {
	name, rec, ok := cutHead(line)
	if !ok {
		var head struct {
			Type string        `json:"type"`
			T    time.Duration `json:"t"`
			By   string        `json:"by"`
		}
		if err := json.Unmarshal(line, &head); err != nil {
			return Record{}, err
		}
		name, rec.T, rec.By = head.Type, head.T, head.By
	}
	if rec.Event = blank(name); rec.Event == nil {
		return Record{}, fmt.Errorf("%w %q", ErrUnknownType, name)
	}
	if err := json.Unmarshal(line, rec.Event); err != nil {
		return Record{}, err
	}
	if err := rec.Event.validate(); err != nil {
		return Record{}, fmt.Errorf("%s: %w", name, err)
	}
	return rec, nil
}

// cutHead returns what a Writer puts first on a line, without looking at the rest. It is for
// speed: ok is false for a line that says the same in other ways, and then nothing is lost
// but time.
func cutHead(line []byte) (name string, rec Record, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(typePrefix))
	if !ok {
		return "", Record{}, false
	}
	kind, rest, ok := bytes.Cut(rest, []byte(`","t":`))
	if !ok || bytes.ContainsAny(kind, `"\`) {
		return "", Record{}, false
	}
	digits, rest, ok := bytes.Cut(rest, []byte(`,"by":"`))
	if !ok {
		return "", Record{}, false
	}
	t, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return "", Record{}, false
	}
	by, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok || bytes.IndexByte(by, '\\') >= 0 || !utf8.Valid(by) {
		return "", Record{}, false
	}
	return string(kind), Record{T: time.Duration(t), By: string(by)}, true
}
