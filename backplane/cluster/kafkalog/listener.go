package kafkalog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// Heard is a beat and when it reached the log.
type Heard struct {
	beats.Beat
	// Time is the log time in Unix milliseconds.
	Time int64
}

// Listener reads the beats of all nodes, this one's among them, as they come.
//
// Any goroutine may call its methods.
type Listener struct {
	// Static.
	log    *slog.Logger
	topic  *topic
	heard  func([]Heard)
	ctx    context.Context // ends when the Listener closes
	cancel context.CancelFunc
	done   sync.WaitGroup

	// Owned by the listening goroutine.
	next     int64            // the offset to go on from; -1 to begin listenBack ago
	latest   map[string]count // of each node
	failures complaints
	garbage  complaints

	// Atomic.
	lastRead *kafka.Moment // when the last fetch succeeded
}

// count is how far a process has counted its beats.
type count struct {
	incarnation, n uint64
}

// Listen returns a Listener that begins with the beats of the last 20 seconds, from which
// follows who is silent, and calls heard, on a goroutine of its own, with the beats of
// each fetch, in the order of the log. What is
// not a beat is left out, and so is a beat that comes behind a later one of its process:
// one that was given up may lie in the queue of a broker that hangs. Beats that are gone
// before they were read, as after a long time without a broker, are stepped over: they
// are for the moment.
func Listen(cfg kafka.Config, heard func([]Heard)) (*Listener, error) {
	topic, err := newTopic(&cfg, HeartbeatsTopic(cfg.Namespace), kgo.AllISRAcks(), attemptTimeout)
	if err != nil {
		return nil, err
	}
	l := &Listener{log: logger(&cfg), topic: topic, heard: heard, lastRead: kafka.NewMoment(), next: -1, latest: make(map[string]count)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.done.Go(l.run)
	return l, nil
}

// LastRead returns when a broker last answered a fetch, with beats or without; zero
// for never. They are asked twice a second at least.
func (l *Listener) LastRead() time.Time { return l.lastRead.Last() }

// Close stops listening. When it returns, no call of heard is running, and none comes.
func (l *Listener) Close() {
	l.cancel()
	l.done.Wait()
	l.topic.client.Close()
}

// run is the listening goroutine.
func (l *Listener) run() {
	for l.ctx.Err() == nil {
		err := l.step()
		if l.ctx.Err() != nil {
			return
		}
		switch failing, now := l.failures.about(err, time.Now()); {
		case now && failing:
			l.log.Warn("kafkalog: the heartbeats cannot be read; trying again", "topic", l.topic.name, "err", err)
		case now:
			l.log.Info("kafkalog: the heartbeats can be read again", "topic", l.topic.name)
		}
		if err != nil && !pause(l.ctx) {
			return
		}
	}
}

// step reads one piece and hands its beats out.
func (l *Listener) step() error {
	ctx, cancel := context.WithTimeout(l.ctx, fetchWait+2*attemptTimeout)
	defer cancel()
	got, err := l.piece(ctx)
	if _, replaced := errors.AsType[*TopicError](err); replaced {
		l.topic.adopt()
		l.next = -1
	}
	if errors.Is(err, errOutOfRange) {
		l.next = -1
	}
	if err != nil {
		return err
	}
	l.lastRead.Now()
	l.next = got.next
	var all []Heard
	for _, r := range got.records {
		beat, err := beats.Parse(r.Value)
		if _, now := l.garbage.about(err, time.Now()); now && err != nil {
			l.log.Warn("kafkalog: something in the heartbeats is not a beat", "topic", l.topic.name, "key", string(r.Key[:min(len(r.Key), maxKey)]), "err", err)
		}
		if err == nil && l.isNews(&beat) {
			all = append(all, Heard{Beat: beat, Time: r.Timestamp.UnixMilli()})
		}
	}
	if len(all) > 0 {
		l.heard(all)
	}
	return nil
}

// isNews notes a beat, and reports whether none of its process with a higher number
// came before.
func (l *Listener) isNews(b *beats.Beat) bool {
	last, known := l.latest[b.Node]
	if known && last.incarnation == b.Incarnation && b.N <= last.n {
		return false
	}
	if !known && len(l.latest) >= maxCounted {
		clear(l.latest)
	}
	l.latest[b.Node] = count{b.Incarnation, b.N}
	return true
}

func (l *Listener) piece(ctx context.Context) (piece, error) {
	if l.next < 0 {
		next, err := l.topic.offset(ctx, time.Now().Add(-listenBack).UnixMilli())
		if err == nil && next < 0 { // there is nothing so young
			next, err = l.topic.offset(ctx, momentEnd)
		}
		if err != nil {
			return piece{}, err
		}
		l.next = next
	}
	return l.topic.fetch(ctx, l.next, false)
}
