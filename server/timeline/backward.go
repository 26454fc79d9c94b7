package timeline

import (
	"context"
	"slices"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/server/tail"
)

// Page is a part of a timeline, or of a conversation in it.
type Page struct {
	// Entries are in the order of the log, oldest first, in whatever direction they
	// were read. Their values may be shared and must not be written to.
	Entries []history.Entry
	// Before and After are the offsets from which to go on: what is older stands before
	// Before, what is newer after After, both exclusive. Between the two nothing is left
	// out.
	Before, After int64
	// MoreBefore and MoreAfter report that there may be more in a direction. Where they
	// are false there is nothing, as far as the page could tell when it was read.
	MoreBefore, MoreAfter bool
}

// Backward returns the newest entries of a user that stand before an offset
// (math.MaxInt64 for the newest of all), those of the conversation with peer if that is
// not empty: at most limit, and no more when their values come to bytes.
//
// The page is short where time is up, or a place fails, after something was found;
// MoreBefore is true then. The error is ErrHistoryBehind if what history has not
// applied yet is more than a window holds, and ErrNoHistory if the page lies below the
// tail of a node without history.
func (s *Service) Backward(ctx context.Context, user []byte, p backplane.Partition, before int64, limit int, peer []byte, bytes int) (Page, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	q := s.query(user, p, peer, limit, bytes)
	q.Before, q.Backward = before, true
	b := backward{service: s, q: q, more: true}
	err := b.read(ctx)
	if err != nil && len(b.entries) == 0 {
		return Page{}, err
	}
	slices.Reverse(b.entries)
	out := Page{
		Entries: b.entries, MoreBefore: b.more, MoreAfter: b.newer,
		Before: min(before, b.end+1), After: min(before-1, b.end),
	}
	if len(b.entries) > 0 {
		out.Before = b.entries[0].Offset
	}
	return out, nil
}

// backward is a walk down through the places.
type backward struct {
	service *Service
	q       history.Query   // for what is still wanted
	entries []history.Entry // newest first
	more    bool            // there may be more below
	newer   bool            // there may be more above
	end     int64           // the tail's
}

// read reads until the page is full or nothing is left.
func (b *backward) read(ctx context.Context) error {
	s := b.service
	t := s.cfg.Tails.Partition(b.q.Partition)
	b.q.After = t.Erased(b.q.User)
	page, known, end := t.Read(&b.q)
	if end < 0 {
		// The tail has not begun: all there is may be below it.
		at, err := s.boundsOf(ctx, b.q.Partition)
		if err != nil {
			return err
		}
		known, end = at.end-1, at.end-1
	}
	b.end = end
	b.newer = b.q.Before <= end && (b.q.Before <= known || s.any(t, &b.q))
	if b.add(page) {
		return nil
	}

	top := min(b.q.Before-1, known) // the highest offset that is not looked at yet
	if top <= b.q.After {
		b.more = false
		return nil
	}
	if s.cfg.Store == nil {
		return ErrNoHistory
	}
	pos, err := s.positionOf(ctx, b.q.Partition, top-1)
	switch {
	case err != nil:
		return err
	case pos.stale != nil:
		return s.fail(HistoryUnavailable, pos.stale)
	case top > pos.Offset:
		page, err := s.windows.backward(ctx, b.q, max(pos.Offset, b.q.After), top, len(b.entries) == 0)
		if err != nil || b.add(page) {
			return err
		}
		top = pos.Offset
	}

	b.q.After, b.q.Before = max(b.q.After, pos.Floor), top+1
	if top <= b.q.After {
		b.more = false
		return nil
	}
	page, floor, err := s.read(ctx, &b.q)
	if err != nil {
		return err
	}
	if above := aboveFloor(page.Entries, floor); above < len(page.Entries) {
		page = history.Page{Entries: page.Entries[:above]} // and nothing is left below
	}
	b.more = b.add(page)
	return nil
}

// aboveFloor returns how many of entries, which are newest first, stand above a floor.
func aboveFloor(entries []history.Entry, floor int64) int {
	n := len(entries)
	for n > 0 && entries[n-1].Offset <= floor {
		n--
	}
	return n
}

// add adds what a place told, and reports whether the page is full.
func (b *backward) add(page history.Page) bool {
	b.entries = append(b.entries, page.Entries...)
	for i := range page.Entries {
		b.q.Bytes -= len(page.Entries[i].Value)
	}
	b.q.Limit -= len(page.Entries)
	return page.More || b.q.Limit <= 0 || b.q.Bytes <= 0
}

// any reports whether a tail has an entry that stands at or after q.Before. The tail
// must know all of that.
func (s *Service) any(t *tail.Tail, q *history.Query) bool {
	newer := *q
	newer.After, newer.Before, newer.Backward, newer.Limit = q.Before-1, forever, false, 1
	page, _, _ := t.Read(&newer)
	return len(page.Entries) > 0
}

// After returns the oldest entries of a user that stand after an offset, in the manner
// of Backward. As Forward does, it returns with fewer as soon as one place has told all
// that it knows; and it passes over what is gone.
func (s *Service) After(ctx context.Context, user []byte, p backplane.Partition, after int64, limit int, peer []byte, bytes int) (Page, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.after(ctx, user, p, after, limit, peer, bytes)
}

func (s *Service) after(ctx context.Context, user []byte, p backplane.Partition, after int64, limit int, peer []byte, bytes int) (Page, error) {
	q := s.query(user, p, peer, limit, bytes)
	q.After = after
	f, err := s.forward(ctx, &q)
	if err != nil {
		return Page{}, err
	}
	return Page{
		Entries: f.Entries, Before: after + 1, After: f.Examined,
		MoreBefore: after >= 0, MoreAfter: !f.Live,
	}, nil
}

// Around returns entries on both sides of an offset, that of the offset among the older
// ones: half of limit and of bytes for each side, and for the newer side what the older
// one leaves. An error on either side is one of the whole.
func (s *Service) Around(ctx context.Context, user []byte, p backplane.Partition, offset int64, limit int, peer []byte, bytes int) (Page, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	older, err := s.Backward(ctx, user, p, offset+1, (limit+1)/2, peer, (bytes+1)/2)
	if err != nil {
		return Page{}, err
	}
	for i := range older.Entries {
		bytes -= len(older.Entries[i].Value)
	}
	limit -= len(older.Entries)
	if limit <= 0 || bytes <= 0 {
		return older, nil
	}
	page, err := s.after(ctx, user, p, older.After, limit, peer, bytes)
	if err != nil {
		return Page{}, err
	}
	page.Entries = append(older.Entries, page.Entries...)
	page.Before, page.MoreBefore = older.Before, older.MoreBefore
	return page, nil
}
