package client

import (
	"bytes"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Outgoing is a message to send.
type Outgoing struct {
	// ID is the client's own id for the message, 1 to backplane.MaxClientID bytes of UTF-8.
	// The same id, with the same content, is the same message, and no other message of
	// the device may ever have it. If empty, Send makes one of 128 random bits.
	ID string
	// To lists the recipients: 1 to backplane.MaxRecipients different users, the sender
	// not among them.
	To   []string
	Body []byte
	Kind backplane.Kind
	// TTL is how long after its log time the message is there, in whole milliseconds and
	// at most a year; 0 is for ever.
	TTL time.Duration
}

// Ack says that a message is stored for all its recipients and the sender.
type Ack struct {
	ID        string
	MessageID backplane.MessageID
	Time      time.Time // the log time, in milliseconds
}

// Message is a message that has arrived.
type Message struct {
	MessageID backplane.MessageID
	From      string
	To        []string
	ID        string // that the sending client gave
	// Kind is codec.UnknownKind for a kind that this version does not know.
	Kind backplane.Kind
	// Body may be empty, whatever was sent, on the connection that sent the message. In a
	// Page it is not.
	Body []byte
	// TTL is how long after Time the message is there: whoever shows it takes it away
	// then. 0 is for ever.
	TTL  time.Duration
	Time time.Time // the log time, in milliseconds
	Self bool      // the client's own user is the sender
	// Seq is the number of the delivery on its connection, from 1; 0 in a Page.
	Seq uint64
	// Cursor is the place of the message in the user's timeline, opaque text.
	Cursor string
}

// Gap tells that the deliveries numbered FromSeq to ToSeq of the connection were dropped:
// the client did not read them in time. They lie between the cursors After and Before,
// both exclusive, where History finds them, but for signals. If the connection is lost
// just then they may come all the same.
type Gap struct {
	FromSeq, ToSeq uint64
	Reason         codec.GapReason
	After, Before  string
}

// Gone tells that messages are lost for good.
type Gone struct {
	// After and Before are the cursors between which they lie, both exclusive.
	//
	// Before is empty if the server does not know the cursor After: the log was made anew
	// or has lost its end, or the cursor is of another user. Then nobody can say what is
	// missing, if anything is, and the client begins anew as Options.Start says.
	After, Before string
	// Code is why the server refused After, codec.CodeUnknownCursor or
	// codec.CodeBadCursor; empty if it did not, and the time for which messages are kept
	// is over.
	Code backplane.Code
}

// Phase is what a connection is at.
type Phase uint8

// The phases of a connection.
const (
	Connecting Phase = iota + 1
	Connected
	Disconnected
)

// String returns the name of the phase in lower case.
func (p Phase) String() string {
	switch p {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	}
	return "unknown"
}

// State tells what has become of the connection.
type State struct {
	Phase Phase
	URL   string // of the node
	// Welcome is what the server said when Connected, else nil.
	Welcome *codec.Welcome
	// Err is why the client is Disconnected; nil if its context ended.
	Err error
	// RetryIn is how long a client that is Disconnected waits before it connects again.
	RetryIn time.Duration
	// Final says that it will not connect again.
	Final bool
}

// messageOf copies a delivery out of the frame it was read in.
func messageOf(d *codec.Deliver) Message {
	m := &d.Message
	to := make([]string, len(m.To))
	for i, u := range m.To {
		to[i] = string(u)
	}
	return Message{
		MessageID: m.MessageID,
		From:      string(m.From),
		To:        to,
		ID:        string(m.ID),
		Kind:      m.Kind,
		Body:      bytes.Clone(m.Body),
		TTL:       time.Duration(m.TTL) * time.Millisecond,
		Time:      time.UnixMilli(d.Time),
		Self:      d.Self,
		Seq:       d.Seq,
		Cursor:    string(d.Cursor),
	}
}

func gapOf(g *codec.Gap) Gap {
	return Gap{FromSeq: g.FromSeq, ToSeq: g.ToSeq, Reason: g.Reason, After: string(g.After), Before: string(g.Before)}
}

// size returns about how many bytes of memory the message takes.
func (m *Message) size() int {
	const fixed = 256
	n := fixed + len(m.From) + len(m.ID) + len(m.Body) + len(m.Cursor)
	for _, u := range m.To {
		n += fixed/8 + len(u)
	}
	return n
}
