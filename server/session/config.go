package session

import (
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// Config holds the limits and times of connections. It is immutable; package
// server/config checks the settings it is made from.
type Config struct {
	Node string // this node's name, told in welcome

	// Body is the longest body of a send in bytes, at most backplane.MaxBody.
	Body int
	// QueueMessages and QueueBytes bound the deliveries that wait in a connection's
	// outbox.
	QueueMessages int
	QueueBytes    int
	// InFlight is how many answers (acks above all) a client may have coming: those
	// being worked out and those in its outbox. A client beyond that does not read
	// what it asked for and is closed.
	InFlight int
	// Rate is how many frames a client may send per second, in bursts of up to
	// rateBurst seconds' worth; 0 for no limit.
	Rate int
	// Answers is how many answers the sessions of one loop together may be waiting
	// for: the credits of the loop.
	Answers int

	// UpgradeTimeout is how long a connection may take from its first moment to
	// the answer to its request.
	UpgradeTimeout time.Duration
	// Heartbeat is the silence after which a client asks whether the server is
	// there. The server itself pings a client from which nothing came for
	// idleFactor heartbeats.
	Heartbeat time.Duration
	// CursorLag is how old the cursor that a client was last told may get before a
	// heartbeat tells it a newer one.
	CursorLag time.Duration
}

// Limits that follow from others or need no setting.
const (
	// rateBurst is how many seconds' worth of frames may come at once. A client
	// that is as much below zero as it may be above is closed.
	rateBurst = 2

	// idleFactor times Heartbeat without a byte from the client, the server pings
	// it; a client of ours is never silent that long unless it receives a lot.
	idleFactor = 3

	// idleGrace is how long a pinged client has to send anything at all.
	idleGrace = 30 * time.Second

	// closeTimeout is how long the closing handshake, and the reading of what the
	// client had still sent, may take.
	closeTimeout = 5 * time.Second

	// fragments is how many frames a message may come in.
	fragments = 64

	// overBudgetQueue is how many deliveries a connection may keep waiting while the
	// node's frames use more than their budget.
	overBudgetQueue = 4

	// earlyBytes bounds what a client may send between its request and the answer.
	earlyBytes = 64 << 10
)

func (c *Config) codecLimits() codec.Limits {
	return codec.Limits{Body: c.Body, Recipients: backplane.MaxRecipients}
}

// welcomeLimits are what a client is told.
func (c *Config) welcomeLimits() codec.SessionLimits {
	return codec.SessionLimits{
		BodyBytes:      uint32(c.Body),
		Recipients:     backplane.MaxRecipients,
		QueueMessages:  uint32(c.QueueMessages),
		QueueBytes:     uint32(c.QueueBytes),
		InFlight:       uint32(c.InFlight),
		SendsPerSecond: uint32(c.Rate),
	}
}
