package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Group reads the messages topic together with the other members of a consumer group:
// Kafka gives each partition to one of them, and to another when that one is gone.
//
// It is for those who only care that every partition is read by somebody, and who
// keep how far they have come with what they make of it. A node is told by the cluster
// which partitions it owns and uses a Consumer.
//
// A Group is a Consumer and a second client that is the member. That one fetches
// nothing and commits nothing: it learns what is assigned, and has the Consumer add and
// remove it. So records come in the same way, through the same queues, from exact
// offsets, and what can go wrong with a partition is put right by the same code.
//
// Two members may read a partition at the same time for a while: one that is cut off
// from the group goes on until it hears of that. What a Handler does with a record must
// come to the same when another does it again.
type Group struct {
	// Static.
	consumer *Consumer
	member   *kgo.Client
	topic    string
	start    func(backplane.Partition) (int64, error)
	log      *slog.Logger
	counts   *groupCounts
	ctx      context.Context // ends when the group is closed
	cancel   context.CancelFunc
	bell     chan struct{}  // rung when assigned has something new
	running  sync.WaitGroup // the goroutines that follow and listen
	closing  sync.Once

	// changing is held while partitions are added to the consumer or removed, so that
	// one that is revoked while it is being added is removed after that.
	changing sync.Mutex
	reading  map[backplane.Partition]struct{} // guarded by changing: what the consumer has

	mu       sync.Mutex
	assigned map[backplane.Partition]struct{} // guarded by mu: what the group gave this member
}

// NewGroup joins a consumer group and returns before anything is assigned. workers
// and newHandler are those of NewConsumer. start tells, whenever a partition is
// assigned, from which log time on it is read (Unix milliseconds; see Consumer.Add);
// it is called by one goroutine at a time, must not wait for long, because a
// rebalance of the group waits for it, and is called again after an error.
//
// When a partition is taken away, no Begin or Record call for it starts any more; one
// that is running goes on, and the group does not wait for it: a Handler that waits
// must not hold up the others.
func NewGroup(cfg Config, group string, workers int, newHandler func(worker int) backplane.Handler, start func(p backplane.Partition) (since int64, err error)) (*Group, error) {
	if group == "" {
		return nil, errors.New("kafka: the consumer group has no name")
	}
	consumer, err := NewConsumer(cfg, workers, newHandler)
	if err != nil {
		return nil, err
	}
	g := &Group{
		consumer: consumer,
		topic:    cfg.Topic(),
		start:    start,
		log:      cfg.logger().With("group", group),
		counts:   newGroupCounts(),
		bell:     make(chan struct{}, 1),
		reading:  make(map[backplane.Partition]struct{}),
		assigned: make(map[backplane.Partition]struct{}),
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.member, err = kgo.NewClient(append(cfg.clientOptions(nil),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(g.topic),
		// What stays with its member is read on during a rebalance.
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(cfg.Consumer.SessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.DisableAutoCommit(),
		// With no offset to fetch from, the client fetches nothing.
		kgo.AdjustFetchOffsetsFn(func(context.Context, map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			return nil, nil
		}),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { g.give(m[g.topic]) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { g.take(m[g.topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { g.take(m[g.topic]) }),
	)...)
	if err != nil {
		g.cancel()
		consumer.Close()
		return nil, fmt.Errorf("kafka: joining the group %s: %w", group, err)
	}
	g.running.Go(g.follow)
	g.running.Go(g.listen)
	return g, nil
}

// Err is Consumer.Err of the partitions that are read.
func (g *Group) Err() error { return g.consumer.Err() }

// Close stops reading, waits for the calls of Handlers that are running, and leaves
// the group, so that the others need not wait until this member is missed.
func (g *Group) Close() {
	g.closing.Do(func() {
		g.cancel()
		g.consumer.Close()
		g.running.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
		defer cancel()
		if err := g.member.LeaveGroupContext(ctx); err != nil {
			g.log.Warn("kafka: leaving the group failed; its members will miss this one", "err", err)
		}
		g.member.Close()
	})
}

// give notes partitions that the group assigned to this member. The member's client
// calls it, and take, while the group waits.
func (g *Group) give(partitions []int32) {
	g.mu.Lock()
	for _, p := range partitions {
		g.assigned[backplane.Partition(p)] = struct{}{}
	}
	g.mu.Unlock()
	g.ring()
}

// take stops reading partitions that this member does not have any more.
func (g *Group) take(partitions []int32) {
	g.mu.Lock()
	for _, p := range partitions {
		delete(g.assigned, backplane.Partition(p))
	}
	g.mu.Unlock()
	g.changing.Lock()
	defer g.changing.Unlock()
	var stop []backplane.Partition
	for _, p := range partitions {
		if _, ok := g.reading[backplane.Partition(p)]; ok {
			stop = append(stop, backplane.Partition(p))
			delete(g.reading, backplane.Partition(p))
		}
	}
	g.consumer.remove(stop)
}

func (g *Group) ring() {
	select {
	case g.bell <- struct{}{}:
	default:
	}
}

// follow is the goroutine that has the consumer read what is assigned.
func (g *Group) follow() {
	for {
		select {
		case <-g.bell:
		case <-g.ctx.Done():
			return
		}
		err := g.catchUp()
		switch {
		case err == nil:
			continue
		case errors.Is(err, ErrTopicReplaced):
			g.log.Error("kafka: partitions stay unread", "topic", g.topic, "err", err)
			continue // until something is assigned anew; Err tells
		case errors.Is(err, ErrClosed):
			return
		}
		g.counts.errors.WithLabelValues(classStart).Inc()
		g.log.Warn("kafka: partitions could not be added; trying again", "topic", g.topic, "err", err)
		select {
		case <-time.After(repairPause):
			g.ring()
		case <-g.ctx.Done():
			return
		}
	}
}

// catchUp adds what is assigned and not read yet. A partition whose start is not known
// does not hold up the others.
func (g *Group) catchUp() error {
	g.changing.Lock()
	defer g.changing.Unlock()
	g.mu.Lock()
	assigned := maps.Clone(g.assigned)
	g.mu.Unlock()
	var errs []error
	since := make(map[backplane.Partition]int64)
	for p := range assigned {
		if _, ok := g.reading[p]; ok {
			continue
		}
		from, err := g.start(p)
		if err != nil {
			errs = append(errs, fmt.Errorf("kafka: asking where to begin with partition %d: %w", p, err))
			continue
		}
		since[p] = from
	}
	if err := g.consumer.AddEach(since); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for p := range since {
		g.reading[p] = struct{}{}
	}
	return errors.Join(errs...)
}

// listen is the goroutine that hears of the member's errors: its client tells them
// where it would tell of records. It goes on by itself after each.
func (g *Group) listen() {
	for g.ctx.Err() == nil {
		g.member.PollFetches(g.ctx).EachError(func(_ string, _ int32, err error) {
			if g.ctx.Err() != nil {
				return
			}
			g.counts.errors.WithLabelValues(classMember).Inc()
			g.log.Error("kafka: membership in the group failed", "topic", g.topic, "err", err)
		})
	}
}

// Describe implements prometheus.Collector.
func (g *Group) Describe(ch chan<- *prometheus.Desc) {
	g.counts.describe(ch)
	g.consumer.Describe(ch)
}

// Collect implements prometheus.Collector.
func (g *Group) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	assigned := len(g.assigned)
	g.mu.Unlock()
	g.counts.collect(ch, assigned)
	g.consumer.Collect(ch)
}
