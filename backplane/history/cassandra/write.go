package cassandra

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/godwit-im/godwit/backplane/history"
)

// Write applies a batch. It goes on as long as Cassandra answers, and fails within the
// configured time of the first statement that it does not answer.
func (s *Store) Write(ctx context.Context, b *history.Batch) error {
	return s.fail("write", s.apply(ctx, b))
}

func (s *Store) apply(ctx context.Context, b *history.Batch) error {
	set, err := s.settings(ctx)
	if err != nil {
		return err
	}
	at := place{b.Generation, b.Partition}
	pos, err := s.position(ctx, at, -1)
	if err != nil {
		return err
	}
	day := dayOf(b.Applied.Time)
	if day > pos.day() {
		// Another process may have come further since pos was read, and begun the day.
		if pos, err = s.readPosition(ctx, at); err != nil {
			return err
		}
	}
	w := &batchWriter{Batch: b, store: s, set: set, group: s.group(ctx), day: day, now: s.now().UnixMilli()}
	w.writeDays(pos)
	w.writeErasures()
	w.writeEntries()
	if err := w.group.wait(); err != nil {
		return err
	}
	s.index.put(w.fresh)
	for i := range b.Erasures {
		if err := s.erase(ctx, b, &b.Erasures[i]); err != nil {
			return err
		}
	}
	// Everything up to here is acknowledged; now it may be read.
	next := position{offset: -1, time: -1, entry: -1, floor: b.Lost - 1}
	if b.Applied.Offset > pos.offset {
		next.offset, next.time = b.Applied.Offset, b.Applied.Time
		if n := len(b.Entries); n > 0 {
			next.entry = b.Entries[n-1].Offset
		}
	}
	if err := s.setPosition(ctx, at, next); err != nil {
		return err
	}
	s.know(at, pos.with(next))
	return nil
}

// batchWriter writes what must be there before the position of a batch. It belongs to
// the goroutine of its Write.
type batchWriter struct {
	*history.Batch
	store *Store
	set   *settings
	group *group
	// day is what the log has reached with the batch. No record of it is of a later day, so
	// its rows, which live from the end of this day, do not go before a floor tells it.
	day int64
	now int64 // Unix milliseconds
	// fresh are the rows of the table bucket that were not known to be there.
	fresh []rowKey
}

// writeDays writes down where in the partition days begin: for each day that the log
// reaches with the batch, the last entry of the days before. A replay whose batches end
// elsewhere may learn late that a day has begun, and take an entry of that day for one
// of those before; so the least stays.
func (w *batchWriter) writeDays(pos position) {
	reached, last := pos.day(), pos.entry
	begin := func(day int64) {
		if day <= reached {
			return
		}
		reached = day
		if ttl, ok := w.set.ttl(day, 0, w.now); ok {
			w.group.write(w.store.cql.insertDay, [][]any{{
				int64(w.Generation), int32(w.Partition), day, last, leastWins(last), ttl,
			}})
		}
	}
	for i := range w.Entries {
		begin(dayOf(w.Entries[i].Time))
		last = max(last, w.Entries[i].Offset)
	}
	begin(w.day)
}

// writeErasures hides what is to be erased. A marker outlives what it hides.
func (w *batchWriter) writeErasures() {
	for i := range w.Erasures {
		e := &w.Erasures[i]
		if ttl, ok := w.set.ttl(w.day+1, 0, w.now); ok {
			w.group.write(w.store.cql.setErasure, [][]any{{e.User, int64(w.Generation), e.Offset, greatestWins(e.Offset), ttl}})
		}
	}
}

// writeEntries writes the timelines and the conversations, rows of one Cassandra
// partition together.
func (w *batchWriter) writeEntries() {
	ttl, ok := w.set.ttl(w.day, 0, w.now)
	if !ok {
		return
	}
	type message struct {
		*history.Entry
		peer []byte
		ttl  int
	}
	var timeline, conversation []message
	for i := range w.Entries {
		e := &w.Entries[i]
		ttl, ok := w.set.ttl(w.day, e.Expires, w.now)
		if !ok {
			continue
		}
		timeline = append(timeline, message{Entry: e, ttl: ttl})
		for _, peer := range e.Peers {
			conversation = append(conversation, message{e, peer, ttl})
		}
	}
	byPlace := func(a, b message) int {
		return cmp.Or(bytes.Compare(a.User, b.User), bytes.Compare(a.peer, b.peer), cmp.Compare(a.Offset, b.Offset))
	}
	generation := int64(w.Generation)
	for _, list := range [][]message{timeline, conversation} {
		slices.SortFunc(list, byPlace)
		var rows [][]any
		size := 0
		for i, m := range list {
			bucket := bucketOf(m.Offset)
			if i == 0 || !bytes.Equal(m.User, list[i-1].User) || !bytes.Equal(m.peer, list[i-1].peer) || bucket != bucketOf(list[i-1].Offset) {
				w.writeBucket(m.User, m.peer, bucket, ttl)
			}
			var stmt string
			if m.peer == nil {
				stmt = w.store.cql.insertEntry
				rows = append(rows, []any{m.User, generation, bucket, m.Offset, m.Time, m.Expires, m.Value, micros(m.Time), m.ttl})
			} else {
				stmt = w.store.cql.insertPeer
				rows = append(rows, []any{m.User, generation, m.peer, bucket, m.Offset, micros(m.Time), m.ttl})
			}
			size += len(m.Value)
			if i+1 < len(list) && len(rows) < batchRows && size < batchBytes {
				next := list[i+1]
				if bytes.Equal(m.User, next.User) && bytes.Equal(m.peer, next.peer) && bucket == bucketOf(next.Offset) {
					continue
				}
			}
			w.group.write(stmt, rows)
			rows, size = nil, 0
		}
	}
}

// writeBucket writes that a bucket exists, unless that is known to be written on this day.
func (w *batchWriter) writeBucket(user, peer []byte, bucket int64, ttl int) {
	k := w.store.index.key(w.Generation, user, peer, bucket, w.day)
	if w.store.index.has(k) {
		return
	}
	w.fresh = append(w.fresh, k)
	w.group.write(w.store.cql.insertBucket, [][]any{{user, int64(w.Generation), notNull(peer), bucket, micros(w.day * dayMS), ttl}})
}

// erase deletes what an erasure hides, which is marked already, and then the buckets
// that nothing more can come into. It has the write time of the batch's end, which is
// no earlier than that of any row up to the erasure.
func (s *Store) erase(ctx context.Context, b *history.Batch, e *history.Erasure) error {
	generation, at := int64(b.Generation), micros(b.Applied.Time)
	g := s.group(ctx)
	rows := s.session.Query(s.cql.selectBuckets, e.User, generation).IterContext(ctx).Scanner()
	for rows.Next() {
		var peer []byte
		var bucket int64
		if err := rows.Scan(&peer, &bucket); err != nil {
			g.fail(err)
			break
		}
		if bucket > bucketOf(e.Offset) {
			continue
		}
		g.run(func(ctx context.Context) error {
			var err error
			if len(peer) == 0 {
				err = s.session.Query(s.cql.deleteEntries, at, e.User, generation, bucket, e.Offset).ExecContext(ctx)
			} else {
				err = s.session.Query(s.cql.deletePeer, at, e.User, generation, peer, bucket, e.Offset).ExecContext(ctx)
			}
			if err != nil || bucket == bucketOf(e.Offset) {
				return err
			}
			return s.session.Query(s.cql.deleteBucket, at, e.User, generation, notNull(peer), bucket).ExecContext(ctx)
		})
	}
	if err := rows.Err(); err != nil {
		g.fail(err)
	}
	return g.wait()
}
