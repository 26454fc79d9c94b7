package historian

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/kafka"
)

const (
	// trimEvery is how often what is too old is forgotten. Stores forget by days.
	trimEvery = time.Hour

	// retentionTimeout bounds the question for the topic's retention.
	retentionTimeout = 30 * time.Second
)

// Config says what a Historian works with.
type Config struct {
	Store history.Store
	Kafka kafka.Config
	// Group is the consumer group that divides the partitions among several; empty for one
	// that reads them all.
	Group   string
	Workers int
	// Retention is how long timelines are kept; 0 is for ever.
	Retention time.Duration
	// LogRetention is how long the log keeps records; 0 is for ever. It is what history
	// must not fall behind.
	LogRetention time.Duration
	Log          *slog.Logger
}

// Historian writes what the log says into a store.
type Historian struct {
	config Config
	writer *history.Writer
	source source
	cancel context.CancelFunc // ends trims
	trims  sync.WaitGroup
}

// source is what reads the log: kafka.Consumer or kafka.Group.
type source interface {
	prometheus.Collector
	Err() error
	Close()
}

// Start starts to write. It returns when reading has begun.
func Start(c Config) (_ *Historian, err error) {
	h := &Historian{config: c}
	h.writer, err = history.NewWriter(history.Config{
		Store: c.Store, Generation: c.Kafka.Generation, N: c.Kafka.Partitions, Log: c.Log,
	})
	if err != nil {
		return nil, err
	}
	handlers := func(worker int) backplane.Handler { return h.writer.Handler(worker) }
	if c.Group != "" {
		h.source, err = kafka.NewGroup(c.Kafka, c.Group, c.Workers, handlers, h.writer.Start)
	} else {
		h.source, err = readAll(c, h.writer, handlers)
	}
	if err != nil {
		return nil, errors.Join(err, h.writer.Close(context.Background()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.trims.Go(func() { h.trim(ctx) })
	return h, nil
}

func readAll(c Config, w *history.Writer, handlers func(int) backplane.Handler) (source, error) {
	since := make(map[backplane.Partition]int64, c.Kafka.Partitions)
	for p := range backplane.Partition(c.Kafka.Partitions) {
		at, err := w.Start(p)
		if err != nil {
			return nil, err
		}
		since[p] = at
	}
	consumer, err := kafka.NewConsumer(c.Kafka, c.Workers, handlers)
	if err != nil {
		return nil, err
	}
	if err := consumer.AddEach(since); err != nil {
		consumer.Close()
		return nil, err
	}
	return consumer, nil
}

// trim forgets what is too old, now and then.
func (h *Historian) trim(ctx context.Context) {
	if h.config.Retention == 0 {
		return
	}
	next := time.NewTicker(trimEvery)
	defer next.Stop()
	for {
		before := time.Now().Add(-h.config.Retention)
		if err := h.config.Store.Trim(ctx, before.UnixMilli()); err != nil && ctx.Err() == nil {
			h.config.Log.Warn("history: what is too old could not be forgotten, and will be tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// Err returns what is wrong that an operator must look into, nil if nothing is: history
// is about to miss what the log deletes, or the log is another one. It goes on as far
// as it can.
func (h *Historian) Err() error {
	if err := h.source.Err(); err != nil {
		return err
	}
	return h.writer.Lag(time.Now(), h.config.LogRetention)
}

// Ready returns nil while the log is read, else why it is not.
func (h *Historian) Ready() error { return h.source.Err() }

// Close stops reading, and writes what has been read in the time that ctx leaves. An
// error says that some of it was not written, which is made good from the log.
func (h *Historian) Close(ctx context.Context) error {
	h.cancel()
	err := h.writer.Close(ctx) // handlers that wait for the store let go
	h.source.Close()
	h.trims.Wait()
	return err
}

// collectors are what the metrics are made of. Those of a consumer are left out: a node has
// one of its own, whose metrics have the same names.
func (h *Historian) collectors() []prometheus.Collector {
	if h.config.Group == "" {
		return []prometheus.Collector{h.writer}
	}
	return []prometheus.Collector{h.writer, h.source}
}

// Describe implements prometheus.Collector.
func (h *Historian) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range h.collectors() {
		c.Describe(ch)
	}
	ch <- alarmDesc
}

// Collect implements prometheus.Collector.
func (h *Historian) Collect(ch chan<- prometheus.Metric) {
	for _, c := range h.collectors() {
		c.Collect(ch)
	}
	collectAlarm(ch, h.Err())
}

// Group returns the name of the consumer group whose members write the history of a
// messages topic.
func Group(namespace string, generation uint32) string {
	return fmt.Sprintf("%s.history.%d", namespace, generation)
}

// LogRetention asks how long the log keeps records, 0 for ever.
func LogRetention(ctx context.Context, c kafka.Config) (time.Duration, error) {
	r, err := kafka.NewReader(c)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(ctx, retentionTimeout)
	defer cancel()
	return r.Retention(ctx)
}
