package kafkalog

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// prefixBarrier begins the keys of barriers. A barrier is a tombstone for a key that
// nobody else has: it changes nothing, and compaction leaves nothing of it.
const prefixBarrier = "barrier/"

// Log is a node's access to the cluster topic. It reads all of it and follows it, and
// writes requests. Controllers write through a Session.
//
// Any goroutine may call its methods. All but Err, Alarm and LastRead wait for
// brokers, so none is for an event loop, nor for the function that Open was given.
type Log struct {
	// Static.
	cfg    kafka.Config
	log    *slog.Logger
	topic  *topic
	apply  func([]cluster.Record)
	ctx    context.Context // ends when the Log closes
	cancel context.CancelFunc
	alarm  chan struct{}  // closed with err set
	done   sync.WaitGroup // the following goroutine
	err    error          // written before alarm is closed, read after

	// Owned by the following goroutine; see follow.go.
	state following

	// Atomic.
	lastRead *kafka.Moment // when the last fetch succeeded

	mu       sync.Mutex
	barriers map[string]chan struct{} // guarded by mu: closed when the barrier with this key was read
	// decisions are told, once, whether the record at their offset was handed out by the
	// time that reading has gone past it. Guarded by mu.
	decisions map[int64]chan bool
}

// Open begins to read the cluster topic of cfg's namespace, and returns when all that
// was in it at the time of the call has been handed to apply. It fails with a
// *TopicError, with what a broker refuses for good, or when ctx or 30 s are over, for
// which a controller that died in the middle of a decision is reason enough if nobody
// takes its place.
//
// apply is called with records in the order of the log, those of a decision in one
// call, by one goroutine, from before Open returns until the Log is closed. Records
// have a nil Value where their key was deleted. apply may keep them. It must not call
// a method of the Log that waits.
func Open(ctx context.Context, cfg kafka.Config, apply func([]cluster.Record)) (*Log, error) {
	topic, err := newTopic(&cfg, ClusterTopic(cfg.Namespace), kgo.AllISRAcks(), attemptTimeout)
	if err != nil {
		return nil, err
	}
	l := &Log{
		cfg:      cfg,
		log:      logger(&cfg),
		topic:    topic,
		apply:    apply,
		lastRead: kafka.NewMoment(),
		alarm:    make(chan struct{}),
		barriers: make(map[string]chan struct{}), decisions: make(map[int64]chan bool),
		state: newFollowing(),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.done.Go(l.follow)
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := l.Barrier(ctx); err != nil {
		l.Close()
		return nil, fmt.Errorf("kafkalog: reading %s: %w", l.topic.name, err)
	}
	return l, nil
}

// Close stops reading: when it returns, no call of apply is running, and none comes.
// Calls that wait end with ErrClosed. Sessions are closed by their owners.
func (l *Log) Close() {
	l.cancel()
	l.done.Wait()
	l.topic.client.Close()
}

// Err returns the alarm, a *TopicError, once there is one: nothing more is read then,
// and what was handed out before is the last good state.
func (l *Log) Err() error {
	select {
	case <-l.alarm:
		return l.err
	default:
		return nil
	}
}

// Alarm is closed when there is an alarm, see Err.
func (l *Log) Alarm() <-chan struct{} { return l.alarm }

// LastRead returns when a broker last answered a fetch, with records or without; zero
// for never. They are asked twice a second at least.
func (l *Log) LastRead() time.Time { return l.lastRead.Last() }

// Append writes records, requests above all, and returns when the brokers have stored
// them: all or none. It tries for 10 s, or until ctx ends. After an error they may
// have been written, even more than once, so they must mean the same however often
// they are there.
func (l *Log) Append(ctx context.Context, records ...cluster.Record) error {
	if err := check(records); err != nil {
		return err
	}
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := l.bound(ctx, appendTimeout)
	defer cancel()
	if err := l.write(ctx, records); err != nil {
		return fmt.Errorf("kafkalog: writing to %s: %w", l.topic.name, err)
	}
	return nil
}

// Barrier returns when all that was in the topic at the time of the call has been
// handed to apply, and apply has returned. It writes a record for that, and waits for
// it for 30 s, or until ctx ends.
func (l *Log) Barrier(ctx context.Context) error {
	ctx, cancel := l.bound(ctx, barrierTimeout)
	defer cancel()
	key := prefixBarrier + rand.Text()
	seen := make(chan struct{})
	l.mu.Lock()
	l.barriers[key] = seen
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.barriers, key)
	}()
	if err := l.write(ctx, []cluster.Record{{Key: key}}); err != nil {
		return fmt.Errorf("kafkalog: writing a barrier to %s: %w", l.topic.name, err)
	}
	select {
	case <-seen:
		return nil
	case <-l.alarm:
		return l.err
	case <-l.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("kafkalog: a barrier of %s is not to be read yet: %w", l.topic.name, ctx.Err())
	}
}

// bound returns ctx with a bound of time, which ends with the Log as well.
func (l *Log) bound(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// write appends records until that succeeds. It writes nothing to a topic that is not
// to be trusted.
func (l *Log) write(ctx context.Context, records []cluster.Record) error {
	return l.ended(l.topic.keepTrying(ctx, func(ctx context.Context) error {
		if err := l.Err(); err != nil {
			return err
		}
		return l.topic.append(ctx, attemptTimeout, records)
	}))
}

// ended returns err, or ErrClosed where the Log was closed: that is why, whatever err says.
func (l *Log) ended(err error) error {
	if err != nil && l.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

func logger(cfg *kafka.Config) *slog.Logger {
	if cfg.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return cfg.Logger
}
