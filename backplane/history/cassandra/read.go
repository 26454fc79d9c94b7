package cassandra

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane/history"
)

// Read answers a query, as far as the partition is applied.
func (s *Store) Read(ctx context.Context, q *history.Query) (history.Page, error) {
	ctx, cancel := s.begin(ctx)
	defer cancel()
	page, err := s.read(ctx, q)
	return page, s.fail("read", err)
}

func (s *Store) read(ctx context.Context, q *history.Query) (history.Page, error) {
	set, err := s.settings(ctx)
	if err != nil {
		return history.Page{}, err
	}
	// The position comes first: what it promises was written before it, so that whatever
	// is read after it shows that.
	at := place{q.Generation, q.Partition}
	pos, err := s.position(ctx, at, q.Before-1)
	if err != nil {
		return history.Page{}, err
	}
	floor, err := s.floor(ctx, set, at, pos)
	if err != nil {
		return history.Page{}, err
	}
	r := &reader{Query: q, store: s, first: max(q.After, floor) + 1, last: min(q.Before-1, pos.offset)}
	if r.first > r.last {
		return history.Page{}, nil
	}
	if err := r.begin(ctx); err != nil {
		return history.Page{}, err
	}
	return r.page(ctx)
}

// reader answers one query. It belongs to the goroutine of its Read, but for look.
type reader struct {
	*history.Query
	store *Store
	// first and last are the range of offsets, both inclusive.
	first, last int64
	// buckets are the next ones to look into, in the order of the answer; further says that
	// there may be more, from the bucket next on.
	buckets []int64
	further bool
	next    int64
}

// begin learns what is erased and the first buckets.
func (r *reader) begin(ctx context.Context) error {
	r.further, r.next = true, bucketOf(r.first)
	if r.Backward {
		r.next = bucketOf(r.last)
	}
	erased := int64(-1)
	var unknown error
	var wg sync.WaitGroup
	wg.Go(func() {
		err := r.store.session.Query(r.store.cql.selectErasure, r.User, int64(r.Generation)).ScanContext(ctx, &erased)
		if !errors.Is(err, gocql.ErrNotFound) {
			unknown = err
		}
	})
	err := r.moreBuckets(ctx)
	wg.Wait()
	r.first = max(r.first, erased+1)
	r.buckets = slices.DeleteFunc(r.buckets, func(bucket int64) bool { return bucket < bucketOf(r.first) })
	return cmp.Or(err, unknown)
}

// moreBuckets asks for the next buckets of the range.
func (r *reader) moreBuckets(ctx context.Context) error {
	from, to := bucketOf(r.first), bucketOf(r.last)
	if r.Backward {
		to = r.next
	} else {
		from = r.next
	}
	rows := r.store.session.Query(r.store.cql.bucketsInRange[r.Backward],
		r.User, int64(r.Generation), notNull(r.Peer), from, to, bucketPage).IterContext(ctx).Scanner()
	n := 0
	for rows.Next() {
		var bucket int64
		if err := rows.Scan(&bucket); err != nil {
			return err
		}
		r.buckets = append(r.buckets, bucket)
		r.next = bucket + 1
		if r.Backward {
			r.next = bucket - 1
		}
		n++
	}
	r.further = n == bucketPage
	return rows.Err()
}

// page looks into bucket after bucket until the page is full. It looks into several at
// once when one does not fill it.
func (r *reader) page(ctx context.Context) (history.Page, error) {
	var page history.Page
	size := 0
	for width := 1; r.first <= r.last; width = min(2*width, maxParallel) {
		if len(r.buckets) == 0 && r.further {
			if err := r.moreBuckets(ctx); err != nil {
				return history.Page{}, err
			}
		}
		if len(r.buckets) == 0 {
			break
		}
		now := r.buckets[:min(width, len(r.buckets))]
		r.buckets = r.buckets[len(now):]
		found := make([][]history.Entry, len(now))
		errs := make([]error, len(now))
		var wg sync.WaitGroup
		for i, bucket := range now {
			wg.Go(func() { found[i], errs[i] = r.look(ctx, bucket, r.Limit-len(page.Entries), r.Bytes-size) })
		}
		wg.Wait()
		if err := cmp.Or(errs...); err != nil {
			return history.Page{}, err
		}
		for _, entries := range found {
			for _, e := range entries {
				page.Entries = append(page.Entries, e)
				size += len(e.Value)
				if len(page.Entries) >= r.Limit || size >= r.Bytes {
					page.More = true
					return page, nil
				}
			}
		}
	}
	return page, nil
}

// look returns entries of a bucket, as many as there are or until one of the limits is
// reached.
func (r *reader) look(ctx context.Context, bucket int64, limit, bytes int) ([]history.Entry, error) {
	var found []history.Entry
	after, before := r.first-1, r.last+1
	for {
		want := min(limit-len(found), chunkRows)
		chunk, end, n, err := r.chunk(ctx, bucket, after, before, want)
		if err != nil {
			return nil, err
		}
		for _, e := range chunk {
			if e.Expires > 0 && r.Now >= e.Expires {
				continue
			}
			found = append(found, e)
			if bytes -= len(e.Value); bytes <= 0 {
				return found, nil
			}
		}
		if n < want || len(found) >= limit {
			return found, nil
		}
		if r.Backward {
			before = end
		} else {
			after = end
		}
	}
}

// chunk returns the next entries of a bucket, and how many rows it saw up to which
// offset: with a peer, these are those of the conversation.
func (r *reader) chunk(ctx context.Context, bucket, after, before int64, want int) (entries []history.Entry, end int64, n int, err error) {
	s, generation := r.store, int64(r.Generation)
	if len(r.Peer) == 0 {
		entries, err = r.scan(s.session.Query(s.cql.entriesInRange[r.Backward], r.User, generation, bucket, after, before, want).IterContext(ctx))
		if len(entries) > 0 {
			end = entries[len(entries)-1].Offset
		}
		return entries, end, len(entries), err
	}
	var offsets []int64
	rows := s.session.Query(s.cql.peerInRange[r.Backward], r.User, generation, r.Peer, bucket, after, before, want).IterContext(ctx).Scanner()
	for rows.Next() {
		if err := rows.Scan(&end); err != nil {
			return nil, 0, 0, err
		}
		offsets = append(offsets, end)
	}
	if err := rows.Err(); err != nil || len(offsets) == 0 {
		return nil, 0, 0, err
	}
	entries, err = r.scan(s.session.Query(s.cql.entriesAt[r.Backward], r.User, generation, bucket, offsets).IterContext(ctx))
	return entries, end, len(offsets), err
}

func (r *reader) scan(iter *gocql.Iter) ([]history.Entry, error) {
	var entries []history.Entry
	rows := iter.Scanner()
	for rows.Next() {
		e := history.Entry{User: r.User}
		if err := rows.Scan(&e.Offset, &e.Time, &e.Expires, &e.Value); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}
