package cassandra

import (
	"math"

	"github.com/godwit-im/godwit/backplane"
)

// dayMS is a day in milliseconds. Days are those of UTC, counted from 1970.
const dayMS = 24 * 3600 * 1000

// noDay is before all days.
const noDay = math.MinInt64

// dayOf returns the day of a moment in Unix milliseconds.
func dayOf(ms int64) int64 {
	day := ms / dayMS
	if ms%dayMS < 0 {
		day--
	}
	return day
}

// bucketOf returns the bucket of an offset that is not negative.
func bucketOf(offset int64) int64 { return offset / bucketSize }

// sliceOf returns the slice of a partition.
func sliceOf(p backplane.Partition) int32 { return int32(p) / sliceSize }

// leastWins is a write time that is greater for a smaller offset (and far from what any
// clock says), so that of two writes of a row the smaller offset stays.
func leastWins(offset int64) int64 { return 1<<50 - offset }

// greatestWins is a write time that is greater for a greater offset.
func greatestWins(offset int64) int64 { return offset + 1 }

// micros returns the write time, in microseconds, that stands for a log time in
// milliseconds.
func micros(ms int64) int64 { return ms * 1000 }
