package codec

import "github.com/godwit-im/godwit/backplane"

// The codes of frames that a Decoder refuses.
const (
	CodeBadFrame           backplane.Code = "bad_frame"
	CodeUnknownType        backplane.Code = "unknown_type"
	CodeUnknownField       backplane.Code = "unknown_field"
	CodeBadID              backplane.Code = "bad_id"
	CodeBadRecipient       backplane.Code = "bad_recipient"
	CodeNoRecipients       backplane.Code = "no_recipients"
	CodeTooManyRecipients  backplane.Code = "too_many_recipients"
	CodeDuplicateRecipient backplane.Code = "duplicate_recipient"
	CodeBodyTooLarge       backplane.Code = "body_too_large"
	CodeBadKind            backplane.Code = "bad_kind"
	CodeBadEncoding        backplane.Code = "bad_encoding"
	CodeBadTTL             backplane.Code = "bad_ttl"
	CodeBadLimit           backplane.Code = "bad_limit"
	CodeBadPeer            backplane.Code = "bad_peer"
	CodeBadCursor          backplane.Code = "bad_cursor"
)

// The codes that the session and the server give.
const (
	CodeRecipientIsSender backplane.Code = "recipient_is_sender"
	CodeRateLimited       backplane.Code = "rate_limited"
	CodeUnknownCursor     backplane.Code = "unknown_cursor"
	CodeNoHistory         backplane.Code = "no_history"
	CodeHistoryDown       backplane.Code = "history_unavailable"
	CodeHistoryBehind     backplane.Code = "history_behind"
	CodeFrameTooLarge     backplane.Code = "frame_too_large"
	CodeBadParameter      backplane.Code = "bad_parameter"
	CodeUnauthorized      backplane.Code = "unauthorized"
	CodeForbidden         backplane.Code = "forbidden"
	CodePolicy            backplane.Code = "policy"
	CodeSlow              backplane.Code = "slow"
	CodeTokenExpired      backplane.Code = "token_expired"
	CodeMoved             backplane.Code = "moved"
	CodeNotOwner          backplane.Code = "not_owner"
	CodeNotReady          backplane.Code = "not_ready"
	CodeDegraded          backplane.Code = "degraded"
	CodeInternal          backplane.Code = "internal"
)

// CodeInfo describes a code to the authors of clients.
type CodeInfo struct {
	Code backplane.Code
	// Retryable: what was refused may be tried again as it is, after a pause, on
	// another node, or with a new token. Otherwise it would be refused again.
	Retryable bool
	// Text is a sentence that says what happened.
	Text string
}

// codes is every code of the wire, in the order of docs/protocol.md.
var codes = [...]CodeInfo{
	{CodeBadFrame, false, "The frame cannot be decoded."},
	{CodeUnknownType, false, "The server does not know this type of frame."},
	{CodeUnknownField, false, "The frame has a field that the server does not know, or that does not belong to its type."},
	{CodeBadID, false, "The id is missing, longer than 64 bytes, or not valid UTF-8."},
	{CodeNoRecipients, false, "The send names no recipient."},
	{CodeTooManyRecipients, false, "The send names more recipients than welcome.limits allows."},
	{CodeBadRecipient, false, "A recipient is empty, longer than 128 bytes, or not valid UTF-8."},
	{CodeDuplicateRecipient, false, "The send names a recipient twice."},
	{CodeRecipientIsSender, false, "The send names its own sender as a recipient."},
	{CodeBodyTooLarge, false, "The body is longer than welcome.limits allows."},
	{CodeBadKind, false, "The kind is neither message nor signal."},
	{CodeBadEncoding, false, "The body_base64 is not padded standard base64, or stands beside a body."},
	{CodeBadTTL, false, "The ttl_ms is not a whole number of milliseconds from 0 to a year."},
	{CodeBadLimit, false, "The limit is higher than welcome.limits allows, or not a whole number."},
	{CodeBadPeer, false, "The peer is longer than 128 bytes, or not valid UTF-8."},
	{CodeBadCursor, false, "The cursor is not one, or not of this user, or stands beside one that it does not go with."},
	{CodeUnknownCursor, false, "The log does not know this cursor: it was made anew, or has lost its end. Start without a cursor."},
	{CodeNoHistory, false, "This server keeps no history."},
	{CodeHistoryDown, true, "The history, or the log, did not answer in time."},
	{CodeHistoryBehind, true, "The history is too far behind the log to be read at this place."},
	{CodeRateLimited, true, "The client sends faster than welcome.limits allows."},

	{backplane.CodeOverloaded, true, "The node has no room for more at the moment."},
	{backplane.CodeTooLarge, false, "The log refuses a record of this size."},
	{backplane.CodeForbidden, false, "The log refuses this node; an operator has to act."},
	{backplane.CodeTimeout, true, "The log did not answer in time."},
	{backplane.CodeUnavailable, true, "The log gave an answer that does not tell whether it stored the message."},
	{backplane.CodeShutdown, true, "The node is stopping."},

	{CodeBadParameter, false, "A parameter of the connect request is not valid."},
	{CodeUnauthorized, false, "The token is missing or not valid."},
	{CodeForbidden, false, "The token does not allow this."},
	{CodePolicy, false, "The connection broke a rule of this server."},
	{CodeFrameTooLarge, false, "The WebSocket message is larger than any valid frame."},
	{CodeSlow, true, "The client did not read its acks."},
	{CodeTokenExpired, true, "The token has expired; connect with a new one."},
	{CodeMoved, true, "The user's partition is served by another node now."},
	{CodeNotOwner, true, "The user's partition is not served by this node; ask for the route."},
	{CodeNotReady, true, "The node is starting, or does not know yet what the client knows of the map."},
	{CodeDegraded, true, "The node has lost its log; another one may serve the user."},
	{CodeInternal, true, "The server made a mistake."},
}

// Codes returns every code of the wire, each with its description.
func Codes() []CodeInfo { return append([]CodeInfo(nil), codes[:]...) }

// Retryable reports whether what was refused with this code may be tried again as
// it is. A code that this version does not know is not retryable.
func Retryable(code backplane.Code) bool {
	for i := range codes {
		if codes[i].Code == code {
			return codes[i].Retryable
		}
	}
	return false
}

// codeOf returns text as a Code, without allocating for those that are known.
func codeOf(text []byte) backplane.Code {
	for i := range codes {
		if string(codes[i].Code) == string(text) {
			return codes[i].Code
		}
	}
	return backplane.Code(text)
}

// GapReason says why deliveries were dropped.
type GapReason string

// The reasons of a gap.
const (
	GapOutboxFull  GapReason = "outbox_full"
	GapOutboxBytes GapReason = "outbox_bytes"
	GapNodeMemory  GapReason = "node_memory"
	GapRetention   GapReason = "retention"
)

// gapReasons is every reason of a gap with its description, in the order of
// docs/protocol.md.
var gapReasons = [...]struct {
	Reason GapReason
	Text   string
}{
	{GapOutboxFull, "The client read too slowly: as many deliveries waited for it as welcome.limits allows."},
	{GapOutboxBytes, "The client read too slowly: the deliveries that waited for it held as many bytes as welcome.limits allows."},
	{GapNodeMemory, "The node's memory for all waiting deliveries was used up, and this client held much of it."},
	{GapRetention, "The messages are gone for good: their time to be kept is over."},
}

// reasonOf returns text as a GapReason, without allocating for those that are
// known.
func reasonOf(text []byte) GapReason {
	for i := range gapReasons {
		if string(gapReasons[i].Reason) == string(text) {
			return gapReasons[i].Reason
		}
	}
	return GapReason(text)
}
