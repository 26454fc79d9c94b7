package backplane

// Status is the outcome of one attempt to send.
type Status uint8

const (
	// Stored means that every record of the send is committed with acks=all.
	Stored Status = iota + 1
	// Rejected means that this attempt wrote nothing, for certain.
	Rejected
	// Unknown means anything else: some of the records may be in the log. The
	// sender retries with the same id.
	Unknown
)

// Code says why a send was not stored. Codes are stable and part of the wire
// protocol; codec lists all of them for clients. The empty code goes with
// Stored.
type Code string

// The codes that a Producer gives.
const (
	// CodeOverloaded: the node's budget for records on their way to the log is
	// used up. Rejected; retry after a pause.
	CodeOverloaded Code = "overloaded"
	// CodeTooLarge: the log refuses a record of this size. Rejected; do not retry.
	CodeTooLarge Code = "too_large"
	// CodeForbidden: the log refuses this producer. Rejected; retrying does not help
	// until an operator has acted.
	CodeForbidden Code = "log_forbidden"
	// CodeTimeout: no answer of the log in time. Unknown; retry with the same id.
	CodeTimeout Code = "timeout"
	// CodeUnavailable: the log answered with an error that does not tell whether it
	// wrote. Unknown; retry with the same id.
	CodeUnavailable Code = "unavailable"
	// CodeShutdown: the node is stopping. Rejected; retry elsewhere or later.
	CodeShutdown Code = "shutting_down"
)

// Outcome is the answer to a send.
type Outcome struct {
	Status Status
	Code   Code
	// Time is the log time of the record in the sender's partition, in Unix
	// milliseconds; 0 unless Status is Stored.
	Time int64
}

// Send is one message on its way into the log. The producer copies what it
// keeps: From, To and Value may alias a read buffer and are free again when
// Produce returns.
type Send struct {
	ID    MessageID
	From  []byte
	To    [][]byte
	Value []byte // the encoded Message, see AppendMessage
	// Session is the id of the session that sends, so that its owner can leave the
	// body out of the copy that this session gets; 0 for sends of a backend.
	Session uint64
}

// Waiter is told the outcome of a send.
type Waiter interface {
	// Done is called exactly once for each Produce that returned nil, on a goroutine
	// of the producer (or, when the answer is at hand, before Produce returns), one
	// call at a time for all sends of the node: Done must not block, and must not
	// call the producer.
	Done(Outcome)
}

// Producer turns sends into records.
type Producer interface {
	// Produce writes s once for each distinct partition among its recipients and
	// its sender. It never blocks. All records are admitted before the first is
	// handed on, so an error means that nothing was written; it is a *Rejection.
	//
	// A send whose MessageID is already in flight joins that one: it writes
	// nothing and shares its outcome.
	//
	// Any goroutine may call it.
	Produce(s *Send, w Waiter) error
}

// Rejection is the error of a send that was refused before anything of it was written.
type Rejection struct{ Code Code }

func (r *Rejection) Error() string { return "backplane: send rejected: " + string(r.Code) }
