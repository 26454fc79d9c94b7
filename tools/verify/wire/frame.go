package wire

import "encoding/hex"

// Format is an encoding of frames.
type Format string

// The formats, by the name of their subprotocol after "godwit.v1.".
const (
	JSON  Format = "json"
	Proto Format = "proto"
)

// Kind is how a message is to be treated.
type Kind string

// The kinds of messages.
const (
	KindMessage Kind = "message"
	KindSignal  Kind = "signal"
)

// Status is the outcome of a send.
type Status string

// The outcomes.
const (
	Stored   Status = "stored"
	Rejected Status = "rejected"
	Unknown  Status = "unknown"
)

// MessageID names a message in every timeline that it is in. The zero value stands
// for none.
type MessageID [messageIDBytes]byte

// String returns the 32 hexadecimal digits.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// Send is what a client asks to have stored and delivered.
type Send struct {
	ID   string   // 1 to 64 bytes; a retry has the same
	To   []string // 1 to 64 users
	Kind Kind     // empty for a message
	TTL  uint64   // milliseconds, 0 for ever
	Body []byte
}

// History is a request for a part of the user's timeline.
type History struct {
	ID                    string // 1 to 64 bytes; the page has the same
	After, Before, Around string // cursors, empty for none
	Limit                 int    // messages, 0 for the server's default
	Peer                  string // a user, empty for all
}

// Frame is what a server sends: *Welcome, *Ack, *Deliver, *Gap, *Heartbeat, *Page,
// *Pong, *Moved, *Error, or what it should not have sent, a *Violation.
type Frame interface{ frame() }

// Welcome is the first frame of a connection that was accepted.
type Welcome struct {
	Session     string // 16 hexadecimal digits
	User        string
	Node        string
	MapVersion  uint64
	Cursor      string
	Resumed     bool
	Limits      Limits
	HeartbeatMS uint64
}

// Limits are those of one connection, with the names of welcome.limits.
type Limits struct {
	BodyBytes, Recipients       uint64
	QueueMessages, QueueBytes   uint64
	InFlight, SendsPerSecond    uint64
	PageMessages, StartMessages uint64
}

// Ack answers a Send.
type Ack struct {
	ID        string
	Status    Status
	Code      string // empty if it was stored
	MessageID MessageID
	Time      uint64 // Unix milliseconds in the sender's timeline, if it was stored
}

// Message is a message in the user's timeline.
type Message struct {
	Self      bool // the user is the sender
	Cursor    string
	Time      uint64 // Unix milliseconds in the user's timeline
	MessageID MessageID
	From      string
	To        []string
	ID        string
	Kind      Kind
	TTL       uint64 // milliseconds, 0 for ever
	Body      []byte // empty in a live delivery to the session that sent it
}

// Deliver brings a message.
type Deliver struct {
	Seq uint64 // 1 for the first of the connection
	Message
}

// Gap tells which deliveries were dropped, both numbers included.
type Gap struct {
	From, To      uint64
	Reason        string
	After, Before string // cursors, both excluded
}

// Heartbeat tells how far the connection has come.
type Heartbeat struct {
	Seq    uint64
	Cursor string
}

// Page answers a History.
type Page struct {
	ID            string
	Code          string    // why there is no page, else empty
	Messages      []Message // oldest first
	After, Before string    // cursors to go on with
	MoreAfter     bool
	MoreBefore    bool
	Gone          string // a cursor up to which messages may be gone, or empty

	// Asked is the request that the page answers. It is not of the server.
	Asked History
}

// Pong answers a ping.
type Pong struct{}

// Moved asks the client to connect to another node.
type Moved struct {
	URL          string
	Node         string
	MapVersion   uint64
	RetryAfterMS uint64
}

// Error answers a frame that nothing else can answer, or tells why the connection is
// about to be closed.
type Error struct {
	Code    string
	Message string // for people
}

func (*Welcome) frame()   {}
func (*Ack) frame()       {}
func (*Deliver) frame()   {}
func (*Gap) frame()       {}
func (*Heartbeat) frame() {}
func (*Page) frame()      {}
func (*Pong) frame()      {}
func (*Moved) frame()     {}
func (*Error) frame()     {}
func (*Violation) frame() {}
