package history

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/godwit-im/godwit/backplane"
)

// worker is the backplane.Handler of the partitions of one dispatch worker.
type worker struct {
	// Static.
	writer *Writer

	// Atomic: log times in Unix milliseconds, math.MaxInt64 for none; see Writer.Lag.
	unapplied atomic.Int64 // the lowest that was handed out since the last Tick, or waits to be written
	before    atomic.Int64 // what unapplied was before the last Tick

	mu sync.Mutex // held during each call of the handler
	pending
}

// pending is what worker.mu guards: what was read and waits to be written.
type pending struct {
	// stopped is set when the Writer is being closed: what is read from then on is left
	// to a later one.
	stopped bool
	readers map[backplane.Partition]*reader
	dirty   []*reader // those with something to write
	entries int
	bytes   int
	message backplane.Message
	memory  memory // of what dirty has to write
}

// reader is what a worker knows of a partition.
type reader struct {
	seen  *backplane.Dedupe
	dirty bool
	// applied is what the store has at least; records up to there are not written.
	applied Applied
	// batch is what comes after it. Its Applied is how far the records were looked at.
	batch Batch
}

// Begin implements backplane.Handler.
func (k *worker) Begin(p backplane.Partition, offset, _ int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return
	}
	r := k.readers[p]
	if r == nil {
		a := k.writer.Applied(p)
		r = &reader{seen: backplane.NewDedupe(), applied: a}
		r.batch = Batch{Generation: k.writer.generation, Partition: p, Applied: a}
		k.readers[p] = r
	} else if offset <= r.batch.Applied.Offset {
		// The log was cut off. What follows is read by others without what is gone.
		r.seen = backplane.NewDedupe()
	}
	if next := r.batch.Applied.Offset + 1; offset > next {
		k.lost(r, next, offset)
	}
}

// lost takes note that the log has no records from one offset up to another any more.
func (k *worker) lost(r *reader, from, to int64) {
	log := k.writer.log.With("partition", r.batch.Partition, "from", from, "to", to-1)
	if from > 0 {
		k.writer.counts.lostRanges.Inc()
		k.writer.counts.lostRecords.Add(float64(to - from))
		log.Error("the log deleted records before history had them; timelines lack them")
	} else {
		log.Info("history begins where the log does")
	}
	r.batch.Lost = to
	r.batch.Applied.Offset = to - 1
	k.mark(r)
}

// mark takes note that a partition has something to write.
func (k *worker) mark(r *reader) {
	if !r.dirty {
		r.dirty = true
		k.dirty = append(k.dirty, r)
	}
}

// Record implements backplane.Handler. It blocks while the store does not take what
// has been gathered.
func (k *worker) Record(rec *backplane.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.readers[rec.Partition]
	if k.stopped || r == nil {
		return
	}
	id, err := backplane.ParseMessageID(rec.Value)
	duplicate := err == nil && r.seen.Seen(id, rec.Time)
	a := &r.batch.Applied
	if rec.Offset <= a.Offset {
		if rec.Time > r.applied.Time && rec.Offset <= r.applied.Offset {
			k.writer.foundOtherLog(rec)
		}
		return
	}
	a.Offset, a.Time = rec.Offset, max(a.Time, rec.Time)
	k.mark(r)
	if rec.Time < k.unapplied.Load() {
		k.unapplied.Store(rec.Time)
	}
	switch {
	case err != nil:
		k.bad(rec, err)
	case duplicate:
		k.writer.counts.duplicates.Inc()
	default:
		if err := k.gather(r, rec); err != nil {
			k.bad(rec, err)
		}
	}
	if k.entries >= flushEntries || k.bytes >= flushBytes {
		k.flush(k.writer.open)
	}
}

// bad counts a record that is none of ours. Somebody else writes to the topic; the
// partition goes on.
func (k *worker) bad(rec *backplane.Record, err error) {
	k.writer.counts.bad.Inc()
	k.writer.log.Warn("history skipped a record that is not a message",
		"partition", rec.Partition, "offset", rec.Offset, "err", err)
}

// Tick implements backplane.Handler.
func (k *worker) Tick() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped || k.flush(k.writer.open) != nil {
		return
	}
	k.before.Store(k.unapplied.Load())
	k.unapplied.Store(noTime)
}

// End implements backplane.Handler. It writes what was gathered, so that whoever reads
// the partition next begins there.
func (k *worker) End(p backplane.Partition) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.readers[p]
	if k.stopped || r == nil || r.dirty && k.flush(k.writer.open) != nil {
		return
	}
	delete(k.readers, p)
}

// close writes what was gathered, and makes the handler do nothing from now on.
func (k *worker) close(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	err := k.flush(ctx)
	k.readers, k.dirty = nil, nil
	return err
}

// flush writes what all partitions have gathered, several at a time. It returns when
// everything is written, or with an error when ctx is done; then what is not written
// stays, and the worker has stopped.
func (k *worker) flush(ctx context.Context) error {
	errs := make([]error, len(k.dirty))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(flushParallel, len(k.dirty)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(k.dirty) {
					return
				}
				errs[i] = k.writer.write(ctx, &k.dirty[i].batch)
			}
		})
	}
	wg.Wait()
	left := k.dirty[:0]
	for i, r := range k.dirty {
		if errs[i] != nil {
			left = append(left, r)
			continue
		}
		k.written(r)
	}
	clear(k.dirty[len(left):])
	k.dirty = left
	k.memory = memory{}
	k.stopped = k.stopped || len(left) > 0
	return errors.Join(errs...)
}

// written begins a new batch.
func (k *worker) written(r *reader) {
	k.entries -= len(r.batch.Entries) + len(r.batch.Erasures)
	for i := range r.batch.Entries {
		k.bytes -= len(r.batch.Entries[i].Value)
	}
	r.dirty = false
	r.applied = r.batch.Applied
	entries := r.batch.Entries
	if cap(entries) > keepEntries {
		entries = nil
	}
	clear(entries)
	r.batch = Batch{Generation: r.batch.Generation, Partition: r.batch.Partition, Entries: entries[:0], Applied: r.applied}
}
