// Package ws is the WebSocket protocol of RFC 6455 over byte slices: the opening
// handshake and the frames, for both ends of a connection.
//
// Bytes go in and bytes come out. The package has no IO, starts no goroutine,
// reads no clock and draws no random numbers; its caller owns the socket, the
// deadlines and the masking keys. That makes it fit an event loop, which gets
// input in pieces of any size and must never wait.
//
// # A server's connection
//
// The server collects bytes until HeadEnd finds the end of the request head, and
// refuses a head longer than MaxHead. ParseRequest then tells what is asked for.
// Upgrade makes the response that switches protocols; it needs nothing but the
// head, so that a token can be verified in between. Every other answer is made by
// AppendResponse. After the upgrade a Reader turns the bytes behind the head into
// events, and AppendHeader, AppendFrame and AppendClose make the frames that go
// out.
//
// # A client's connection
//
// AppendRequest makes the request and ParseResponse reads the answer. A Reader
// with Limits.Client takes frames in; AppendMasked and AppendMaskedClose make
// those that go out.
//
// # What it is not for
//
// It negotiates no extensions: no compression, and a frame with a reserved bit is
// an error. It does not answer a ping, echo a close or keep a connection's state
// after an error; that is the session's business. It is no HTTP server: it reads
// one request head and never a body.
//
// # Goroutines
//
// A Reader belongs to one goroutine at a time, on a server the event loop of its
// connection. The functions are pure and may be called from any goroutine, as long
// as nobody else touches the slices given to them. Limits and the error values are
// never written after they were made and are shared freely.
package ws
