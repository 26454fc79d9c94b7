package historian_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
)

// looked is the store and the log that a Watch looks at: four partitions, with a record
// each hour.
type looked struct {
	history.Store
	begun time.Time

	mu      sync.Mutex
	applied []history.Applied // guarded by mu
	err     error             // guarded by mu
	looks   int               // guarded by mu
}

func (l *looked) Applied(context.Context, uint32, int32) ([]history.Applied, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	return append([]history.Applied(nil), l.applied...), l.err
}

func (l *looked) OffsetAt(_ context.Context, _ backplane.Partition, ms int64) (int64, error) {
	at := time.UnixMilli(ms)
	if at.Before(l.begun) {
		return 0, nil
	}
	return min(int64(at.Sub(l.begun)/time.Hour), int64(time.Since(l.begun)/time.Hour)) + 1, nil
}

// apply has partitions come to a record, at most to the newest that there is.
func (l *looked) apply(offset int64, err error, partitions ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	for _, p := range partitions {
		l.applied[p].Offset = offset
	}
}

func newLooked() *looked {
	l := &looked{begun: time.Now(), applied: make([]history.Applied, 4)}
	l.apply(-1, nil, 0, 1, 2, 3)
	return l
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooked()
		w := historian.NewWatch(historian.WatchConfig{
			Store: l, Log: l, Generation: 1, N: 4, Partitions: func() []backplane.Partition { return []backplane.Partition{0, 1, 3} },
			LogRetention: 100 * time.Hour, Logger: quiet,
		})
		defer w.Close()
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		pass(49 * time.Hour)
		if err := w.Err(); err != nil {
			t.Errorf("after 49 h without history: %v", err)
		}
		pass(2 * time.Hour)
		if err := w.Err(); err == nil || !strings.Contains(err.Error(), "more than 50h0m0s behind in 3 of 3 partitions") ||
			!strings.Contains(err.Error(), "`godwit history run`") {
			t.Errorf("after 51 h without history: %v", err)
		}
		l.apply(51, nil, 0, 1)
		pass(time.Hour)
		if err := w.Err(); err == nil || !strings.Contains(err.Error(), " in 1 of 3 partitions") {
			t.Errorf("with one partition behind: %v", err)
		}
		// A store that does not answer tells nothing new.
		l.apply(51, errors.New("the store is down"), 3)
		pass(time.Hour)
		if w.Err() == nil || alarm(t, w) != 1 {
			t.Error("a failure was taken for good news")
		}
		l.apply(51, nil)
		pass(time.Hour)
		if err := w.Err(); err != nil || alarm(t, w) != 0 {
			t.Errorf("with everything applied but the partition of another node: %v", err)
		}
		l.mu.Lock()
		if l.looks > 54*12+1 {
			t.Errorf("it has looked %d times in 54 hours", l.looks)
		}
		l.mu.Unlock()
	})
}

// TestWatchOfAnEndlessLog: what is never deleted cannot be missed.
func TestWatchOfAnEndlessLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooked()
		w := historian.NewWatch(historian.WatchConfig{Store: l, Log: l, Generation: 1, N: 4, Partitions: func() []backplane.Partition { return []backplane.Partition{0} }, Logger: quiet})
		time.Sleep(1000 * time.Hour)
		w.Close()
		if w.Err() != nil || l.looks != 0 {
			t.Errorf("%v after %d looks", w.Err(), l.looks)
		}
	})
}

// alarm returns the value of the metric godwit_history_alarm.
func alarm(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	metrics := prometheus.NewRegistry()
	if err := metrics.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "godwit_history_alarm" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no godwit_history_alarm")
	return 0
}

// stubborn is a store that takes nothing until it is told to.
type stubborn struct {
	history.Store
	takes chan struct{} // closed when it does
}

func (s stubborn) Write(ctx context.Context, b *history.Batch) error {
	select {
	case <-s.takes:
		return s.Store.Write(ctx, b)
	default:
		return errors.New("no")
	}
}

// TestAlarm has a store refuse what is written until half of the log's retention is over.
// The alarm ends when it takes it.
func TestAlarm(t *testing.T) {
	b := newStores(t, config.HistoryPebble).bed(t, kafkatest.Embedded(t, 8))
	s := stubborn{b.open(), make(chan struct{})}
	defer b.close(s)
	c := b.config(s)
	c.LogRetention = 2 * time.Second
	h, err := historian.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer b.stop(h)
	if alarm(t, h) != 0 {
		t.Error("there is an alarm before the first message")
	}
	b.send(50)
	eventually(t, "there is an alarm", func() bool { return h.Err() != nil && alarm(t, h) == 1 })
	if h.Ready() != nil {
		t.Errorf("the log is not read: %v", h.Ready())
	}
	close(s.takes)
	b.caughtUp(s)
	eventually(t, "the alarm is over", func() bool { return h.Err() == nil && alarm(t, h) == 0 })
	b.check(s)
}
