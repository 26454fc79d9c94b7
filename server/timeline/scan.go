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

// run fills the window as its readers want it, until nobody has wanted anything for a
// while.
func (w *window) run() {
	ctx := w.windows.service.ctx
	for ctx.Err() == nil {
		if w.wanted() {
			w.work(ctx)
		} else if w.idle(ctx) && w.windows.close(w) {
			return
		}
	}
	w.windows.close(w)
}

// wanted reports whether there is something to read.
func (w *window) wanted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records == nil {
		w.scan = scan{failing: w.scan.failing}
	}
	d := w.demand()
	return d.ahead != math.MaxInt64 || d.below != math.MaxInt64
}

// idle waits for the bell, and reports true if it was silent for windowIdle.
func (w *window) idle(ctx context.Context) bool { return !w.listen(ctx, windowIdle) }

// listen waits for the bell, and reports false if it was not rung in time.
func (w *window) listen(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.bell:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// work waits for its turn to read the log, and takes it.
func (w *window) work(ctx context.Context) {
	ws := w.windows
	ws.queued.Add(1)
	select {
	case ws.turns <- struct{}{}:
		ws.queued.Add(-1)
	case <-ctx.Done():
		ws.queued.Add(-1)
		return
	}
	w.read(true)
	moved, err := w.turn(ctx)
	w.read(false)
	<-ws.turns

	log := ws.service.cfg.Log.With("partition", w.partition)
	switch failed := err != nil && ctx.Err() == nil; {
	case failed && !w.scan.failing:
		log.Warn("cannot read the log for those who missed something; trying again", "err", err)
	case !failed && w.scan.failing:
		log.Info("reading the log for those who missed something again")
	}
	w.scan.failing = err != nil
	w.tell(err)
	if err != nil || !moved {
		select {
		case <-time.After(scanPause):
		case <-ctx.Done():
		}
	}
}

// read notes whether the window reads the log. While it does, it is not emptied.
func (w *window) read(reading bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = reading
}

// turn reads on, or begins where the readers are. It reports false if the log has nothing
// for them at present.
func (w *window) turn(ctx context.Context) (moved bool, err error) {
	s, service := &w.scan, w.windows.service
	b, err := service.bounds[w.partition].get(ctx, 0)
	if err != nil {
		return false, err
	}
	next, at := w.aim()
	if next == readOn && b.first > s.next {
		next, at = beginAnew, s.next-1 // the log has lost what comes next
	}
	switch {
	case next == rest:
		return true, nil
	case next == beginAnew && at+1 >= max(b.first, b.end):
		return false, nil
	case next == beginAnew:
		if err := w.begin(ctx, at, b); err != nil {
			return false, err
		}
	case s.next >= b.end:
		return false, nil
	}
	if err := w.fill(ctx, b.end); err != nil {
		// If the log lost what was to be read, the next turn begins behind that.
		if b, again := service.bounds[w.partition].get(ctx, 0); again != nil || b.first <= s.next {
			return false, err
		}
	}
	return true, nil
}

// aim is what a window does next.
type aim uint8

const (
	rest aim = iota
	readOn
	beginAnew
)

// aim returns what to do next, and for which position to begin anew.
func (w *window) aim() (next aim, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records == nil {
		w.scan = scan{failing: w.scan.failing}
	}
	switch d := w.demand(); {
	case w.scan.narrow && d.requests > 0:
		return beginAnew, d.lowest
	case d.ahead == math.MaxInt64 && d.below == math.MaxInt64:
		return rest, 0
	case d.ahead == math.MaxInt64:
		return beginAnew, d.below
	case d.far:
		return beginAnew, d.ahead
	}
	return readOn, 0
}

// begin makes the window ready to be filled with what follows a position.
func (w *window) begin(ctx context.Context, at int64, b bounds) error {
	service := w.windows.service
	ctx, cancel := context.WithTimeout(ctx, service.cfg.Timeout)
	defer cancel()
	lost := int64(-1)
	if at < b.first-1 {
		at = b.first - 1
		lost = at
	}
	since := int64(-1)
	if !w.scan.narrow {
		at, since = w.early(at, b)
	}
	from := b.first
	if at >= b.first {
		var err error
		if since < 0 {
			if since, err = w.timeAfter(ctx, at, b.end); err != nil {
				return err
			}
		}
		if from, since, err = w.rewind(ctx, at, since, b); err != nil {
			return err
		}
	}
	s := &w.scan
	*s = scan{
		records: tail.NewTail(), seen: backplane.NewDedupe(), next: from, start: at,
		unsure: from == b.first && from > 0, unserved: -1, failing: s.failing,
	}
	switch {
	case from == 0:
		since = 0 // nothing precedes
	case s.unsure:
		since = never
	}
	s.since = since
	s.records.Begin(from, since)
	service.counters.Restarts.Add(1)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.records, w.start, w.lost = s.records, at, lost
	if since == never && !s.unsure {
		w.start = math.MaxInt64 // see rewind
	}
	return nil
}

// never is a log time that no record has, in Unix milliseconds.
const never = math.MaxInt64 / 2

// rewind returns where and from what log time on to read, so that the duplicates of
// what follows a position are known. time is that of the first record there, or of any
// before it.
//
// If there is no record yet, the window is good for knowing that: none of those that come
// is served, and who wants them has it begin anew.
func (w *window) rewind(ctx context.Context, at, time int64, b bounds) (from, since int64, err error) {
	if time == never {
		return at + 1, never, nil
	}
	// What is served has a log time of at least W after since, as no log time lies
	// more than W before one that stands ahead of it.
	since = time - backplane.Rewind.Milliseconds()
	from, err = w.windows.service.cfg.Reader.OffsetAt(ctx, w.partition, max(0, since))
	return min(max(from, b.first), at+1), since, err
}

// early returns a position before at from which to begin with little more to read, so
// that those who come soon find the window at where they are: that up to which the
// store has everything. time is a log time that belongs to the position, -1 if it is
// not known.
func (w *window) early(at int64, b bounds) (position, time int64) {
	applied := w.windows.service.applied.known()
	if applied == nil {
		return at, -1
	}
	a := applied[w.partition]
	if a.Offset < b.first || a.Offset > at || at-a.Offset > w.windows.share/roomyRecord {
		return at, -1
	}
	return a.Offset, a.Time
}

// timeAfter returns the log time of the first record after a position, and never if no
// offset up to the end has a record.
func (w *window) timeAfter(ctx context.Context, at, end int64) (time int64, err error) {
	time = never
	err = w.windows.service.cfg.Reader.Scan(ctx, w.partition, at+1, end, func(r *backplane.Record) bool {
		time = r.Time
		return false
	})
	return time, err
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
			if !w.listen(ctx, scanLinger) {
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
