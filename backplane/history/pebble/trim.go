package pebble

import (
	"context"
	"maps"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/backplane/history"
)

// Trim implements history.Store. It removes whole days.
//
// From the moment that it begins, entries of those days that come late are put on the
// oldest day that stays: otherwise one that comes after its partition's floor has moved,
// and before the days are deleted, would be gone above the floor.
func (s *Store) Trim(ctx context.Context, before int64) error {
	cut := dayOf(before)
	for old := s.oldest.Load(); day(old) < cut && !s.oldest.CompareAndSwap(old, uint32(cut)); {
		old = s.oldest.Load()
	}
	s.mu.RLock()
	partitions := maps.Clone(s.partitions)
	s.mu.RUnlock()
	trimmed := false
	for at, p := range partitions {
		err := s.change(ctx, p, func() (*change, error) {
			c, err := s.trim(at, p, cut)
			trimmed = trimmed || c != nil
			return c, err
		})
		if err != nil {
			return err
		}
	}
	if !trimmed {
		return nil
	}
	return s.wipe(ctx, span{appendDayStart(nil, kindEntry, 0), appendDayStart(nil, kindEntry, cut)},
		span{appendDayStart(nil, kindPeer, 0), appendDayStart(nil, kindPeer, cut)})
}

// trim prepares to move the floor of a partition to the last entry before a day.
func (s *Store) trim(at place, p *partition, cut day) (c *change, err error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	days, err := daysOf(it, at)
	if err := it.Close(); err != nil {
		return nil, err
	}
	if err != nil || len(days) == 0 || days[0].day >= cut {
		return nil, err
	}
	c = &change{batch: s.db.NewBatch(), applied: *p.applied.Load(), day: p.day, written: p.written, offsets: p.offsets}
	for _, d := range days {
		if d.day >= cut {
			break
		}
		c.applied.Floor = max(c.applied.Floor, d.last)
		if err = c.batch.Delete(dayKey(at, d.day), nil); err != nil {
			break
		}
	}
	c.written = p.written && p.day >= cut
	if err == nil {
		err = c.batch.Set(appliedKey(at), encodeApplied(c.applied, c.day), nil)
	}
	if err != nil {
		c.batch.Close()
		return nil, err
	}
	// Nobody may miss entries before the floor tells of it, and reads see the deletion
	// before we do. A floor that is too high for a moment does no harm.
	p.applied.Store(&c.applied)
	return c, nil
}

// span is the keys from start to before end.
type span struct{ start, end []byte }

// wipe deletes spans of keys that nobody writes.
func (s *Store) wipe(ctx context.Context, spans ...span) error {
	if err := s.begin(); err != nil {
		return err
	}
	trouble, err := s.health.writable()
	if err != nil {
		s.done()
		return err
	}
	return s.commit(ctx, trouble, s.deletion(spans), func(error) { s.done() })
}

// deletion returns a batch that deletes spans.
func (s *Store) deletion(spans []span) *pebble.Batch {
	b := s.db.NewBatch()
	for _, d := range spans {
		_ = b.DeleteRange(d.start, d.end, nil) // of a batch without an index it is nil
	}
	return b
}

// Reset implements history.Store. It waits for the writes that are under way, and all
// other calls wait for it.
func (s *Store) Reset(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return history.ErrClosed
	}
	trouble, err := s.health.writable()
	if err != nil {
		return err
	}
	var taken []*partition
	release := func() {
		for _, p := range taken {
			<-p.turn
		}
	}
	for _, p := range s.partitions {
		if err := s.take(ctx, p, trouble); err != nil {
			release()
			return err
		}
		taken = append(taken, p)
	}
	s.calls.Add(1)
	everything := []span{{[]byte{0}, metaKey}, {after(nil, metaKey), []byte{0xff}}}
	return s.commit(ctx, trouble, s.deletion(everything), func(err error) {
		if err == nil {
			for _, p := range taken {
				none := nothing
				p.applied.Store(&none)
				p.day, p.written = 0, false
			}
		}
		release()
		s.done()
	})
}
