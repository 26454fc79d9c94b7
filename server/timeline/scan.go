package timeline

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/tail"
)

// scan is what a window's goroutine knows of its reading. The goroutine owns it.
type scan struct {
	records *tail.Tail        // the window's; nil if it has nothing
	seen    *backplane.Dedupe // what records has been given
	next    int64             // the first offset that has not been read
	start   int64             // the position for which it was begun
	since   int64             // the log time from which on it has read everything, in Unix milliseconds
	// unsure says that what stood before the first record may have been deleted: only
	// the first record tells from what log time on all that there was is there.
	unsure bool
	// unserved is the last record that was not kept because its duplicates may stand before
	// the first that was read; -1 if there is none.
	unserved int64
	// narrow says that it is to be begun again at the lowest position that is wanted, and
	// not before.
	narrow  bool
	failing bool // the last turn failed
	message backplane.Message
}

// errStalled is why a scan ended that was given no record for Config.Timeout.
var errStalled = errors.New("the log gives no records")

// fill reads the log up to an offset, exclusive, or for as long as it is wanted.
func (w *window) fill(ctx context.Context, to int64) error {
	s, service := &w.scan, w.windows.service
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timeout := service.cfg.Timeout
	began, n, whole := time.Now(), 0, true
	if s.size() > w.windows.share && !w.goOn(ctx, began) {
		return nil // as it was when the last turn ended
	}
	stalled := time.AfterFunc(timeout, func() { cancel(errStalled) })
	defer stalled.Stop()
	service.counters.Scans.Add(1)
	err := service.cfg.Reader.Scan(ctx, w.partition, s.next, to, func(r *backplane.Record) bool {
		stalled.Reset(timeout)
		w.take(r)
		if n++; n%scanStep != 0 && s.size() <= w.windows.share {
			return true
		}
		stalled.Stop()
		whole = w.goOn(ctx, began)
		stalled.Reset(timeout)
		return whole
	})
	switch {
	case err != nil && context.Cause(ctx) == errStalled:
		return errStalled
	case err != nil:
		return err
	case whole && s.next < to:
		// The last offsets have no record.
		s.records.Pass(to-1, math.MaxInt64)
		s.next = to
	}
	return nil
}

// take puts a record into the window.
func (w *window) take(r *backplane.Record) {
	s, counters := &w.scan, &w.windows.service.counters
	counters.Scanned.Add(1)
	if s.unsure {
		s.unsure = false
		s.since = r.Time
		s.records.Begin(s.next, s.since)
	}
	s.put(r, w.windows.share, counters)
	s.next = r.Offset + 1
	switch {
	case s.records.Floor() == r.Offset:
		s.unserved = r.Offset
	case r.Offset <= s.start && s.records.Bytes() > w.windows.share/rewindPart:
		s.records.Begin(s.next, s.since)
	}
}

// put puts a record into the tail, if it is a message for it.
func (s *scan) put(r *backplane.Record, share int64, counters *Counters) {
	id, err := backplane.ParseMessageID(r.Value)
	if err != nil || s.duplicate(id, r.Time, share, counters) ||
		!listed(r.Recipients) || backplane.ParseMessage(r.Value, &s.message) != nil {
		s.records.Pass(r.Offset, r.Time)
		return
	}
	switch s.message.Kind {
	case backplane.KindMessage:
		s.records.Append(r, &s.message)
	case backplane.KindErase:
		s.records.Erase(s.message.From, r.Offset)
	default:
		s.records.Pass(r.Offset, r.Time)
	}
}

// duplicate applies the duplicate rule, with at most half of a window's memory.
func (s *scan) duplicate(id backplane.MessageID, time, share int64, counters *Counters) bool {
	duplicate := s.seen.Seen(id, time)
	if n := s.seen.Len(); int64(n)*dedupeBytes > share/2 {
		counters.Forgotten.Add(uint64(s.seen.Forget(1 + n/64)))
	}
	return duplicate
}

// listed reports whether the recipients of a record are a list of users. A record
// where they are not is none of ours.
func listed(recipients []byte) bool {
	for len(recipients) > 0 {
		_, rest, ok := backplane.NextRecipient(recipients)
		if !ok {
			return false
		}
		recipients = rest
	}
	return true
}

// size returns the memory that the window takes, in bytes.
func (s *scan) size() int64 {
	if s.records == nil {
		return 0
	}
	return s.records.Bytes() + int64(s.seen.Len())*dedupeBytes
}

// goOn tells the readers what there is, and reports whether to read on. It waits for
// readers to take what is there before that has to be given up, and a moment for them
// to come back.
func (w *window) goOn(ctx context.Context, began time.Time) bool {
	ws := w.windows
	for {
		full := w.scan.size() > ws.share
		if full && !w.refuse() {
			return false
		}
		w.tell(nil)
		w.mu.Lock()
		d := w.demand()
		w.mu.Unlock()
		switch {
		case ctx.Err() != nil || ws.queued.Load() > 0 && time.Since(began) > scanTurn:
			return false
		case d.requests == 0:
			if ws.queued.Load() > 0 || !w.listen(ctx, scanLinger) {
				return false
			}
		case d.far && d.served == 0:
			return false
		case !full && (d.served > 0 || d.ahead != math.MaxInt64):
			return true
		case d.served > 0:
			w.listen(ctx, scanLinger)
		case d.ahead != math.MaxInt64:
			w.slide()
			return true
		default:
			return false // they want what is behind
		}
	}
}

// slide makes room at the lower end.
func (w *window) slide() {
	s, counters := &w.scan, &w.windows.service.counters
	for s.size() > w.windows.share/8*7 {
		if _, ok := s.records.Evict(); !ok {
			return
		}
		counters.Evicted.Add(1)
	}
}

// refuse ends the requests for more at once than a full window has. It reports false if
// the window is rather to be begun again, where it has room for nothing but what is wanted.
func (w *window) refuse() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	lowest, spans := int64(math.MaxInt64), 0
	for r := range w.requests {
		lowest = min(lowest, r.after)
		if r.span && r.upto > w.records.End() {
			spans++
		}
	}
	if spans > 0 && lowest > w.scan.start {
		w.scan.narrow = true
		return false
	}
	for r := range w.requests {
		if r.span && r.upto > w.records.End() {
			r.err = ErrHistoryBehind
		}
	}
	return true
}

// tell lets the readers look at what the window has come to, or ends their requests
// with an error.
func (w *window) tell(err error) {
	service := w.windows.service
	w.mu.Lock()
	if w.records == nil {
		w.scan = scan{failing: w.scan.failing}
	} else if w.scan.unserved > w.start {
		w.lost = w.scan.unserved
	}
	if err != nil {
		for r := range w.requests {
			r.err = service.fail(LogUnavailable, err)
		}
	}
	w.wake()
	w.mu.Unlock()
	w.windows.account(w, w.scan.size())
}
