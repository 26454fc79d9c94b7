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
	// Gone is -1, or an offset: some of what was asked for, up to and including it, may be in
	// neither the store nor the log any more. Entries may stand before it, where the log
	// lost something that history did not have.
	Gone int64
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
	b := backward{service: s, q: q, more: true, gone: -1}
	err := b.read(ctx)
	if err != nil && len(b.entries) == 0 {
		return Page{}, err
	}
	slices.Reverse(b.entries)
	out := Page{
		Entries: b.entries, MoreBefore: b.more, MoreAfter: b.newer,
		Before: min(before, b.end+1), After: min(before-1, b.end), Gone: b.gone,
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
	gone    int64           // the last offset up to which some may be gone, -1 if nothing is
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
	pos, erased, err := s.below(ctx, b.q.User, b.q.Partition, top-1)
	b.q.After = max(b.q.After, erased)
	switch {
	case err != nil:
		return err
	case pos.stale != nil:
		return s.fail(HistoryUnavailable, pos.stale)
	case top <= b.q.After:
		b.more = false
		return nil
	case top > pos.Offset:
		var full bool
		if pos, full, err = b.log(ctx, pos, top); err != nil || full {
			return err
		}
		top = min(top, pos.Offset)
	}
	return b.store(ctx, pos.Floor, top)
}

// log reads what the log has between the store and an offset, top, and reports whether
// that fills the page. It returns how far the store has come by then: if it has come
// further, what it has now is not told as gone.
func (b *backward) log(ctx context.Context, pos position, top int64) (_ position, full bool, err error) {
	wait := len(b.entries) == 0
	for {
		page, lost, err := b.service.windows.backward(ctx, b.q, max(pos.Offset, b.q.After), top, wait)
		if err != nil {
			return pos, false, err
		}
		if lost >= 0 {
			now, err := b.service.latest(ctx, b.q.Partition)
			switch {
			case err != nil:
				return pos, false, err
			case max(now.Offset, b.q.After) >= top:
				return now, false, nil
			case now.Offset > pos.Offset:
				pos = now
				continue
			}
		}
		if b.add(page) {
			return pos, true, nil
		}
		b.lost(lost)
		return pos, false, nil
	}
}

// store reads what the store has up to an offset, top, and above its floor.
func (b *backward) store(ctx context.Context, floor, top int64) error {
	page, above := history.Page{}, b.q.After
	b.q.After, b.q.Before = max(above, floor), top+1
	if top > b.q.After {
		var err error
		if page, floor, err = b.service.read(ctx, &b.q); err != nil {
			return err
		}
		if n := aboveFloor(page.Entries, floor); n < len(page.Entries) {
			page = history.Page{Entries: page.Entries[:n]} // and nothing is left below
		}
	}
	b.more = b.add(page)
	if !b.more && floor > above {
		b.lost(min(floor, top))
	}
	return nil
}

// lost takes note that some of what stands up to an offset may be gone.
func (b *backward) lost(upto int64) { b.gone = max(b.gone, upto) }

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
// that it knows.
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
		MoreBefore: after >= 0, MoreAfter: !f.Live, Gone: f.Gone,
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
	page.Gone = max(page.Gone, older.Gone)
	return page, nil
}
