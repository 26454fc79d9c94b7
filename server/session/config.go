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
	// Rate is how many frames a client may send, nil for no limit. A client as far beyond
	// as a whole burst is closed.
	Rate *Rate
	// Answers is how many answers the sessions of one loop together may be waiting
	// for: the credits of the loop.
	Answers int
	// Readings is how many of those may be questions about timelines.
	Readings int

	// UpgradeTimeout is how long a connection may take from its first moment to
	// the answer to its request.
	UpgradeTimeout time.Duration
	// Heartbeat is the silence after which a client asks whether the server is there.
	Heartbeat time.Duration
	// Idle is the silence of a client after which the server pings it. A client of
	// ours is silent for longer than Heartbeat only while it receives.
	Idle time.Duration
	// CursorLag is how old the cursor that a client was last told may get before a
	// heartbeat tells it a newer one.
	CursorLag time.Duration
}

// Limits that follow from others or need no setting.
const (
	// idleGrace is how long a pinged client has to send anything at all.
	idleGrace = 30 * time.Second

	// closeTimeout is how long the closing handshake, and the reading of what the
	// client had still sent, may take.
	closeTimeout = 5 * time.Second

	// fragments is how many frames a message may come in.
	fragments = 64

	// overBudgetQueue and overBudgetBytes are how many deliveries, and bytes of them, a
	// connection may keep waiting while the node is over its budget of memory.
	overBudgetQueue = 4
	overBudgetBytes = 16 << 10

	// stallTimeout is how long a client may take nothing of what there is for it. What it
	// holds of the node's memory is given back then.
	stallTimeout = time.Minute

	// messageTimeout is how long a message may take from its first byte to its last.
	messageTimeout = time.Minute

	// pageMessages and pageBytes bound what a connection that catches up reads at once.
	pageMessages = 128
	pageBytes    = 128 << 10

	// nearPart is the part of a loop's readings that is left to those that are near: when the
	// store is slow, the others take all that they may have.
	nearPart = 4

	// maxPages is how many pages a client may have coming: those being read and those in its
	// outbox. A page is a thousand times an ack, so that in_flight of them would be too many
	// for who does not read, and for the readings of the others.
	maxPages = 8

	// earlyBytes bounds what a client may send between its request and the answer.
	earlyBytes = 64 << 10
)

func (c *Config) codecLimits() codec.Limits {
	return codec.Limits{Body: c.Body, Recipients: backplane.MaxRecipients}
}

// welcomeLimits are what a client is told.
func (c *Config) welcomeLimits() codec.SessionLimits {
	perSecond, _ := c.Rate.load()
	return codec.SessionLimits{
		BodyBytes:      uint32(c.Body),
		Recipients:     backplane.MaxRecipients,
		QueueMessages:  uint32(c.QueueMessages),
		QueueBytes:     uint32(c.QueueBytes),
		InFlight:       uint32(c.InFlight),
		SendsPerSecond: perSecond,
		PageMessages:   codec.MaxPage,
		StartMessages:  codec.MaxStart,
	}
}
