package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// ErrClosed is the error of a Consumer, a Group or a Reader that was closed.
var ErrClosed = errors.New("kafka: closed")

// ErrTopicReplaced is the error of a topic that was deleted and made anew while it
// was read: the positions of its generation mean nothing any more.
var ErrTopicReplaced = errors.New("kafka: the topic was made anew while it was read, so the positions of its generation are void")

// Consumer reads assigned partitions of the messages topic. It implements
// backplane.Consumer.
type Consumer struct {
	// Static.
	cfg        ConsumerConfig
	topic      string
	generation uint32
	log        *slog.Logger
	client     *kgo.Client
	lookup     *lookup
	workers    []*worker
	counts     *consumerCounts
	metrics    *kprom.Metrics
	heard      *heard
	ctx        context.Context // ends when the consumer closes
	cancel     context.CancelFunc
	bell       chan struct{}  // rung when broken has something
	polling    sync.WaitGroup // the poll and the repair goroutine
	working    sync.WaitGroup // the workers
	closing    sync.Once

	// assigned has the assignment of each partition, nil where there is none.
	// Only the poll goroutine writes it.
	assigned []atomic.Pointer[assignment]
	// behind counts the assignments that have not been handed out up to their end.
	behind atomic.Int64
	// fatal is set once, when something happened that needs an operator.
	fatal atomic.Pointer[error]

	// pausing is held while a worker's partitions are paused or resumed, so that
	// the client's state follows the workers' in order; see settlePause.
	pausing sync.Mutex

	mu       sync.Mutex
	commands []command          // guarded by mu: what the poll goroutine does before its next poll
	wake     context.CancelFunc // guarded by mu: ends the poll under way
	closed   bool               // guarded by mu: the poll goroutine takes no more commands
	broken   []*assignment      // guarded by mu: what the repair goroutine has to put back
}

var _ backplane.Consumer = (*Consumer)(nil)

// assignment is a partition for as long as it is read: adding it again makes a
// new one.
type assignment struct {
	// Static.
	partition backplane.Partition
	worker    *worker

	// Written once by the poll goroutine, before anything is queued.
	end int64 // the partition's end when its first offset was known

	// Owned by the poll goroutine.
	next int64 // the offset after the last record that was queued; unplaced before its first is known
	time int64 // the highest log time that was queued; what Begin is told as since

	// Owned by the worker's goroutine.
	begun bool // Begin was called

	// Atomic.
	removed  atomic.Bool
	failed   atomic.Bool  // it is not being fetched, because of an error
	caughtUp atomic.Bool  // it no longer counts as behind
	handed   atomic.Int64 // the offset after the last record that was handed out
	logEnd   atomic.Int64 // the partition's end, as of the last fetch
}

// unplaced is the next offset of an assignment whose first one is not known yet.
const unplaced = -1

// command is something that the poll goroutine does between two polls.
type command struct {
	run  func()
	done chan struct{}
}

// NewConsumer returns a Consumer that reads nothing yet. It calls newHandler once
// for each of its workers, numbered from 0; partition p belongs to worker
// p modulo workers, so that neighbouring partitions are spread.
func NewConsumer(cfg Config, workers int, newHandler func(worker int) backplane.Handler) (*Consumer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if workers <= 0 {
		return nil, fmt.Errorf("kafka: workers is %d: it must be positive", workers)
	}
	c := &Consumer{
		cfg:        cfg.Consumer,
		topic:      cfg.Topic(),
		generation: cfg.Generation,
		log:        cfg.logger(),
		counts:     newConsumerCounts(),
		metrics:    kprom.NewMetrics(metricsNamespace, kprom.Subsystem("consumer_client"), kprom.Registry(nil), kprom.FetchAndProduceDetail(kprom.ByNode, kprom.Batches, kprom.Records, kprom.UncompressedBytes)),
		heard:      newHeard(keyFetch),
		bell:       make(chan struct{}, 1),
		assigned:   make([]atomic.Pointer[assignment], cfg.Partitions),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	client, err := kgo.NewClient(append(cfg.clientOptions(nil),
		kgo.WithHooks(c.metrics, c.heard),
		kgo.FetchMaxWait(c.cfg.FetchMaxWait),
		kgo.FetchMaxBytes(c.cfg.FetchMaxBytes),
		kgo.FetchMaxPartitionBytes(c.cfg.FetchMaxPartitionBytes),
		// We say where to read, always: an offset that is not there is an error to look
		// into, not something to step over.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)...)
	if err != nil {
		c.cancel()
		return nil, fmt.Errorf("kafka: making the consumer's client: %w", err)
	}
	c.client, c.lookup = client, newLookup(client, &cfg)
	for i := range workers {
		c.workers = append(c.workers, newWorker(c, i, workers, cfg.Partitions, newHandler(i)))
	}
	for _, w := range c.workers {
		c.working.Go(w.run)
	}
	c.polling.Go(c.poll)
	c.polling.Go(c.repair)
	return c, nil
}

// Ready implements backplane.Consumer.
func (c *Consumer) Ready() bool { return c.behind.Load() == 0 }

// Heard returns when a broker last answered a fetch, zero for never. While a partition
// is assigned they are asked all the time, and hold a fetch that they have nothing for no
// longer than ConsumerConfig.FetchMaxWait.
func (c *Consumer) Heard() time.Time { return c.heard.Last() }

// Reached implements backplane.Consumer.
func (c *Consumer) Reached(p backplane.Partition) bool {
	if p < 0 || int(p) >= len(c.assigned) {
		return false
	}
	a := c.assigned[p].Load()
	return a != nil && a.caughtUp.Load()
}

// Err returns an error once something happened that the consumer cannot put right
// and an operator must look into: ErrTopicReplaced, with the topic's name. The
// partitions concerned stay unread.
func (c *Consumer) Err() error {
	if err := c.fatal.Load(); err != nil {
		return *err
	}
	return nil
}

// Close stops reading, waits for the calls of Handlers that are running, and
// closes the client. Add fails with ErrClosed from then on.
func (c *Consumer) Close() {
	c.closing.Do(func() {
		c.cancel()
		c.polling.Wait()
		for i := range c.assigned {
			if a := c.assigned[i].Load(); a != nil {
				a.removed.Store(true)
			}
		}
		for _, w := range c.workers {
			close(w.quit)
		}
		c.working.Wait()
		c.client.Close()
	})
}

// do has the poll goroutine run f between two polls and waits until it did. It
// reports false, and f has not run, if the consumer is closed.
func (c *Consumer) do(f func()) bool {
	cmd := command{run: f, done: make(chan struct{})}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.commands = append(c.commands, cmd)
	if c.wake != nil { // the first poll has begun
		c.wake()
	}
	c.mu.Unlock()
	<-cmd.done
	return true
}

// poll is the poll goroutine. It never waits for a worker.
func (c *Consumer) poll() {
	for {
		ctx, wake := context.WithCancel(c.ctx)
		if !c.runCommands(wake) {
			wake()
			return
		}
		c.dispatch(c.client.PollRecords(ctx, c.cfg.PollRecords))
		wake()
	}
}

// runCommands runs what is to be done before the next poll, which wake ends. It
// reports false when the consumer closes: then no command is left, and none will
// come.
func (c *Consumer) runCommands(wake context.CancelFunc) bool {
	c.mu.Lock()
	commands := c.commands
	c.commands = nil
	c.wake = wake
	c.closed = c.ctx.Err() != nil
	closed := c.closed
	c.mu.Unlock()
	for _, cmd := range commands {
		cmd.run()
		close(cmd.done)
	}
	return !closed
}

// dispatch hands the records of a poll to the workers' queues.
func (c *Consumer) dispatch(fetches kgo.Fetches) {
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if f.Partition < 0 || int(f.Partition) >= len(c.assigned) {
			return // the client says so that the poll was ended
		}
		a := c.assigned[f.Partition].Load()
		if a == nil || a.failed.Load() {
			return
		}
		if f.Err == nil {
			a.logEnd.Store(f.HighWatermark)
		}
		if n := len(f.Records); n > 0 {
			a.next = f.Records[n-1].Offset + 1
			a.time = max(a.time, f.Records[n-1].Timestamp.UnixMilli())
			a.worker.push(item{assignment: a, records: f.Records, upTo: a.next})
		}
		if f.Err != nil {
			c.fail(a, f.Err)
		}
	})
	for _, w := range c.workers {
		w.settlePause()
	}
}

// Describe implements prometheus.Collector.
func (c *Consumer) Describe(ch chan<- *prometheus.Desc) {
	c.counts.describe(ch)
	c.metrics.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *Consumer) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.counts.collectors() {
		m.Collect(ch)
	}
	var assigned, failed, paused int
	lags := make([]int64, len(c.workers))
	for i := range c.assigned {
		a := c.assigned[i].Load()
		if a == nil {
			continue
		}
		assigned++
		if a.failed.Load() {
			failed++
		}
		lags[a.worker.id] += max(0, a.logEnd.Load()-a.handed.Load())
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for i, w := range c.workers {
		records, isPaused := w.load()
		if isPaused {
			paused++
		}
		gauge(c.counts.queued, float64(records), strconv.Itoa(i))
		gauge(c.counts.lag, float64(lags[i]), strconv.Itoa(i))
	}
	gauge(c.counts.paused, float64(paused))
	gauge(c.counts.assigned, float64(assigned))
	gauge(c.counts.failed, float64(failed))
	c.metrics.Collect(ch)
}
