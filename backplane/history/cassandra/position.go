package cassandra

import (
	"context"
	"errors"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// position is a row of the table applied.
type position struct {
	offset int64 // -1 for none
	time   int64
	lost   int64 // see history.Batch.Lost
}

// nowhere is the position of a partition of which nothing is applied.
var nowhere = position{offset: -1}

// day returns the day that the log had reached there, noDay for none.
func (p position) day() int64 {
	if p.offset < 0 {
		return noDay
	}
	return dayOf(p.time)
}

// row makes a position of what may be null: a batch that says what was lost writes that
// before its offset.
func (p *position) row(offset, time, lost *int64) {
	*p = nowhere
	if offset == nil || time == nil {
		return
	}
	p.offset, p.time = *offset, *time
	if lost != nil {
		p.lost = *lost
	}
}

// Applied returns how far the store has come in each of the first n partitions.
func (s *Store) Applied(ctx context.Context, generation uint32, n int32) ([]history.Applied, error) {
	ctx, cancel := s.begin(ctx)
	defer cancel()
	set, err := s.refresh(ctx)
	if err != nil {
		return nil, s.fail("applied", err)
	}
	positions := make([]position, n)
	for p := range positions {
		positions[p] = nowhere
	}
	if n > 0 {
		g := s.group(ctx)
		for slice := int32(0); slice <= sliceOf(n-1); slice++ {
			g.run(func(ctx context.Context) error { return s.readSlice(ctx, generation, slice, positions) })
		}
		if err := g.wait(); err != nil {
			return nil, s.fail("applied", err)
		}
	}
	list := make([]history.Applied, n)
	g := s.group(ctx)
	for i, pos := range positions {
		at := place{generation, backplane.Partition(i)}
		s.know(at, pos)
		list[i] = history.Applied{Offset: pos.offset, Time: pos.time, Floor: -1}
		if floor, ok := s.knownFloor(set, at, pos); ok {
			list[i].Floor = floor
			continue
		}
		g.run(func(ctx context.Context) (err error) {
			list[i].Floor, err = s.floor(ctx, set, at, pos)
			return err
		})
	}
	if err := g.wait(); err != nil {
		return nil, s.fail("applied", err)
	}
	return list, nil
}

// readSlice fills in the positions of a slice of partitions.
func (s *Store) readSlice(ctx context.Context, generation uint32, slice int32, positions []position) error {
	rows := s.session.Query(s.cql.selectApplied, int64(generation), slice).IterContext(ctx).Scanner()
	for rows.Next() {
		var partition int32
		var offset, time, lost *int64
		if err := rows.Scan(&partition, &offset, &time, &lost); err != nil {
			return err
		}
		if int(partition) < len(positions) {
			positions[partition].row(offset, time, lost)
		}
	}
	return rows.Err()
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
	var offset, time, lost *int64
	err := s.session.Query(s.cql.selectPosition, int64(at.generation), sliceOf(int32(at.partition)), int32(at.partition)).
		ScanContext(ctx, &offset, &time, &lost)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return position{}, err
	}
	pos.row(offset, time, lost)
	s.know(at, pos)
	return pos, nil
}

// know takes note of a position that was read or written.
func (s *Store) know(at place, pos position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.positions[at] = pos
}

// knownFloor returns the floor of a partition that has come to pos, if that can be told
// without asking.
func (s *Store) knownFloor(set *settings, at place, pos position) (int64, bool) {
	cutoff := set.cutoff(s.now().UnixMilli())
	switch {
	case pos.offset < 0:
		return -1, true
	case cutoff == noDay:
		return pos.lost - 1, true
	case pos.day() < cutoff:
		return max(pos.offset, pos.lost-1), true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.cutoff != cutoff {
		return 0, false
	}
	floor, ok := s.mu.floors[at]
	return max(floor, pos.lost-1), ok
}

// floor is knownFloor, and asks if it must.
func (s *Store) floor(ctx context.Context, set *settings, at place, pos position) (int64, error) {
	if floor, ok := s.knownFloor(set, at, pos); ok {
		return floor, nil
	}
	cutoff := set.cutoff(s.now().UnixMilli())
	var floor int64
	err := s.session.Query(s.cql.selectDay, int64(at.generation), int32(at.partition), cutoff).ScanContext(ctx, &floor)
	if errors.Is(err, gocql.ErrNotFound) {
		// A position is written after its day, so somebody has deleted that. What is there
		// cannot be told from what is gone: nothing is promised to be there.
		return pos.offset, nil
	}
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.cutoff != cutoff {
		s.mu.cutoff = cutoff
		clear(s.mu.floors)
	}
	s.mu.floors[at] = floor
	return max(floor, pos.lost-1), nil
}
