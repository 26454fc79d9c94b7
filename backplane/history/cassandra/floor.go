package cassandra

import (
	"context"
	"errors"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane"
)

// knownFloor returns the floor of a partition that has come to pos, if that can be told
// without asking.
func (s *Store) knownFloor(set *settings, at place, pos position) (int64, bool) {
	cutoff := set.cutoff(s.now().UnixMilli())
	if cutoff == noDay || pos.offset < 0 {
		return pos.floor, true
	}
	if pos.day() < cutoff {
		return max(pos.floor, pos.entry), true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	floor, ok := s.mu.floors[at]
	return max(pos.floor, floor), ok && s.mu.cutoff == cutoff
}

// floor is knownFloor, and asks if it must.
func (s *Store) floor(ctx context.Context, set *settings, at place, pos position) (int64, error) {
	if floor, ok := s.knownFloor(set, at, pos); ok {
		return floor, nil
	}
	cutoff := set.cutoff(s.now().UnixMilli())
	floor, err := s.lastBefore(ctx, at, pos, cutoff)
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
	return max(pos.floor, floor), nil
}

// lastBefore returns the last entry of a partition that has come to pos that is of a day
// before the given one, -1 for none.
func (s *Store) lastBefore(ctx context.Context, at place, pos position, day int64) (int64, error) {
	if pos.day() < day {
		return pos.entry, nil
	}
	var last int64
	err := s.session.Query(s.cql.selectDay, int64(at.generation), int32(at.partition), day).ScanContext(ctx, &last)
	if errors.Is(err, gocql.ErrNotFound) {
		// A position is written after its day, so somebody has deleted that. What is there
		// cannot be told from what is gone: nothing is promised to be there.
		return pos.entry, nil
	}
	return last, err
}

// Trim hides what came before the day, in UTC, of a moment in Unix milliseconds: it
// moves the floors, and leaves it to the retention to give the space back. It may be
// called by several processes at once.
func (s *Store) Trim(ctx context.Context, before int64) error {
	return s.fail("trim", s.trim(ctx, dayOf(before)))
}

func (s *Store) trim(ctx context.Context, day int64) error {
	g := s.group(ctx)
	rows := s.session.Query(s.cql.selectAll).IterContext(ctx).Scanner()
	for rows.Next() {
		var c columns
		var generation int64
		var partition int32
		if err := rows.Scan(&c[0], &c[1], &c[2], &c[3], &generation, &partition); err != nil {
			g.fail(err)
			break
		}
		at, pos := place{uint32(generation), backplane.Partition(partition)}, c.position()
		g.run(func(ctx context.Context) error {
			floor, err := s.lastBefore(ctx, at, pos, day)
			if err != nil || floor <= pos.floor {
				return err
			}
			if err := s.setPosition(ctx, at, position{offset: -1, time: -1, entry: -1, floor: floor}); err != nil {
				return err
			}
			pos.floor = floor
			s.know(at, pos)
			return nil
		})
	}
	if err := rows.Err(); err != nil {
		g.fail(err)
	}
	return g.wait()
}
