package ws

import (
	"net/http"

	gobwas "github.com/gobwas/ws"
)

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

// The reasons for which a request is refused, each with its HTTP status.
const (
	ReasonMalformedRequest   Reason = "malformed_request"    // 400
	ReasonBadHost            Reason = "bad_host"             // 400
	ReasonDuplicateField     Reason = "duplicate_field"      // 400
	ReasonUnexpectedBody     Reason = "unexpected_body"      // 400
	ReasonBadConnection      Reason = "bad_connection"       // 400
	ReasonBadKey             Reason = "bad_key"              // 400
	ReasonMissingVersion     Reason = "missing_version"      // 400
	ReasonProtocolNotOffered Reason = "protocol_not_offered" // 400
	ReasonBadMethod          Reason = "bad_method"           // 405
	ReasonUpgradeRequired    Reason = "upgrade_required"     // 426
	ReasonUnsupportedVersion Reason = "unsupported_version"  // 426
	ReasonHeadTooLong        Reason = "head_too_long"        // 431
	ReasonBadHTTPVersion     Reason = "bad_http_version"     // 505
)

// RequestError is what ParseRequest and Upgrade return for a request that is to be
// refused.
type RequestError struct {
	// Status is the HTTP status to answer.
	Status int
	Reason Reason
}

func (e *RequestError) Error() string { return "ws: request refused: " + string(e.Reason) }

// Append appends the complete response that refuses the request, with the header
// fields that its status calls for.
func (e *RequestError) Append(dst []byte) []byte {
	if e.Status == http.StatusMethodNotAllowed {
		return AppendResponse(dst, e.Status, string(e.Reason), [2]string{"Allow", http.MethodGet})
	}
	return AppendResponse(dst, e.Status, string(e.Reason))
}

// All errors of requests exist once, like those of frames.
var (
	errMalformedRequest   = &RequestError{http.StatusBadRequest, ReasonMalformedRequest}
	errBadHost            = &RequestError{http.StatusBadRequest, ReasonBadHost}
	errDuplicateField     = &RequestError{http.StatusBadRequest, ReasonDuplicateField}
	errUnexpectedBody     = &RequestError{http.StatusBadRequest, ReasonUnexpectedBody}
	errBadConnection      = &RequestError{http.StatusBadRequest, ReasonBadConnection}
	errBadKey             = &RequestError{http.StatusBadRequest, ReasonBadKey}
	errMissingVersion     = &RequestError{http.StatusBadRequest, ReasonMissingVersion}
	errProtocolNotOffered = &RequestError{http.StatusBadRequest, ReasonProtocolNotOffered}
	errBadMethod          = &RequestError{http.StatusMethodNotAllowed, ReasonBadMethod}
	errUpgradeRequired    = &RequestError{http.StatusUpgradeRequired, ReasonUpgradeRequired}
	errUnsupportedVersion = &RequestError{http.StatusUpgradeRequired, ReasonUnsupportedVersion}
	errHeadTooLong        = &RequestError{http.StatusRequestHeaderFieldsTooLarge, ReasonHeadTooLong}
	errBadHTTPVersion     = &RequestError{http.StatusHTTPVersionNotSupported, ReasonBadHTTPVersion}
)

// The reasons for which a client can't use an answer with status 101, or any answer.
const (
	ReasonMalformedResponse   Reason = "malformed_response"
	ReasonBadUpgrade          Reason = "bad_upgrade"
	ReasonBadAccept           Reason = "bad_accept"
	ReasonUnexpectedProtocol  Reason = "unexpected_protocol"
	ReasonUnexpectedExtension Reason = "unexpected_extension"
)

// ResponseError is what ParseResponse returns for an answer that breaks the rules of
// the handshake. A proper refusal is a *StatusError instead.
type ResponseError struct{ Reason Reason }

func (e *ResponseError) Error() string { return "ws: bad handshake response: " + string(e.Reason) }
