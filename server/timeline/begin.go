package timeline

import (
	"context"
	"math"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/tail"
)

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
			if since, err = service.timeAfter(ctx, w.partition, at, b.end); err != nil {
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

// timeAfter returns the log time of the first record of a partition after a position, and
// never if no offset up to the end has a record.
func (s *Service) timeAfter(ctx context.Context, p backplane.Partition, at, end int64) (time int64, err error) {
	time = never
	err = s.cfg.Reader.Scan(ctx, p, at+1, end, func(r *backplane.Record) bool {
		time = r.Time
		return false
	})
	return time, err
}
