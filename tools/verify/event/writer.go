package event

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// buffer is how many bytes of lines a Writer gathers before it writes them: a run makes
// thousands of events a second.
const buffer = 256 << 10

// Writer writes events, one line each. Its methods may be called from any goroutine.
//
// No event is ever left out: whoever brings one waits while the file takes those before
// it. Lines stand in the order in which Write was called, and their times never go back.
type Writer struct {
	// Static after construction.
	now func() time.Duration

	mu sync.Mutex
	// Guarded by mu.
	w    *bufio.Writer
	line []byte // scratch
	n    int64
	err  error
}

// NewWriter returns a Writer to w. Now tells the time since the run began; it is called
// by one goroutine at a time, and must never go back.
func NewWriter(w io.Writer, now func() time.Duration) *Writer {
	return &Writer{now: now, w: bufio.NewWriterSize(w, buffer)}
}

// Write writes an event that by has just seen. The event is not kept. The error is that of
// the event, or the first of the file, after which nothing is written any more.
func (w *Writer) Write(by string, e Event) error {
	if err := e.validate(); err != nil {
		return fmt.Errorf("event: %s: %w", e.Type(), err)
	}
	name, err := json.Marshal(by)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	members, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event: %s: %w", e.Type(), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.line = appendLine(w.line[:0], e.Type(), w.now(), name, members)
	if len(w.line) > MaxLine {
		return fmt.Errorf("event: %s: a line of %d bytes, more than %d", e.Type(), len(w.line), MaxLine)
	}
	if _, err := w.w.Write(w.line); err != nil {
		w.err = fmt.Errorf("event: %w", err)
		return w.err
	}
	w.n++
	return nil
}

// appendLine appends a line. The type comes first, so that a reader knows at once what
// the rest is.
func appendLine(dst []byte, name string, t time.Duration, by, members []byte) []byte {
	dst = append(dst, typePrefix...)
	dst = append(dst, name...)
	dst = append(dst, `","t":`...)
	dst = strconv.AppendInt(dst, int64(t), 10)
	dst = append(dst, `,"by":`...)
	dst = append(dst, by...)
	if len(members) > len("{}") {
		dst = append(dst, ',')
	}
	dst = append(dst, members[1:]...)
	return append(dst, '\n')
}

// Lines returns how many events were written.
func (w *Writer) Lines() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// Flush hands everything to the file. It returns the first error of the file.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if err := w.w.Flush(); err != nil {
		w.err = fmt.Errorf("event: %w", err)
	}
	return w.err
}
