package history

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// noTime is the log time of no record.
const noTime = math.MaxInt64

// ErrOtherLog is the error of a store that has applied more of a partition than the log
// ever had: somebody made the topic anew under the same generation, or the store was
// filled from another one. What the log has now is taken for what the store has already.
var ErrOtherLog = errors.New("history: the log is not the one that the store was written from; " +
	"`godwit history rebuild` writes the store anew")

// foundOtherLog takes note of a record that the store should have applied, but which is
// younger than everything that it has.
func (w *Writer) foundOtherLog(rec *backplane.Record) {
	if w.otherLog.CompareAndSwap(false, true) {
		w.log.Error("history has offsets that the log gives to other records now",
			"partition", rec.Partition, "offset", rec.Offset, "err", ErrOtherLog)
	}
}

// Lag returns an error when history is in danger of missing what the log deletes: when
// the oldest record that was handed out and is not applied is older than half of the
// time for which the log keeps records (0 is for ever), or when the log is another one.
// It is steady while old records are read at full speed, too.
func (w *Writer) Lag(now time.Time, retention time.Duration) error {
	if w.otherLog.Load() {
		return ErrOtherLog
	}
	oldest := w.unapplied()
	if retention <= 0 || oldest == noTime {
		return nil
	}
	if behind := now.Sub(time.UnixMilli(oldest)); behind > retention/2 {
		return fmt.Errorf("history is %v behind, and the log deletes records after %v",
			behind.Truncate(time.Second), retention)
	}
	return nil
}

// unapplied returns the log time of the oldest record that was handed out in the last
// second or waits to be written, noTime if there is none.
func (w *Writer) unapplied() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest := int64(noTime)
	for _, k := range w.workers {
		oldest = min(oldest, k.unapplied.Load(), k.before.Load())
	}
	return oldest
}
