package cassandra

import (
	"context"
	"errors"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// position is a row of the table applied. Each of its columns only grows.
type position struct {
	offset int64 // of the last record applied; -1 for none
	time   int64 // the highest log time
	entry  int64 // the offset of the last entry, gone or not; -1 for none
	floor  int64 // what the log lost or Trim took; -1 for nothing
}

// nowhere is the position of a partition of which nothing is applied.
var nowhere = position{offset: -1, entry: -1, floor: -1}

// with returns the greater of each.
func (p position) with(q position) position {
	return position{max(p.offset, q.offset), max(p.time, q.time), max(p.entry, q.entry), max(p.floor, q.floor)}
}

// day returns the day that the log had reached there, noDay for none.
func (p position) day() int64 {
	if p.offset < 0 {
		return noDay
	}
	return dayOf(p.time)
}

// columns are where the columns of a position are scanned to: offset, time, entry and
// floor, any of which may be null.
type columns [4]*int64

func (c *columns) position() position {
	p := nowhere
	for i, to := range []*int64{&p.offset, &p.time, &p.entry, &p.floor} {
		if c[i] != nil {
			*to = *c[i]
		}
	}
	return p
}

// setPosition writes what is greater in pos than in the store, and leaves out what is
// negative. It is one mutation.
func (s *Store) setPosition(ctx context.Context, at place, pos position) error {
	b := s.session.Batch(gocql.UnloggedBatch)
	b.SetKeyspace(s.cfg.Keyspace) // for the choice of the node
	set := func(stmt string, value int64) {
		if value < 0 {
			return
		}
		b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: stmt, Idempotent: true, Args: []any{
			greatestWins(value), value, int64(at.generation), sliceOf(at.partition), int32(at.partition),
		}})
	}
	set(s.cql.setOffset, pos.offset)
	set(s.cql.setTime, pos.time)
	set(s.cql.setEntry, pos.entry)
	set(s.cql.setFloor, pos.floor)
	if len(b.Entries) == 0 {
		return nil
	}
	return b.ExecContext(ctx)
}

// position returns the position of a partition, which may be an older one if that is
// at or beyond an offset.
func (s *Store) position(ctx context.Context, at place, beyond int64) (position, error) {
	s.mu.Lock()
	pos, ok := s.mu.positions[at]
	s.mu.Unlock()
	if ok && pos.offset >= beyond {
		return pos, nil
	}
	return s.readPosition(ctx, at)
}

func (s *Store) readPosition(ctx context.Context, at place) (position, error) {
	var c columns
	err := s.session.Query(s.cql.selectPosition, int64(at.generation), sliceOf(at.partition), int32(at.partition)).
		ScanContext(ctx, &c[0], &c[1], &c[2], &c[3])
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return position{}, err
	}
	s.know(at, c.position())
	return c.position(), nil
}

// know takes note of a position that was read or written. It may be older than what was
// known: then it is asked for again, where that matters.
func (s *Store) know(at place, pos position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.positions[at] = pos
}

// Applied returns how far the store has come in each of the first n partitions.
func (s *Store) Applied(ctx context.Context, generation uint32, n int32) ([]history.Applied, error) {
	ctx, cancel := s.begin(ctx)
	defer cancel()
	list, err := s.applied(ctx, generation, n)
	return list, s.fail("applied", err)
}

func (s *Store) applied(ctx context.Context, generation uint32, n int32) ([]history.Applied, error) {
	set, err := s.refresh(ctx)
	if err != nil {
		return nil, err
	}
	positions := make([]position, n)
	for p := range positions {
		positions[p] = nowhere
	}
	g := s.group(ctx)
	for from := int32(0); from < n; from += sliceSize {
		g.run(func(ctx context.Context) error {
			return s.readSlice(ctx, generation, sliceOf(backplane.Partition(from)), positions)
		})
	}
	if err := g.wait(); err != nil {
		return nil, err
	}
	list := make([]history.Applied, n)
	g = s.group(ctx)
	for i, pos := range positions {
		at := place{generation, backplane.Partition(i)}
		s.know(at, pos)
		floor, ok := s.knownFloor(set, at, pos)
		list[i] = history.Applied{Offset: pos.offset, Time: pos.time, Floor: floor}
		if !ok {
			g.run(func(ctx context.Context) (err error) {
				list[i].Floor, err = s.floor(ctx, set, at, pos)
				return err
			})
		}
	}
	return list, g.wait()
}

// readSlice fills in the positions of a slice of partitions.
func (s *Store) readSlice(ctx context.Context, generation uint32, slice int32, positions []position) error {
	rows := s.session.Query(s.cql.selectApplied, int64(generation), slice).IterContext(ctx).Scanner()
	for rows.Next() {
		var c columns
		var partition int32
		if err := rows.Scan(&c[0], &c[1], &c[2], &c[3], &partition); err != nil {
			return err
		}
		if int(partition) < len(positions) {
			positions[partition] = c.position()
		}
	}
	return rows.Err()
}
