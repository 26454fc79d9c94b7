package server

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// lasts has the log times of the last records of partitions in milliseconds: 0 where there is
// none, less where the log does not tell.
type lasts []int64

func (l lasts) Bounds(ctx context.Context, p backplane.Partition) (first, end int64, err error) {
	switch ms := l[p]; {
	case ms < 0:
		<-ctx.Done()
		return 0, 0, ctx.Err()
	case ms == 0:
		return 7, 7, nil
	}
	return 3, 9, nil
}

func (l lasts) Scan(_ context.Context, p backplane.Partition, from, to int64, each func(*backplane.Record) bool) error {
	if from != 8 || to != 9 {
		return errors.New("that is not the last record")
	}
	each(&backplane.Record{Time: l[p]})
	return nil
}

// TestRecent: partitions are read from Rewind before their last records on, however far ahead
// the node's own clock is, and whatever the log does not tell.
func TestRecent(t *testing.T) {
	const now, day, silent = 1_700_000_000_000, 24 * 60 * 60 * 1000, -1
	for name, c := range map[string]struct{ last, want lasts }{
		"clocks agree":                 {lasts{now - 5, now}, lasts{now - 5, now}},
		"the node's is ahead":          {lasts{now - day, now - day - 9}, lasts{now - day, now - day - 9}},
		"the node's is behind":         {lasts{now + day, now}, lasts{now, now}},
		"a partition is empty":         {lasts{0, now - day}, lasts{0, now - day}},
		"all are empty":                {lasts{0, 0}, lasts{0, 0}},
		"the log does not tell of one": {lasts{silent, now - day, now - 2*day}, lasts{now - day, now - day, now - 2*day}},
		"the log tells nothing":        {lasts{silent, silent}, lasts{now, now}},
		"one is empty, one silent":     {lasts{0, silent}, lasts{0, now}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // the log is waited for
			var partitions []backplane.Partition
			want := make(map[backplane.Partition]int64)
			for p, ms := range c.want {
				partitions = append(partitions, backplane.Partition(p))
				want[backplane.Partition(p)] = ms - backplane.Rewind.Milliseconds()
			}
			if got := recent(t.Context(), c.last, partitions, time.UnixMilli(now)); !maps.Equal(got, want) {
				t.Errorf("they are read from %v on, want %v", got, want)
			}
		})
	}
}
