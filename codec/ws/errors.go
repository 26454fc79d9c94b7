package ws

import gobwas "github.com/gobwas/ws"

// Reason names what was wrong with a peer's bytes. Reasons are stable, so they
// serve as the labels of counters; they hold nothing that the peer sent.
type Reason string

// The reasons for which a Reader gives up, each with the close code it comes with.
const (
	ReasonReservedOpcode         Reason = "reserved_opcode"         // 1002
	ReasonReservedBits           Reason = "reserved_bits"           // 1002
	ReasonUnmasked               Reason = "unmasked_frame"          // 1002, server's end
	ReasonMasked                 Reason = "masked_frame"            // 1002, client's end
	ReasonControlTooLong         Reason = "control_too_long"        // 1002
	ReasonControlFragmented      Reason = "control_fragmented"      // 1002
	ReasonContinuationExpected   Reason = "continuation_expected"   // 1002
	ReasonContinuationUnexpected Reason = "continuation_unexpected" // 1002
	ReasonBadLength              Reason = "bad_length"              // 1002
	ReasonBadClose               Reason = "bad_close"               // 1002
	ReasonInvalidUTF8            Reason = "invalid_utf8"            // 1007
	ReasonMessageTooBig          Reason = "message_too_big"         // 1009
	ReasonTooManyFragments       Reason = "too_many_fragments"      // 1009
)

// Error is what Reader.Next returns for bytes that are not what RFC 6455 or the
// limits allow. The connection is to be failed: nothing after it can be read.
type Error struct {
	// Code is the status code for the close frame that tells the peer.
	Code   uint16
	Reason Reason
}

func (e *Error) Error() string { return "ws: " + string(e.Reason) }

// All errors of Reader exist once, so that a flood of bad frames allocates nothing.
var (
	errReservedOpcode         = &Error{CloseProtocolError, ReasonReservedOpcode}
	errReservedBits           = &Error{CloseProtocolError, ReasonReservedBits}
	errUnmasked               = &Error{CloseProtocolError, ReasonUnmasked}
	errMasked                 = &Error{CloseProtocolError, ReasonMasked}
	errControlTooLong         = &Error{CloseProtocolError, ReasonControlTooLong}
	errControlFragmented      = &Error{CloseProtocolError, ReasonControlFragmented}
	errContinuationExpected   = &Error{CloseProtocolError, ReasonContinuationExpected}
	errContinuationUnexpected = &Error{CloseProtocolError, ReasonContinuationUnexpected}
	errBadLength              = &Error{CloseProtocolError, ReasonBadLength}
	errBadClose               = &Error{CloseProtocolError, ReasonBadClose}
	errInvalidUTF8            = &Error{CloseInvalidData, ReasonInvalidUTF8}
	errMessageTooBig          = &Error{CloseTooBig, ReasonMessageTooBig}
	errTooManyFragments       = &Error{CloseTooBig, ReasonTooManyFragments}
)

// headerError turns an error of gobwas.CheckHeader into ours.
func headerError(err error) *Error {
	switch err {
	case gobwas.ErrProtocolOpCodeReserved:
		return errReservedOpcode
	case gobwas.ErrProtocolNonZeroRsv:
		return errReservedBits
	case gobwas.ErrProtocolMaskRequired:
		return errUnmasked
	case gobwas.ErrProtocolMaskUnexpected:
		return errMasked
	case gobwas.ErrProtocolControlPayloadOverflow:
		return errControlTooLong
	case gobwas.ErrProtocolControlNotFinal:
		return errControlFragmented
	case gobwas.ErrProtocolContinuationExpected:
		return errContinuationExpected
	default:
		return errContinuationUnexpected
	}
}
