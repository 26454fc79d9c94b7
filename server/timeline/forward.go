package timeline

import (
	"context"
	"math"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// forever is the offset before which everything is.
const forever = math.MaxInt64

// Forwarded is what Forward found.
type Forwarded struct {
	// Entries are the next ones, oldest first. Their values may be shared and must not
	// be written to.
	Entries []history.Entry
	// Examined is how far that goes: every message of the user after the position
	// that was asked for, up to and including this offset, is in Entries, is rightly
	// hidden, or is told by Gone. The next call begins here.
	Examined int64
	// Live is whether Examined is the end of the partition's tail, as it was read under
	// the tail's lock in this call, or beyond it: where the caller was already, or where
	// the log was read further than the tail has come. What follows is delivered.
	Live bool
	// Gone is -1, or an offset: some of what follows the position that was asked for,
	// up to and including it, may be in neither the store nor the log any more. All
	// Entries stand after it.
	Gone int64
}

// Forward returns the entries of a user, who lives in partition p, that follow offset
// after (-1 is before the first): at most limit of them, and no more when their
// values come to bytes. It returns with fewer as soon as one place has told all that
// it knows, and with none only if the user is up to date, or time is up.
//
// It blocks for at most Config.Timeout. An error, always an *Error, means that nothing
// was found out.
func (s *Service) Forward(ctx context.Context, user []byte, p backplane.Partition, after int64, limit, bytes int) (Forwarded, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	q := s.query(user, p, nil, limit, bytes)
	q.After = after
	return s.forward(ctx, &q)
}

// forward is Forward for a query, whose After it moves.
func (s *Service) forward(ctx context.Context, q *history.Query) (Forwarded, error) {
	after := q.After
	out := Forwarded{Examined: after, Gone: -1}
	for {
		st, err := s.step(ctx, q)
		switch {
		case err != nil && q.After > after:
			// What was found out so far is right, and the next call tells the error.
			return out, nil
		case err != nil:
			return Forwarded{}, err
		case st.gone:
			out.Gone = st.upto
		}
		q.After, out.Examined = st.upto, st.upto
		if len(st.page.Entries) > 0 || st.live {
			out.Entries, out.Live = st.page.Entries, st.live
			return out, nil
		}
	}
}

// step is what one place told of what follows a position.
type step struct {
	page history.Page
	upto int64 // everything up to there has been looked at
	live bool  // upto is the tail's end
	gone bool  // some of what stands up to there may be gone
}

// found returns the step of a place that knows everything up to an offset.
func found(page history.Page, upto int64) step {
	if page.More {
		upto = page.Entries[len(page.Entries)-1].Offset
	}
	return step{page: page, upto: upto}
}

// step asks the place that has what follows q.After. The youngest comes first:
// it is the cheapest, and what it does not have now it will not have later.
func (s *Service) step(ctx context.Context, q *history.Query) (step, error) {
	t := s.cfg.Tails.Partition(q.Partition)
	if erased := t.Erased(q.User); erased > q.After {
		return step{upto: erased}, nil
	}
	page, floor, end := t.Read(q)
	if end < 0 {
		floor = forever // it has not begun, and knows nothing; or there is nothing
	}
	if q.After >= floor {
		st := found(page, max(q.After, end))
		st.live = !page.More
		return st, nil
	}

	if s.cfg.Store != nil {
		pos, erased, err := s.below(ctx, q.User, q.Partition, q.After)
		switch {
		case err != nil:
			return step{}, err
		case erased > q.After:
			return step{upto: erased}, nil
		case q.After < pos.Floor:
			// Nor does the log give it: which of it was erased only the store knew.
			return step{upto: min(pos.Floor, floor), gone: true}, nil
		}
		if pos.has(q.After) {
			older := *q
			older.Before = pos.Offset + 1
			page, floor, err := s.read(ctx, &older)
			if err != nil || floor > q.After {
				return step{upto: q.After}, err // the store does not have it any more
			}
			return found(page, pos.Offset), nil
		}
	}

	b, err := s.boundsOf(ctx, q.Partition)
	switch {
	case err != nil:
		return step{}, err
	case b.end == 0 && end < 0:
		return step{upto: q.After, live: true}, nil
	case q.After < b.first-1:
		return s.missing(ctx, q, min(floor, b.first-1))
	}
	st, err := s.windows.forward(ctx, q, func(after int64) bool { return t.End() >= 0 && t.Floor() <= after })
	if st.gone {
		return s.missing(ctx, q, min(floor, st.upto))
	}
	return st, err
}

// missing returns the step over what the log does not have any more, nor the tail: up to
// an offset, or up to where the store begins. It asks the store once more, which may have
// been told of it in time.
func (s *Service) missing(ctx context.Context, q *history.Query, upto int64) (step, error) {
	if s.cfg.Store != nil {
		pos, err := s.latest(ctx, q.Partition)
		switch {
		case err != nil:
			return step{}, err
		case pos.has(q.After):
			return step{upto: q.After}, nil
		case q.After < pos.Floor && pos.Floor < pos.Offset:
			upto = min(upto, pos.Floor)
		}
	}
	return step{upto: upto, gone: true}, nil
}
