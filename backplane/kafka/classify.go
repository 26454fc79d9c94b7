package kafka

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// refusals lists the errors with which a broker says that it did not append a
// batch. They are given before the append, for what the batch or its producer
// is, so the attempt that got one wrote nothing. That alone does not tell about
// earlier attempts of the client at the same batch; see verdictOf.
//
// Left out on purpose, although some of them often mean that nothing was written:
//   - REQUEST_TIMED_OUT and NOT_ENOUGH_REPLICAS_AFTER_APPEND come after the append.
//   - NOT_LEADER_OR_FOLLOWER is also the answer to a produce request that was
//     appended and then waited for replicas while its leader moved.
//   - OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID and INVALID_PRODUCER_EPOCH
//     tell that broker and client remember different things about what was written.
//   - NOT_ENOUGH_REPLICAS comes before the append, but the client retries it, so
//     a promise that has it had other attempts.
var refusals = map[int16]backplane.Code{
	kerr.MessageTooLarge.Code:    backplane.CodeTooLarge, // above max.message.bytes
	kerr.RecordListTooLarge.Code: backplane.CodeTooLarge, // above the segment's size

	// The broker checks these before it looks at the data.
	kerr.TopicAuthorizationFailed.Code:   backplane.CodeForbidden,
	kerr.ClusterAuthorizationFailed.Code: backplane.CodeForbidden,

	// The record or the topic does not allow it; an operator has to change one.
	kerr.InvalidTopicException.Code:       backplane.CodeForbidden,
	kerr.InvalidRequiredAcks.Code:         backplane.CodeForbidden,
	kerr.InvalidRecord.Code:               backplane.CodeForbidden,
	kerr.InvalidTimestamp.Code:            backplane.CodeForbidden,
	kerr.UnsupportedForMessageFormat.Code: backplane.CodeForbidden,
	kerr.UnsupportedCompressionType.Code:  backplane.CodeForbidden,
	kerr.PolicyViolation.Code:             backplane.CodeForbidden,
}

// verdictOf returns what the error of a promise tells about its record.
//
// clean says that no attempt to write the record can have succeeded without
// our knowing; see wire.clean. Without it a refusal is no proof: the client fails
// everything that it has for a partition with the error of the first batch,
// what another request carries included, and a batch may have been written by an
// attempt whose answer was lost.
func verdictOf(err error, clean bool) (backplane.Status, backplane.Code) {
	if err == nil {
		return backplane.Stored, ""
	}
	if errors.Is(err, kgo.ErrMaxBuffered) {
		// The client took the record not even into its buffer.
		return backplane.Rejected, backplane.CodeOverloaded
	}
	if ke, ok := errors.AsType[*kerr.Error](err); ok {
		if code, ok := refusals[ke.Code]; ok && clean {
			return backplane.Rejected, code
		}
		return backplane.Unknown, backplane.CodeUnavailable
	}
	if errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return backplane.Unknown, backplane.CodeTimeout
	}
	return backplane.Unknown, backplane.CodeUnavailable
}

// refusal reports whether a broker's answer for a batch says that it did not
// append it.
func refusal(code int16) bool {
	_, ok := refusals[code]
	return ok
}
