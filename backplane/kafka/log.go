package kafka

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// clientLog is the log of a client. Clients are loud: each of them tells of each request
// that fails, again and again, and a node has many clients. What they tell for information
// (each assignment, each fetch of metadata) concerns who debugs it, and is logged as that.
// What they complain of is told in one line at first, one line now and then while it goes
// on, and one when it is over, of all clients together; for who debugs it, all is there.
//
// It is a handler of log records, and a hook of the client.
type clientLog struct {
	slog.Handler
	trouble *trouble
}

var _ kgo.HookBrokerE2E = (*clientLog)(nil)

func lowered(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}

// Enabled implements slog.Handler.
func (c *clientLog) Enabled(ctx context.Context, l slog.Level) bool {
	return c.Handler.Enabled(ctx, lowered(l))
}

// Handle implements slog.Handler.
func (c *clientLog) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lowered(r.Level)
	if r.Level < slog.LevelWarn {
		return c.Handler.Handle(ctx, r)
	}
	since, times := c.trouble.complain(time.Now())
	if times == 0 {
		r.Level = slog.LevelDebug
		if !c.Handler.Enabled(ctx, r.Level) {
			return nil
		}
		return c.Handler.Handle(ctx, r)
	}
	told := slog.NewRecord(r.Time, r.Level, "kafka: there is trouble with the brokers; trying again", r.PC)
	if !since.IsZero() {
		told.Message = "kafka: the trouble with the brokers goes on; trying again"
		told.AddAttrs(slog.Time("since", since), slog.Int("complaints", times))
	}
	told.AddAttrs(slog.String("client", r.Message))
	r.Attrs(func(a slog.Attr) bool {
		told.AddAttrs(a)
		return true
	})
	return c.Handler.Handle(ctx, told)
}

// WithAttrs implements slog.Handler.
func (c *clientLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &clientLog{c.Handler.WithAttrs(attrs), c.trouble}
}

// WithGroup implements slog.Handler.
func (c *clientLog) WithGroup(name string) slog.Handler {
	return &clientLog{c.Handler.WithGroup(name), c.trouble}
}

// OnBrokerE2E is called by the client for each request that has ended.
func (c *clientLog) OnBrokerE2E(_ kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) {
	if e.Err() != nil || !c.trouble.any.Load() {
		return
	}
	if since, over := c.trouble.answered(time.Now()); over {
		slog.New(c.Handler).Info("kafka: the trouble with the brokers is over", "since", since)
	}
}

// trouble is what the clients that were made from one Config complain of. Any goroutine may
// call its methods.
type trouble struct {
	any atomic.Bool // there is some; for those who ask for each request

	mu     sync.Mutex
	since  time.Time // guarded by mu: of the first complaint; zero while all is well
	latest time.Time // guarded by mu: of the latest
	told   time.Time // guarded by mu: when one was last told
	untold int       // guarded by mu: how many came since then
}

// complain notes a complaint. times is 0 if it is not to be told, else how many there were
// since the last one that was, this one among them. since is when the trouble began; zero
// if this is the beginning.
func (t *trouble) complain(now time.Time) (since time.Time, times int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = now
	t.untold++
	if !t.since.IsZero() && now.Sub(t.told) < complainEvery {
		return t.since, 0
	}
	since, times = t.since, t.untold
	if since.IsZero() {
		t.since = now
		t.any.Store(true)
	}
	t.told, t.untold = now, 0
	return since, times
}

// answered notes that a broker has answered. over tells that the trouble ends with that: as
// long as another broker does not answer, there are complaints.
func (t *trouble) answered(now time.Time) (since time.Time, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() || now.Sub(t.latest) < calmAfter {
		return time.Time{}, false
	}
	since = t.since
	t.since, t.untold = time.Time{}, 0
	t.any.Store(false)
	return since, true
}
