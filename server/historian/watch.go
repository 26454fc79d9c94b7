package historian

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

const (
	// watchEvery is how often a Watch looks. It looks for hours, and asks the log once for
	// each partition.
	watchEvery = 5 * time.Minute

	// watchTimeout bounds a look.
	watchTimeout = time.Minute
)

// alarmDesc is the metric of a Historian and of a Watch, one of which a process has.
var alarmDesc = prometheus.NewDesc("godwit_history_alarm",
	"1 if history is in danger of missing what the log deletes, or the log is another one than history was written from.", nil, nil)

func collectAlarm(ch chan<- prometheus.Metric, err error) {
	alarm := 0.0
	if err != nil {
		alarm = 1
	}
	ch <- prometheus.MustNewConstMetric(alarmDesc, prometheus.GaugeValue, alarm)
}

// Log is what a Watch asks of the log; kafka.Reader has it.
type Log interface {
	// OffsetAt returns the offset of the first record with a log time of at least ms
	// (Unix milliseconds), or the partition's end where there is none.
	OffsetAt(ctx context.Context, p backplane.Partition, ms int64) (int64, error)
}

// WatchConfig says what a Watch looks at.
type WatchConfig struct {
	Store      history.Store
	Log        Log
	Generation uint32
	N          int32
	// Partitions returns those that are looked at.
	Partitions func() []backplane.Partition
	// LogRetention is how long the log keeps records; with 0, which is for ever, there is
	// nothing to look for.
	LogRetention time.Duration
	Logger       *slog.Logger
}

// Watch looks now and then how far a store has come that another process writes. So a node
// can tell that this process falls behind, or that nobody has started it.
//
// It is a prometheus.Collector of its alarm. Any goroutine may call its methods.
type Watch struct {
	config WatchConfig
	cancel context.CancelFunc
	looks  sync.WaitGroup

	mu    sync.Mutex
	alarm error // guarded by mu
}

// NewWatch starts to look.
func NewWatch(c WatchConfig) *Watch {
	w := &Watch{config: c}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	if c.LogRetention > 0 {
		w.looks.Go(func() { w.run(ctx) })
	}
	return w
}

// Close stops looking.
func (w *Watch) Close() {
	w.cancel()
	w.looks.Wait()
}

func (w *Watch) run(ctx context.Context) {
	next := time.NewTicker(watchEvery)
	defer next.Stop()
	for {
		switch alarm, err := w.look(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.config.Logger.Warn("how far history has come could not be found out, and will be asked again", "err", err)
		default:
			w.mu.Lock()
			news := (alarm == nil) != (w.alarm == nil)
			w.alarm = alarm
			w.mu.Unlock()
			if news && alarm != nil {
				w.config.Logger.Error("history is in danger", "err", alarm)
			}
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}

// look returns what is to be told, as Writer.Lag does for whoever writes: that the oldest
// record that is not applied is older than half of the time for which the log keeps it.
func (w *Watch) look(ctx context.Context) (alarm, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	c := &w.config
	applied, err := c.Store.Applied(ctx, c.Generation, c.N)
	if err != nil {
		return nil, err
	}
	late := time.Now().Add(-c.LogRetention / 2).UnixMilli()
	behind, partitions := 0, c.Partitions()
	for _, p := range partitions {
		offset, err := c.Log.OffsetAt(ctx, p, late)
		if err != nil {
			return nil, err
		}
		if offset > applied[p].Offset+1 { // records before it are older, and not all are applied
			behind++
		}
	}
	if behind == 0 {
		return nil, nil
	}
	return fmt.Errorf("history is more than %v behind in %d of %d partitions, and the log deletes records after %v; does `godwit history run` run?",
		c.LogRetention/2, behind, len(partitions), c.LogRetention), nil
}

// Err returns what an operator must look into, as it was found at the last look.
func (w *Watch) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alarm
}

// Describe implements prometheus.Collector.
func (w *Watch) Describe(ch chan<- *prometheus.Desc) { ch <- alarmDesc }

// Collect implements prometheus.Collector.
func (w *Watch) Collect(ch chan<- prometheus.Metric) { collectAlarm(ch, w.Err()) }
