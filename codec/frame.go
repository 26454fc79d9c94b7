package codec

import (
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// FrameType tells frames apart.
type FrameType uint8

// The frames. FrameUnknown is what a client makes of a frame of a newer server.
const (
	FrameUnknown FrameType = iota

	FrameSend
	FrameRefresh
	FramePing
	FrameHistory

	FrameWelcome
	FrameAck
	FrameDeliver
	FrameGap
	FrameHeartbeat
	FrameHistoryPage
	FramePong
	FrameMoved
	FrameError
)

// String returns the name of the frame as it stands in the member "type" of JSON.
func (t FrameType) String() string {
	switch t {
	case FrameSend:
		return "send"
	case FrameRefresh:
		return "refresh"
	case FramePing:
		return "ping"
	case FrameHistory:
		return "history"
	case FrameWelcome:
		return "welcome"
	case FrameAck:
		return "ack"
	case FrameDeliver:
		return "deliver"
	case FrameGap:
		return "gap"
	case FrameHeartbeat:
		return "heartbeat"
	case FrameHistoryPage:
		return "history_page"
	case FramePong:
		return "pong"
	case FrameMoved:
		return "moved"
	case FrameError:
		return "error"
	}
	return "unknown"
}

// ClientFrame is a frame from a client: Type says which of the other fields
// counts. A ping has none.
type ClientFrame struct {
	Type    FrameType
	Send    Send
	Token   []byte // of a refresh
	History History
}

// Send asks for a message to be stored and delivered.
type Send struct {
	ID   []byte // 1 to backplane.MaxClientID bytes of UTF-8
	To   [][]byte
	Kind backplane.Kind
	// TTL is how many milliseconds after its log time the message is hidden, at most
	// backplane.MaxTTL; 0 is never.
	TTL  int64
	Body []byte
}

// ServerFrame is a frame from a server as a client sees it: Type says which of
// the other fields counts. A pong has none.
//
// Byte slices in it alias the payload it was decoded from, or memory that the next
// DecodeServer into the same ServerFrame uses again.
type ServerFrame struct {
	Type        FrameType
	Deliver     Deliver
	Welcome     Welcome
	Ack         Ack
	Gap         Gap
	Heartbeat   Heartbeat
	HistoryPage HistoryPage
	Moved       Moved
	Error       ErrorFrame

	json jsonReader
}

// Deliver is a message on its way to a device.
type Deliver struct {
	Seq     uint64 // the number of the delivery on its connection, from 1; 0 in a page
	Self    bool   // the receiving user is the sender
	Cursor  []byte
	Time    int64 // the record's log time in Unix milliseconds
	Message backplane.Message
}

// Welcome is the first frame of a connection that was accepted.
type Welcome struct {
	Session    uint64
	User       string
	Node       string
	MapVersion uint64
	// Cursor is where in the user's timeline the connection begins: on a resume the
	// cursor that the client gave.
	Cursor []byte
	// Resumed: the client gave a cursor, and everything after it follows.
	Resumed bool
	Limits  SessionLimits
	// Heartbeat is the silence after which the client sends a ping. The wire has it
	// in milliseconds.
	Heartbeat time.Duration
}

// SessionLimits are the limits of one connection, told in Welcome.
type SessionLimits struct {
	BodyBytes      uint32
	Recipients     uint32
	QueueMessages  uint32
	QueueBytes     uint32
	InFlight       uint32
	SendsPerSecond uint32
	PageMessages   uint32 // the highest limit of a history request: MaxPage
	StartMessages  uint32 // the highest n of start=last:n: MaxStart
}

// Ack answers a send.
type Ack struct {
	ID     []byte
	Status backplane.Status
	Code   backplane.Code // empty when stored
	// MessageID is zero where the send was refused before it had one.
	MessageID backplane.MessageID
	Time      int64 // the log time in Unix milliseconds when stored, else 0
}

// Gap tells that deliveries were dropped: those numbered FromSeq to ToSeq, which
// lie between the two cursors, both exclusive. With GapRetention nobody knows how many
// there were, so the gap uses up one number itself: FromSeq and ToSeq are equal.
type Gap struct {
	FromSeq uint64
	ToSeq   uint64
	Reason  GapReason
	After   []byte
	Before  []byte
}

// Heartbeat tells the last sequence number given and the cursor reached.
type Heartbeat struct {
	Seq    uint64
	Cursor []byte
}

// Moved tells the client to connect to another node.
type Moved struct {
	URL        string
	Node       string
	MapVersion uint64
	RetryAfter time.Duration // on the wire in milliseconds
}

// ErrorFrame tells what was wrong with a frame that no ack can answer, or why the
// connection is about to be closed.
type ErrorFrame struct {
	Code    backplane.Code
	Message string
}

// UnknownKind stands for a kind that this version has no name for.
const UnknownKind backplane.Kind = 255

// kindName returns the name of a kind in JSON.
func kindName(k backplane.Kind) string {
	switch k {
	case backplane.KindMessage:
		return "message"
	case backplane.KindSignal:
		return "signal"
	}
	return "unknown"
}

// kindOf returns the kind that a name in JSON stands for.
func kindOf(name []byte) backplane.Kind {
	switch string(name) {
	case "message":
		return backplane.KindMessage
	case "signal":
		return backplane.KindSignal
	}
	return UnknownKind
}

// statusName returns the name of a status in JSON.
func statusName(s backplane.Status) string {
	switch s {
	case backplane.Stored:
		return "stored"
	case backplane.Rejected:
		return "rejected"
	}
	return "unknown"
}

// statusOf returns the status that a name in JSON stands for. What a client does
// not know is Unknown: then it tries again with the same id, which is always safe.
func statusOf(name []byte) backplane.Status {
	switch string(name) {
	case "stored":
		return backplane.Stored
	case "rejected":
		return backplane.Rejected
	}
	return backplane.Unknown
}
