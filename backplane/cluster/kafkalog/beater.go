package kafkalog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// Beater puts a node's beats on the heartbeats topic: one now, one every half second,
// and one when it is closed. One is on its way at a time, and one that fails is not sent
// again, since a late beat would tell what is no longer so; the next is sent when its turn
// comes.
//
// Any goroutine may call its methods.
type Beater struct {
	// Static.
	log     *slog.Logger
	topic   *topic
	next    func(last bool) beats.Beat
	ctx     context.Context // ends when the Beater closes
	cancel  context.CancelFunc
	done    sync.WaitGroup
	closing sync.Once

	// Owned by the beating goroutine, and by Close when that has ended.
	failures complaints

	// Atomic.
	lastBeat *kafka.Moment // when the last beat was acknowledged
}

// NewBeater returns a Beater that beats until it is closed. It calls next for each beat,
// one call at a time: on a goroutine of its own, and for the last beat within Close.
func NewBeater(cfg kafka.Config, next func(last bool) beats.Beat) (*Beater, error) {
	// The leader's word is enough. To wait for the replicas as well would make every
	// beat fail while one of them is being found dead, and that would be a hole in
	// everybody's beats where there need not be one.
	topic, err := newTopic(&cfg, HeartbeatsTopic(cfg.Namespace), kgo.LeaderAck(), beatTimeout-beatAnswer)
	if err != nil {
		return nil, err
	}
	b := &Beater{log: logger(&cfg), topic: topic, next: next, lastBeat: kafka.NewMoment()}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.done.Go(b.run)
	return b, nil
}

// LastBeat returns when a broker last acknowledged a beat; zero for never.
func (b *Beater) LastBeat() time.Time { return b.lastBeat.Last() }

// Close sends the last beat, for which it waits 1.5 s at most, unless those before it
// fail, and stops beating. When it returns, no call of next is running, and none comes.
func (b *Beater) Close() {
	b.closing.Do(func() {
		b.cancel()
		b.done.Wait()
		if b.failures.last.IsZero() {
			ctx, cancel := context.WithTimeout(context.Background(), beatTimeout)
			defer cancel()
			if err := b.send(ctx, b.next(true)); err != nil {
				b.log.Info("kafkalog: the others have to find out that this node has gone", "topic", b.topic.name, "err", err)
			}
		}
		b.topic.client.Close()
	})
}

// run is the beating goroutine. A ticker keeps one tick at most for who is late.
func (b *Beater) run() {
	turn := time.NewTicker(beatInterval)
	defer turn.Stop()
	for {
		b.beat()
		select {
		case <-turn.C:
		case <-b.ctx.Done():
			return
		}
	}
}

// send tries once.
func (b *Beater) send(ctx context.Context, beat beats.Beat) error {
	records := []cluster.Record{{Key: beat.Node, Value: beat.Encode()}}
	if err := check(records); err != nil {
		return err
	}
	return b.topic.append(ctx, beatAnswer, records)
}

// beat beats once.
func (b *Beater) beat() {
	ctx, cancel := context.WithTimeout(b.ctx, 2*beatTimeout)
	defer cancel()
	err := b.send(ctx, b.next(false))
	if err == nil {
		b.lastBeat.Now()
	}
	if _, replaced := errors.AsType[*TopicError](err); replaced {
		b.topic.adopt() // beats are for now: any topic of that name will do
	}
	if b.ctx.Err() != nil {
		return
	}
	switch failing, now := b.failures.about(err, time.Now()); {
	case now && failing:
		b.log.Warn("kafkalog: this node's beats fail", "topic", b.topic.name, "err", err)
	case now:
		b.log.Info("kafkalog: this node beats again", "topic", b.topic.name)
	}
}
