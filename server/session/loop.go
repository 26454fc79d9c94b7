package session

import (
	"math/rand/v2"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/registry/ring"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/placement"
	"github.com/godwit-im/godwit/server/tail"
)

// Verifier checks tokens. auth.Verifier is one.
type Verifier interface {
	// Verify checks a token. Any goroutine may call it.
	Verify(token string, now time.Time) (auth.Claims, error)
	// Cached returns the claims of a token that was verified before, if they are
	// remembered and still good. Any goroutine may call it.
	Cached(token string, now time.Time) (auth.Claims, bool)
	// Fast reports whether Verify is quick enough for an event loop.
	Fast() bool
}

// Deps are what sessions work with. All of them may be used from any goroutine,
// and none of them blocks.
type Deps struct {
	Registry  *registry.Registry
	Producer  backplane.Producer
	Placement *placement.Current
	Tails     *tail.Tails
	Memory    *delivery.Memory
	Verifier  Verifier
	// VerifyLater has a token checked on another goroutine, which calls
	// a.Verified. It reports false, and does nothing, when too many are waiting. It
	// is used when the Verifier is not Fast.
	VerifyLater func(token string, a *Answer) bool
	// Read has a question about a timeline answered on another goroutine, which calls
	// r.Done. It reports false, and does nothing, when too many are waiting.
	Read func(r *Reading) bool
	// Ready reports whether the node takes users in.
	Ready func() bool
	// Reached reports whether the node has read a partition up to the present.
	Reached func(p backplane.Partition) bool
	// Degraded reports whether the node has lost its log.
	Degraded func() bool
}

// Lane is the loop as its sessions and those who answer them see it.
type Lane interface {
	// Answer takes an answer to the loop. It never refuses one: there are no more
	// answers than the loop has credits. Any goroutine may call it.
	Answer(a *Answer)
	// Session finds a session by its handle; nil if the connection has gone. Only the
	// loop may call it.
	Session(h registry.Handle) *Session
}

// Loop is what the sessions of one event loop share.
type Loop struct {
	// Static after construction.
	config      *Config
	deps        *Deps
	lane        Lane
	codecLimits codec.Limits
	frameLimits [codec.Encodings]ws.Limits

	// Now is the time of this pass in milliseconds, on a clock that never steps, near
	// Unix time. All times of sessions are on it. Wall is the same moment by the
	// machine's clock, for tokens. The reactor sets both.
	Now  int64
	Wall time.Time

	// Owned by the loop.
	reader    ws.Reader  // for sessions without input; idle between them
	inputs    []*input   // free
	outputs   []*output  // free
	catchUps  []*catchUp // free
	readers   waiting
	reading   int // questions under way
	far       int // of those, that are not Reading.Near
	decoder   codec.Decoder
	frame     codec.ClientFrame
	message   backplane.Message
	value     []byte // scratch for an encoded message
	scratch   []byte // scratch for a payload
	output    []byte // scratch for finished output
	rings     ring.Pool[entry]
	free      []*Answer // the answers of unused credits, as far as they were ever used
	credits   int       // answers that may still be taken
	positions []int64   // by partition: the last offset that the loop was told
	lost      []int64   // by partition: up to where there may be what was never read; -1 for none
	draining  bool

	Counters Counters
}

// waiting are sessions that wait to read, in the order in which they came: those who want
// what is in the tail, and the others.
type waiting struct{ near, far []registry.Handle }

// NewLoop returns the shared part of a loop's sessions.
func NewLoop(c *Config, d *Deps, lane Lane) *Loop {
	l := &Loop{
		config:      c,
		deps:        d,
		lane:        lane,
		codecLimits: c.codecLimits(),
		credits:     c.Answers,
		positions:   make([]int64, d.Tails.N()),
		lost:        make([]int64, d.Tails.N()),
	}
	for e := range l.frameLimits {
		l.frameLimits[e] = ws.Limits{MessageBytes: l.codecLimits.MaxFrame(codec.Encoding(e)), Fragments: fragments}
	}
	for i := range l.positions {
		l.positions[i], l.lost[i] = -1, -1
	}
	return l
}

// Tell notes how far partitions have come, or where they go on without what was not read
// before; see delivery.Targets. The reactor calls it when it takes the news out of the
// mailbox, so everything before it has been delivered.
func (l *Loop) Tell(positions []backplane.Position, lost bool) {
	to := l.positions
	if lost {
		to = l.lost
	}
	for _, p := range positions {
		to[p.Partition] = p.Offset
	}
}

// Drain makes the loop's sessions refuse what is new: requests and sends. The
// sessions that are open are told one by one, by Session.Drain.
func (l *Loop) Drain() { l.draining = true }

// takeAnswer takes a credit, in the form of the answer that it stands for. It
// returns nil when all are in use.
func (l *Loop) takeAnswer(s *Session) *Answer {
	if l.credits == 0 {
		return nil
	}
	l.credits--
	var a *Answer
	if n := len(l.free); n > 0 {
		a, l.free = l.free[n-1], l.free[:n-1]
	} else {
		a = &Answer{lane: l.lane}
	}
	a.Handle = s.handle
	return a
}

// giveAnswer returns a credit.
func (l *Loop) giveAnswer(a *Answer) {
	a.verified, a.claims, a.err = false, auth.Claims{}, nil
	l.free = append(l.free, a)
	l.credits++
}

// Waiting returns how many answers the loop waits for.
func (l *Loop) Waiting() int { return l.config.Answers - l.credits }

// seconds returns the time of this pass in seconds, which fit 32 bits until 2106.
func (l *Loop) seconds() uint32 { return uint32(l.Now / 1000) }

// newID returns a session id: random, so that ids of all nodes and of all their
// lives differ, and never 0, which stands for no session.
func newID() uint64 { return rand.Uint64()>>1 + 1 }
