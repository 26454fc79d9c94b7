package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a Writer works with.
type Config struct {
	Store Store
	// Generation and N are those of the messages topic that is read.
	Generation uint32
	N          int32
	Log        *slog.Logger
}

// Writer writes what a consumer reads of the log into a store. Any goroutine may call
// its methods; the handlers that it gives out are each for the goroutine of their worker.
//
// It is a prometheus.Collector of its counts.
type Writer struct {
	// Static.
	store      Store
	generation uint32
	n          int32
	log        *slog.Logger
	counts     *counts
	open       context.Context // done when Close is called
	stop       context.CancelFunc

	// Atomic.
	applied  []atomic.Pointer[Applied] // by partition: what the store is known to have
	otherLog atomic.Bool               // see ErrOtherLog
	logged   atomic.Int64              // when a failing attempt was logged last, Unix nanoseconds

	// asking guards asked and answer, and is held while the store is asked for its positions.
	asking sync.Mutex
	asked  time.Time // when it answered, or did not in time
	answer error     // why it did not

	mu      sync.Mutex
	workers []*worker // guarded by mu
}

var (
	_ backplane.Handler    = (*worker)(nil)
	_ prometheus.Collector = (*Writer)(nil)
)

// NewWriter returns a Writer that knows how far the store has come.
func NewWriter(c Config) (*Writer, error) {
	w := &Writer{
		store: c.Store, generation: c.Generation, n: c.N, log: c.Log,
		counts:  newCounts(),
		applied: make([]atomic.Pointer[Applied], c.N),
	}
	w.open, w.stop = context.WithCancel(context.Background())
	for p := range w.applied {
		w.applied[p].Store(&Applied{Offset: -1, Floor: -1})
	}
	if err := w.ask(); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

// Handler returns the handler of one worker; it is called once for each.
func (w *Writer) Handler(int) backplane.Handler {
	k := &worker{writer: w}
	k.readers = make(map[backplane.Partition]*reader)
	k.unapplied.Store(math.MaxInt64)
	k.before.Store(math.MaxInt64)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers = append(w.workers, k)
	return k
}

// Start returns the log time, in Unix milliseconds, from which a partition must be read
// so that nothing is missed and every duplicate is known. It asks the store, since
// another process may have written the partition until now.
func (w *Writer) Start(p backplane.Partition) (since int64, err error) {
	if err := w.ask(); err != nil {
		return 0, err
	}
	a := w.Applied(p)
	if a.Offset < 0 {
		return 0, nil
	}
	return max(0, a.Time-backplane.Rewind.Milliseconds()), nil
}

// Applied returns how far the store has come in a partition, as far as the Writer knows.
func (w *Writer) Applied(p backplane.Partition) Applied { return *w.applied[p].Load() }

// ask learns the positions from the store, unless it has just done so, or failed to: the
// partitions that start together wait once for a store that does not answer.
func (w *Writer) ask() error {
	w.asking.Lock()
	defer w.asking.Unlock()
	if !w.asked.IsZero() && time.Since(w.asked) < positionsAge {
		return w.answer
	}
	ctx, cancel := context.WithTimeout(w.open, positionsTimeout)
	defer cancel()
	positions, err := w.store.Applied(ctx, w.generation, w.n)
	w.asked, w.answer = time.Now(), nil
	if err != nil {
		w.answer = fmt.Errorf("history: asking the store for its positions: %w", err)
	}
	for p, a := range positions {
		w.advance(backplane.Partition(p), a)
	}
	return w.answer
}

// advance takes note of what the store has of a partition. It never goes back: what
// the store told may be older than what it has confirmed since.
func (w *Writer) advance(p backplane.Partition, a Applied) {
	for {
		old := w.applied[p].Load()
		next := a
		if old.Offset > a.Offset {
			next.Offset, next.Time = old.Offset, old.Time
		}
		next.Floor = max(old.Floor, a.Floor)
		if w.applied[p].CompareAndSwap(old, &next) {
			return
		}
	}
}

// write applies a batch, again and again until the store takes it or ctx is done. An
// attempt that runs out of time gives the next one twice as much: the store may be
// working all the while, as at the erasure of somebody with very many conversations.
func (w *Writer) write(ctx context.Context, b *Batch) error {
	timeout := writeTimeout
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		attempt, cancel := context.WithTimeout(ctx, timeout)
		err := w.store.Write(attempt, b)
		if attempt.Err() != nil {
			timeout *= 2
		}
		cancel()
		if err == nil {
			w.counts.wrote(b)
			w.advance(b.Partition, Applied{Offset: b.Applied.Offset, Time: b.Applied.Time, Floor: b.Lost - 1})
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		w.counts.retries.Inc()
		now := time.Now().UnixNano()
		if last := w.logged.Load(); now-last > int64(logPause) && w.logged.CompareAndSwap(last, now) {
			w.log.Error("history cannot be written; messages go on, and it is tried again", "partition", b.Partition, "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// Close writes what the handlers have gathered, in the time that ctx leaves. An error
// says that some of it was not written, which a later Writer makes good from the log.
// Handlers may still be called, and do nothing any more.
func (w *Writer) Close(ctx context.Context) error {
	w.stop()
	w.mu.Lock()
	workers := w.workers
	w.mu.Unlock()
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, k := range workers {
		wg.Go(func() { errs[i] = k.close(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
