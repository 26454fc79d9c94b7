package pebble

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/backplane/history"
)

// ErrFull is the error of a Write when the disk has only the reserve left.
var ErrFull = errors.New("pebble: the disk of the history store is full but for its reserve")

// Write implements history.Store. When ctx ends or the disk fails while it commits, the
// batch may be applied later, before any other of the partition.
func (s *Store) Write(ctx context.Context, b *history.Batch) error {
	if usage, err := s.fs.GetDiskUsage(s.dir); err != nil {
		return fmt.Errorf("pebble: asking for the free space of the disk: %w", err)
	} else if usage.AvailBytes < s.reserve {
		return fmt.Errorf("%w: %d MiB are free", ErrFull, usage.AvailBytes>>20)
	}
	if err := check(b); err != nil {
		return err
	}
	at := place{b.Generation, b.Partition}
	p := s.partition(at)
	return s.change(ctx, p, func() (*change, error) { return s.apply(at, p, b) })
}

// check returns an error for a batch that no caller may write.
func check(b *history.Batch) error {
	last := int64(-1)
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Offset < last || e.Offset > b.Applied.Offset {
			return fmt.Errorf("pebble: the entry at %d is out of order in a batch up to %d", e.Offset, b.Applied.Offset)
		}
		last = e.Offset
		if len(e.User) > maxID {
			return fmt.Errorf("pebble: a user id of %d bytes", len(e.User))
		}
		for _, peer := range e.Peers {
			if len(peer) > maxID {
				return fmt.Errorf("pebble: a user id of %d bytes", len(peer))
			}
		}
	}
	for _, e := range b.Erasures {
		if e.Offset > b.Applied.Offset || len(e.User) > maxID {
			return fmt.Errorf("pebble: an erasure at %d of a user id of %d bytes in a batch up to %d",
				e.Offset, len(e.User), b.Applied.Offset)
		}
	}
	return nil
}

// change is what is to be committed of a partition, and what is known once it is.
type change struct {
	batch   *pebble.Batch
	applied history.Applied
	day     day
	written bool
	offsets rangeOf
}

// change waits for the partition's turn, prepares a change of it (nil for none), and
// commits it.
func (s *Store) change(ctx context.Context, p *partition, prepare func() (*change, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	trouble, err := s.health.writable()
	if err == nil {
		err = s.take(ctx, p, trouble)
	}
	if err != nil {
		s.done()
		return err
	}
	c, err := s.prepared(prepare)
	if c == nil || err != nil {
		<-p.turn
		s.done()
		return err
	}
	return s.commit(ctx, trouble, c.batch, func(err error) {
		if err == nil {
			p.applied.Store(&c.applied)
			p.day, p.written, p.offsets = c.day, c.written, c.offsets
		}
		<-p.turn
		s.done()
	})
}

// take waits for a partition's turn.
func (s *Store) take(ctx context.Context, p *partition, trouble <-chan struct{}) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-trouble:
		return s.health.reason()
	}
}

func (s *Store) prepared(prepare func() (*change, error)) (c *change, err error) {
	defer s.guard(&err)
	return prepare()
}

// commit writes a batch and waits for its sync, or until ctx ends or trouble begins. In
// any case it calls then once, when it is known what became of the batch. Pebble syncs
// once for all batches that come together.
func (s *Store) commit(ctx context.Context, trouble <-chan struct{}, b *pebble.Batch, then func(error)) error {
	result := make(chan error, 1)
	go func() {
		err := s.sync(b)
		then(err)
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-trouble:
		return s.health.reason()
	}
}

func (s *Store) sync(b *pebble.Batch) (err error) {
	defer s.guard(&err)
	return errors.Join(b.Commit(pebble.Sync), b.Close())
}

// apply prepares a batch. What is applied already is left out.
func (s *Store) apply(at place, p *partition, b *history.Batch) (*change, error) {
	was := p.applied.Load()
	c := &change{applied: *was, day: p.day, written: p.written, offsets: p.offsets}
	c.applied.Floor = max(was.Floor, b.Lost-1)
	if b.Applied.Offset > was.Offset {
		c.applied.Offset, c.applied.Time = b.Applied.Offset, max(was.Time, b.Applied.Time)
	}
	if c.applied == *was {
		return nil, nil
	}
	c.batch = s.db.NewBatch()
	var erased map[string]int64
	if len(b.Erasures) > 0 {
		erased = make(map[string]int64)
	}
	for _, e := range b.Erasures {
		if e.Offset > was.Offset {
			erased[string(e.User)] = max(e.Offset, erased[string(e.User)])
		}
	}
	if err := s.erase(c.batch, at, erased); err != nil {
		return nil, errors.Join(err, c.batch.Close())
	}
	rows := make([]row, 0, len(b.Entries))
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Offset <= was.Offset {
			continue
		}
		if until, ok := erased[string(e.User)]; ok && e.Offset <= until {
			continue
		}
		if err := c.enter(at, e, day(s.oldest.Load())); err != nil {
			return nil, errors.Join(err, c.batch.Close())
		}
		rows = append(rows, row{e, c.day})
	}
	(&keys{generation: at.generation}).set(c.batch, rows)
	err := c.batch.Set(appliedKey(at), encodeApplied(c.applied, c.day), nil)
	if err == nil && c.written {
		err = c.batch.Set(dayKey(at, c.day), c.offsets.encode(), nil)
	}
	if err != nil {
		return nil, errors.Join(err, c.batch.Close())
	}
	return c, nil
}

// enter chooses the day of the next entry: that of its time, but none before the one
// before, nor before the oldest that is kept.
func (c *change) enter(at place, e *history.Entry, oldest day) error {
	d := max(c.day, dayOf(e.Time), oldest)
	if c.written && c.day == d {
		c.offsets.last = e.Offset
		return nil
	}
	if c.written {
		if err := c.batch.Set(dayKey(at, c.day), c.offsets.encode(), nil); err != nil {
			return err
		}
	}
	c.day, c.written, c.offsets = d, true, rangeOf{e.Offset, e.Offset}
	return nil
}

// row is an entry with the day that it is written to.
type row struct {
	*history.Entry
	day day
}

// keys makes the keys of entries, in memory that it uses again.
type keys struct {
	generation uint32
	key        []byte
	head       [maxEntryHead]byte
}

// set adds entries to a batch, and to their conversations. What it adds cannot fail before
// the batch is committed.
//
// It adds them in the order of their keys, but for days and the lengths of ids. Pebble looks for the place of a key in its
// memtable from that of the key before, which is near then, and that is most of what a
// write costs.
func (k *keys) set(batch *pebble.Batch, rows []row) {
	slices.SortFunc(rows, func(a, b row) int {
		if order := bytes.Compare(a.User, b.User); order != 0 {
			return order
		}
		return cmp.Compare(a.Offset, b.Offset)
	})
	for i := range rows {
		r := &rows[i]
		k.key = appendOffset(appendUser(k.key[:0], kindEntry, r.day, k.generation, r.User), r.Offset)
		head := appendEntryHead(k.head[:0], r.Entry)
		op := batch.SetDeferred(len(k.key), len(head)+len(r.Value))
		copy(op.Key, k.key)
		copy(op.Value[copy(op.Value, head):], r.Value)
		_ = op.Finish() // of a batch without an index it is nil
	}
	for i := range rows {
		r := &rows[i]
		for _, peer := range r.Peers {
			k.key = appendUser(k.key[:0], kindPeer, r.day, k.generation, r.User)
			k.key = appendOffset(appendID(k.key, peer), r.Offset)
			op := batch.SetDeferred(len(k.key), 0)
			copy(op.Key, k.key)
			_ = op.Finish()
		}
	}
}

// erase deletes what users have in a partition. All of it is older than the erasures,
// which are not applied yet.
func (s *Store) erase(batch *pebble.Batch, at place, users map[string]int64) (err error) {
	if len(users) == 0 {
		return nil
	}
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	days, err := daysOf(it, at)
	if err != nil {
		return err
	}
	it.SetBounds(nil, nil)
	var start, end []byte
	for user := range users {
		for _, d := range days {
			start = appendUser(start[:0], kindEntry, d.day, at.generation, []byte(user))
			if !it.SeekPrefixGE(start) {
				if err := it.Error(); err != nil {
					return err
				}
				continue
			}
			for _, kind := range []byte{kindEntry, kindPeer} {
				start = appendUser(start[:0], kind, d.day, at.generation, []byte(user))
				end = after(end[:0], start)
				if err := batch.DeleteRange(start, end, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
