package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/backplane/history"
)

// checkEvery is how many entries are looked at between two looks at the context.
const checkEvery = 256

// Read implements history.Store.
func (s *Store) Read(ctx context.Context, q *history.Query) (history.Page, error) {
	if err := ctx.Err(); err != nil {
		return history.Page{}, err
	}
	if err := s.begin(); err != nil {
		return history.Page{}, err
	}
	defer s.done()
	if len(q.User) > maxID || len(q.Peer) > maxID || q.Before <= q.After+1 {
		return history.Page{}, nil
	}
	return s.read(ctx, q)
}

func (s *Store) read(ctx context.Context, q *history.Query) (page history.Page, err error) {
	defer s.guard(&err)
	r := reader{ctx: ctx, q: q}
	if r.it, err = s.db.NewIter(nil); err != nil {
		return page, err
	}
	defer func() { err = errors.Join(err, r.it.Close()) }()
	if len(q.Peer) > 0 {
		// Both look at the same moment.
		if r.entries, err = r.it.Clone(pebble.CloneOptions{}); err != nil {
			return page, err
		}
		defer func() { err = errors.Join(err, r.entries.Close()) }()
	}
	days, err := daysOf(r.it, place{q.Generation, q.Partition})
	if err != nil {
		return page, err
	}
	if q.Backward {
		slices.Reverse(days)
	}
	for _, d := range days {
		if d.last <= q.After || d.first >= q.Before {
			continue
		}
		if err := r.readDay(d.day); err != nil {
			return history.Page{}, err
		}
		if r.page.More {
			break
		}
	}
	return r.page, nil
}

// dayRange is a day of a partition, and what it has on it.
type dayRange struct {
	day day
	rangeOf
}

// daysOf returns the days of a partition, the oldest first. It leaves bounds set.
func daysOf(it *pebble.Iterator, at place) ([]dayRange, error) {
	start := appendPlace(nil, kindDay, at)
	it.SetBounds(start, after(nil, start))
	var days []dayRange
	for it.First(); it.Valid(); it.Next() {
		d, err := parseDay(it.Key())
		if err != nil {
			return nil, err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		r, err := parseRange(value)
		if err != nil {
			return nil, err
		}
		days = append(days, dayRange{d, r})
	}
	return days, it.Error()
}

// reader answers a query, day by day.
type reader struct {
	ctx context.Context
	q   *history.Query
	it  *pebble.Iterator // over the entries of the user, or of a conversation
	// entries is an iterator over entries for a query of a conversation, nil otherwise.
	entries *pebble.Iterator
	page    history.Page
	bytes   int
	looked  int

	prefix, lower, upper, key []byte
}

// readDay adds the entries of a day to the page, until it is full.
func (r *reader) readDay(d day) error {
	q := r.q
	r.prefix = appendUser(r.prefix[:0], kindEntry, d, q.Generation, q.User)
	r.key = append(r.key[:0], r.prefix...)
	if r.entries != nil {
		r.prefix[0] = kindPeer
		r.prefix = appendID(r.prefix, q.Peer)
	}
	r.lower = appendOffset(append(r.lower[:0], r.prefix...), q.After+1)
	r.upper = appendOffset(append(r.upper[:0], r.prefix...), q.Before)
	r.it.SetBounds(r.lower, r.upper)
	step := r.it.Next
	ok := r.it.SeekPrefixGE(r.lower) // the filters are asked only here
	if ok && q.Backward {
		ok, step = r.it.Last(), r.it.Prev
	}
	for ; ok && !r.page.More; ok = step() {
		if r.looked++; r.looked%checkEvery == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		if err := r.take(); err != nil {
			return err
		}
	}
	return r.it.Error()
}

// take adds the entry that the iterator is at to the page, unless it is hidden.
func (r *reader) take() error {
	e := history.Entry{User: r.q.User}
	var err error
	if e.Offset, err = parseOffset(r.it.Key(), len(r.prefix)); err != nil {
		return err
	}
	value, err := r.value(e.Offset)
	if err != nil {
		return err
	}
	if err := parseEntry(value, &e); err != nil {
		return err
	}
	if e.Expires != 0 && r.q.Now >= e.Expires {
		return nil
	}
	e.Value = slices.Clone(e.Value)
	r.page.Entries = append(r.page.Entries, e)
	r.bytes += len(e.Value)
	r.page.More = len(r.page.Entries) >= r.q.Limit || r.bytes >= r.q.Bytes
	return nil
}

// value returns the value of the entry at an offset of the day.
func (r *reader) value(offset int64) ([]byte, error) {
	if r.entries == nil {
		return r.it.ValueAndErr()
	}
	user := len(r.prefix) - 1 - len(r.q.Peer)
	r.key = appendOffset(r.key[:user], offset)
	if !r.entries.SeekGE(r.key) || !bytes.Equal(r.entries.Key(), r.key) {
		if err := r.entries.Error(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: a conversation has an entry at %d that is not there", errValue, offset)
	}
	return r.entries.ValueAndErr()
}
