package cassandra

import (
	"errors"
	"fmt"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane/history"
)

// ErrMissing is the error of Open where Create has not made the tables.
var ErrMissing = errors.New("cassandra: the tables were not created")

// Error says that Cassandra did not do something in time, or refused to. It is
// temporary: the same call may succeed later.
type Error struct {
	// Op is what was to be done.
	Op  string
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("cassandra: %s: %v", e.Op, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Temporary reports true.
func (e *Error) Temporary() bool { return true }

// failed gives an error of the client its type.
func failed(op string, err error) error {
	var typed *Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gocql.ErrSessionClosed) || errors.Is(err, history.ErrClosed):
		return history.ErrClosed
	case errors.As(err, &typed) || errors.Is(err, history.ErrForeign):
		return err
	}
	return &Error{op, err}
}
