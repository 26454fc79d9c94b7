package timeline

import (
	"context"
	"math"

	"github.com/godwit-im/godwit/backplane"
)

// Resolution says what a cursor is worth.
type Resolution struct {
	// Missed is whether the user may have something after the cursor that is not hidden.
	// If not, the next record of the tail is the next that the user is to get.
	Missed bool
	// Gone is -1, or an offset: some of what follows the cursor, up to and including it,
	// may be in neither the store nor the log any more, or stands at the start of the log,
	// where duplicates are not known. If it is -1, all that follows can be read at this
	// moment, and Forward tells nothing as gone unless it goes before it is read.
	Gone int64
	// Future is whether the cursor lies beyond the end of the log: no record has been
	// there. Then the others say nothing.
	Future bool
}

// Resolve tells whether a device may go on from a cursor, which is an offset in the
// partition of its user. It asks the log or the store only if the tail does not know;
// those who ask at the same time share the questions.
func (s *Service) Resolve(ctx context.Context, user []byte, p backplane.Partition, after int64) (Resolution, error) {
	none := Resolution{Gone: -1}
	if s.NothingMissed(user, p, after) {
		return none, nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if after > s.cfg.Tails.Partition(p).End() {
		b, err := s.boundsOf(ctx, p)
		if err == nil && after >= b.end {
			// The device may have got its last record, from another node, after that
			// was asked; but not after this call.
			b, err = s.bounds[p].get(ctx, 0)
		}
		switch {
		case err != nil:
			return none, s.fail(LogUnavailable, err)
		case after >= b.end:
			return Resolution{Gone: -1, Future: true}, nil
		}
	}
	gone, err := s.gone(ctx, user, p, after)
	if err != nil {
		return none, err
	}
	return Resolution{Missed: true, Gone: gone}, nil
}

// gone returns the offset up to which some of what follows a position may be gone, -1 if
// nothing is.
func (s *Service) gone(ctx context.Context, user []byte, p backplane.Partition, after int64) (int64, error) {
	t := s.cfg.Tails.Partition(p)
	after = max(after, t.Erased(user))
	floor, end := t.Floor(), t.End()
	if end < 0 {
		floor = forever
	}
	if after >= floor {
		return -1, nil
	}
	b, err := s.boundsOf(ctx, p)
	if err != nil {
		return -1, err
	}
	at, err := s.startOf(ctx, p, b)
	if err != nil {
		return -1, err
	}
	upto := min(at.sure-1, floor) // what stands up to there cannot be had from log or tail
	if s.cfg.Store == nil {
		if after >= upto {
			return -1, nil
		}
		return upto, nil
	}
	pos, err := s.positionOf(ctx, p, after)
	if err == nil && pos.lost(after, upto) >= 0 {
		// Before it is told as gone: history may have come to it by now.
		pos, err = s.latest(ctx, p)
	}
	if err != nil {
		return -1, err
	}
	lost := pos.lost(after, upto)
	if lost < 0 {
		return -1, nil
	}
	_, erased, err := s.below(ctx, user, p, after)
	switch {
	case err != nil:
		return -1, err
	case erased > after:
		return s.gone(ctx, user, p, erased)
	}
	return min(lost, floor), nil
}

// NothingMissed reports whether a user who has everything up to an offset has missed
// nothing: the tail knows everything after it, and has nothing for the user. It takes the
// tail's lock for a look-up, and nothing else: it may be called on an event loop.
func (s *Service) NothingMissed(user []byte, p backplane.Partition, after int64) bool {
	t := s.cfg.Tails.Partition(p)
	// In this order: a record that is given up after it was not the newest any more
	// takes the floor along.
	return t.Newest(user) <= after && t.Floor() <= after && t.End() >= max(after, 0)
}

// Last returns a position after which a user has the newest n entries (n is at least 1),
// or all, if there are fewer. It may be further back and have more after it, for two
// reasons: entries that history has not applied yet and the tail does not have any more
// are not counted; and messages may arrive meanwhile. On a node without history
// the position is in the tail, and may have fewer after it.
func (s *Service) Last(ctx context.Context, user []byte, p backplane.Partition, n int) (after int64, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	t := s.cfg.Tails.Partition(p)
	q := s.query(user, p, nil, n, math.MaxInt)
	q.After, q.Backward = t.Erased(user), true
	page, floor, end := t.Read(&q)
	if len(page.Entries) == n {
		return page.Entries[n-1].Offset - 1, nil
	}
	if end >= 0 && (floor <= q.After || s.cfg.Store == nil) {
		return max(floor, q.After), nil
	}
	if s.cfg.Store == nil {
		b, err := s.boundsOf(ctx, p)
		return b.end - 1, err
	}
	if end >= 0 {
		q.Before = floor + 1
	}
	pos, erased, err := s.below(ctx, user, p, q.Before-2)
	if err == nil {
		err = pos.stale
	}
	if err != nil {
		return 0, s.fail(HistoryUnavailable, err)
	}
	q.Before = min(q.Before, pos.Offset+1)
	q.After = max(q.After, pos.Floor, erased)
	q.Limit -= len(page.Entries)
	if q.After < q.Before-1 {
		older, floor, err := s.read(ctx, &q)
		if err != nil {
			return 0, err
		}
		if aboveFloor(older.Entries, floor) == q.Limit {
			return older.Entries[q.Limit-1].Offset - 1, nil
		}
		q.After = max(q.After, floor)
	}
	if q.After < pos.Offset {
		return q.After, nil
	}
	// History has nothing: what the log has begins here.
	gone, err := s.gone(ctx, user, p, q.After)
	return max(q.After, gone), err
}
