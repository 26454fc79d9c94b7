package kafkalog

import (
	"errors"
	"fmt"
)

// ErrClosed is the error of what was closed.
var ErrClosed = errors.New("kafkalog: closed")

// What can be wrong with the cluster topic that no further reading puts right. They
// come in a *TopicError.
var (
	// ErrReplaced: the topic was deleted and made anew.
	ErrReplaced = errors.New("it was deleted and made anew")
	// ErrEmptied: records were deleted that nothing newer stands for.
	ErrEmptied = errors.New("records that are in force were deleted from it")
	// ErrTruncated: the log ends before what was read from it.
	ErrTruncated = errors.New("it ends before what was read from it")
	// ErrOutOfTouch: deletions may have come and gone unseen.
	ErrOutOfTouch = fmt.Errorf("it could not be read for more than %v, and deletions may have been missed", outOfTouch)
)

// TopicError is the alarm of a Log: the topic is not what the Log has read so far, so
// it stops reading. What it has handed out is the last good state, and stays; to guess
// what the topic means now is for an operator.
type TopicError struct {
	Topic string
	Err   error // ErrReplaced, ErrEmptied, ErrTruncated or ErrOutOfTouch
}

func (e *TopicError) Error() string {
	return fmt.Sprintf("kafkalog: the topic %s is not to be trusted: %v", e.Topic, e.Err)
}

// Unwrap returns what is wrong.
func (e *TopicError) Unwrap() error { return e.Err }

// ErrFenced is the error of a Session that is over: another one was taken since, or the
// brokers took the id away, as they do from a transaction that is older than 5 s and
// from an id that was not used for a week. The decision that it is the error of may have
// been committed all the same; the topic tells.
var ErrFenced = errors.New("kafkalog: another controller has taken over")

// errAborted is the error of a decision that was not made after all.
var errAborted = errors.New("kafkalog: the transaction was aborted")

// ErrUnsettled is the error of a Commit after one that failed: Settle comes first.
var ErrUnsettled = errors.New("kafkalog: what became of the decision before is not settled")
