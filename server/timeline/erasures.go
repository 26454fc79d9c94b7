package timeline

import (
	"context"
	"maps"
	"math"

	"github.com/godwit-im/godwit/backplane"
)

// erasures are the erasures of a stretch of a partition: those that the store may not have
// applied, and that stand before what the tail remembers. There are none as a rule: only
// if history was further behind, when the tail began, than where that begins.
//
// A value is not changed once askErasures has returned it. nil knows of nothing.
type erasures struct {
	after, upto int64            // all erasures of (after, upto] are known
	last        map[string]int64 // the offset of each user's last

	// seen tells retries of erasures. It is handed on from one value to the next, for the
	// one askErasures that runs.
	seen *backplane.Dedupe
}

// of returns the offset of a user's last erasure, -1 if there is none.
func (e *erasures) of(user []byte) int64 {
	if at, ok := e.last[string(user)]; ok {
		return at
	}
	return -1
}

// below returns what a reader below the tail needs to know: how far the store has come, as
// positionOf does, and the offset of the last erasure of the user that neither the store has
// applied nor the tail remembers, -1 if there is none. It is asked for after
// tail.Tail.Erased, so that what the tail forgets in between is found here.
//
// Where the log has to be looked through first, it waits, and fails with HistoryBehind if
// that takes too long. The next look goes on from there.
func (s *Service) below(ctx context.Context, user []byte, p backplane.Partition, lacks int64) (pos position, erased int64, err error) {
	for {
		if pos, err = s.positionOf(ctx, p, lacks); err != nil {
			return pos, -1, err
		}
		upto, err := s.remembered(ctx, p)
		if err != nil || pos.Offset >= upto {
			return pos, -1, err
		}
		e := s.erasures[p].known()
		if e == nil || e.after > pos.Offset || e.upto < upto {
			if e, err = s.erasures[p].get(ctx, 0); err != nil && ctx.Err() == nil {
				return pos, -1, s.fail(LogUnavailable, err)
			}
		}
		switch {
		case err != nil || e.upto < upto:
			return pos, -1, s.fail(HistoryBehind, err)
		case e.after <= pos.Offset:
			return pos, e.of(user), nil
		}
		// The store has come further since it was asked.
	}
}

// remembered returns the last offset before those of which the tail remembers all erasures.
func (s *Service) remembered(ctx context.Context, p backplane.Partition) (int64, error) {
	from := s.cfg.Tails.Partition(p).ErasuresFrom()
	if from != math.MaxInt64 {
		return from - 1, nil
	}
	b, err := s.boundsOf(ctx, p)
	return b.end - 1, err
}

// askErasures looks for erasures in the log, from where the store has come to, or where the
// last look has, to where the tail remembers them. When time is up, or it has found as
// many as it may, it returns what it has.
func (s *Service) askErasures(ctx context.Context, p backplane.Partition) (*erasures, error) {
	if err := s.windows.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer s.windows.giveTurn()
	asking, cancel := context.WithTimeout(ctx, s.cfg.Timeout/appliedPart)
	applied, err := s.applied.get(asking, 0)
	cancel()
	if applied == nil {
		return nil, s.fail(HistoryUnavailable, err)
	}
	pos := applied[p]
	b, err := s.askBounds(ctx, p)
	if err != nil {
		return nil, err
	}
	e, from := s.erasures[p].known(), int64(0)
	if e != nil && e.after <= pos.Offset && e.upto >= pos.Offset {
		e, from = e.without(pos.Offset), e.upto+1
	} else {
		// A retry of an erasure that the store has applied counts for nothing.
		e = &erasures{after: pos.Offset, upto: pos.Offset, last: make(map[string]int64), seen: backplane.NewDedupe()}
		if from, err = s.cfg.Reader.OffsetAt(ctx, p, max(0, pos.Time-backplane.Rewind.Milliseconds())); err != nil {
			return nil, err
		}
		from = min(from, pos.Offset+1)
	}
	return e, s.look(ctx, p, e, max(from, b.first), min(s.cfg.Tails.Partition(p).ErasuresFrom(), b.end))
}

// look reads the log from one offset up to another, exclusive, for the erasures there. It is no
// error that it does not come to the end, if it comes further.
func (s *Service) look(ctx context.Context, p backplane.Partition, e *erasures, from, to int64) error {
	began, whole := e.upto, true
	var err error
	if from < to {
		s.counters.Scans.Add(1)
		var m backplane.Message
		err = s.cfg.Reader.Scan(ctx, p, from, to, func(r *backplane.Record) bool {
			s.counters.Scanned.Add(1)
			if whole = e.take(r, &m); whole {
				e.upto = max(e.upto, r.Offset)
			}
			return whole
		})
	}
	switch {
	case err == nil && whole:
		e.upto = max(e.upto, to-1) // the last offsets may have no record
	case err != nil && e.upto == began:
		return err
	}
	return nil
}

// without returns what e knows beyond an offset up to which the store has applied them.
func (e *erasures) without(offset int64) *erasures {
	rest := &erasures{after: offset, upto: e.upto, last: maps.Clone(e.last), seen: e.seen}
	maps.DeleteFunc(rest.last, func(_ string, at int64) bool { return at <= offset })
	return rest
}

// take looks at the next record. It reports false, and does nothing, if there are too many
// users.
func (e *erasures) take(r *backplane.Record, m *backplane.Message) bool {
	if backplane.ParseMessage(r.Value, m) != nil || m.Kind != backplane.KindErase || !listed(r.Recipients) {
		return true
	}
	if _, known := e.last[string(m.From)]; !known && len(e.last) == maxErasures {
		return false
	}
	if !e.seen.Seen(m.MessageID, r.Time) && r.Offset > e.after {
		e.last[string(m.From)] = r.Offset
	}
	return true
}
