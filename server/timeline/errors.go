package timeline

import (
	"errors"

	"github.com/godwit-im/godwit/backplane/history"
)

// Code says why a read failed.
type Code uint8

// The codes.
const (
	// HistoryUnavailable: the store did not answer in time, or with an error.
	HistoryUnavailable Code = iota + 1
	// LogUnavailable: the log did not answer in time, or with an error.
	LogUnavailable
	// HistoryBehind: a page needs what history has not applied yet, and that is more than a
	// window holds, or took longer to read than the timeout; or it is not known yet what
	// of it was erased, see erasures.
	HistoryBehind
	// NoHistory: a page needs history, and the node keeps none.
	NoHistory
	// Closed: the Service is closed.
	Closed
)

var codeTexts = map[Code]string{
	HistoryUnavailable: "history is not available",
	LogUnavailable:     "the log is not available",
	HistoryBehind:      "history is too far behind",
	NoHistory:          "this node keeps no history",
	Closed:             "the service is closed",
}

// Error is the error of all reads. Its Code is what callers decide by.
type Error struct {
	Code Code
	Err  error // the cause; nil if the code says all
}

// The errors that have no cause. errors.Is finds them by their code.
var (
	ErrHistoryBehind = &Error{Code: HistoryBehind}
	ErrNoHistory     = &Error{Code: NoHistory}
	ErrClosed        = &Error{Code: Closed}
)

func (e *Error) Error() string {
	text := "timeline: " + codeTexts[e.Code]
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an Error with the same code and no cause.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Err == nil
}

// Retryable reports whether the same read may succeed later. A damaged store does not
// mend itself.
func (e *Error) Retryable() bool {
	return e.Code != NoHistory && !errors.Is(e.Err, history.ErrCorrupt) && !errors.Is(e.Err, history.ErrForeign)
}
