package codec

import "github.com/godwit-im/godwit/backplane"

// CloseCode is the status code of a WebSocket close frame (RFC 6455, section 7.4).
// The class of a private code tells a client what to do: 4000 to 4099 do not
// reconnect, 4100 to 4199 reconnect after a pause, 4200 to 4299 ask for the route
// again.
type CloseCode uint16

// The close codes of the protocol. Those below 4000 are registered with IANA.
// Besides these the WebSocket layer uses 1002 and 1007 as RFC 6455 asks.
const (
	CloseGoingAway     CloseCode = 1001
	CloseTooBig        CloseCode = 1009
	CloseInternal      CloseCode = 1011
	CloseRestart       CloseCode = 1012
	CloseTryAgainLater CloseCode = 1013

	CloseBadRequest   CloseCode = 4000
	CloseUnauthorized CloseCode = 4001
	CloseForbidden    CloseCode = 4003
	ClosePolicy       CloseCode = 4008

	CloseSlow         CloseCode = 4100
	CloseRate         CloseCode = 4101
	CloseTokenExpired CloseCode = 4102

	CloseMoved    CloseCode = 4200
	CloseNotOwner CloseCode = 4201
)

// closeCodes is every close code with its description, in the order of
// docs/protocol.md.
var closeCodes = [...]struct {
	Code CloseCode
	Text string
}{
	{CloseGoingAway, "The server is going away. Reconnect after a pause."},
	{CloseTooBig, "A message of the client was too large. Do not send it again."},
	{CloseInternal, "The server made a mistake. Reconnect after a pause."},
	{CloseRestart, "The node is stopping. Reconnect after a pause."},
	{CloseTryAgainLater, "The node has no room for more, or cannot resume now. Reconnect after a longer pause."},
	{CloseBadRequest, "A frame or a connect parameter was not valid. Do not reconnect with the same."},
	{CloseUnauthorized, "The token is missing or not valid. Do not reconnect with it."},
	{CloseForbidden, "The token does not allow this. Do not reconnect."},
	{ClosePolicy, "The connection broke a rule of this server. Do not reconnect."},
	{CloseSlow, "The client did not read what it was sent. Reconnect after a pause."},
	{CloseRate, "The client sent too fast for too long. Reconnect after a pause."},
	{CloseTokenExpired, "The token has expired. Reconnect with a new one."},
	{CloseMoved, "The user is served by another node now. Connect to the node that moved told."},
	{CloseNotOwner, "The user is not served by this node. Connect to the node that moved told, or ask for the route."},
}

// CloseFor returns the close code for a connection that ends for the reason that
// code gives. This is the one place where that is decided.
func CloseFor(code backplane.Code) CloseCode {
	switch code {
	case CodeBadFrame, CodeUnknownType, CodeUnknownField, CodeBadID, CodeNoRecipients,
		CodeTooManyRecipients, CodeBadRecipient, CodeDuplicateRecipient, CodeRecipientIsSender,
		CodeBodyTooLarge, CodeBadKind, CodeBadEncoding, CodeBadTTL, CodeBadLimit,
		CodeBadPeer, CodeBadCursor, CodeUnknownCursor, CodeNoHistory, CodeBadParameter:
		return CloseBadRequest
	case CodeUnauthorized:
		return CloseUnauthorized
	case CodeForbidden:
		return CloseForbidden
	case CodePolicy:
		return ClosePolicy
	case CodeFrameTooLarge, backplane.CodeTooLarge:
		return CloseTooBig
	case CodeSlow:
		return CloseSlow
	case CodeRateLimited:
		return CloseRate
	case CodeTokenExpired:
		return CloseTokenExpired
	case CodeMoved:
		return CloseMoved
	case CodeNotOwner:
		return CloseNotOwner
	case backplane.CodeShutdown:
		return CloseRestart
	case backplane.CodeOverloaded, CodeNotReady, CodeDegraded, CodeHistoryDown, CodeHistoryBehind:
		return CloseTryAgainLater
	}
	return CloseInternal
}
