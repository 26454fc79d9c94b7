package ws

// The limits of the protocol and of this package. What a server may choose is in
// Limits; what follows from RFC 6455 or holds for every user is here.
const (
	// MaxHead is the longest head of a request or a response, in bytes, with the
	// empty line that ends it. It is twice what common servers and proxies accept
	// for one line, because a token may travel in the target.
	MaxHead = 8 << 10

	// MaxHeaderSize is the longest frame header, in bytes: two, eight for the
	// length and four for the masking key (RFC 6455, section 5.2).
	MaxHeaderSize = 14

	// MaxControl is the largest payload of a control frame, in bytes (RFC 6455,
	// section 5.5).
	MaxControl = 125

	// MaxCloseReason is the longest reason in a close frame, in bytes: MaxControl
	// without the two of the status code.
	MaxCloseReason = MaxControl - 2
)

// Limits are what a Reader holds its peer to. One value serves all connections of
// a kind and must not change while a Reader uses it.
type Limits struct {
	// MessageBytes is the largest message, in bytes of payload, over all its
	// fragments. Values above 2^31-1 count as that.
	MessageBytes int

	// Fragments is the largest number of frames that one message may come in;
	// anything below 2 means that messages must not be fragmented. It bounds the
	// work that empty fragments can cause.
	Fragments int

	// Client is set at the client's end, where frames must come unmasked. At the
	// server's end they must come masked (RFC 6455, section 5.1).
	Client bool
}
