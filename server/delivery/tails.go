package delivery

import (
	"sync/atomic"

	"github.com/godwit-im/godwit/backplane"
)

// Tails says for each partition how far its dispatch worker has come. The worker
// notes a record here before it asks the registry who is here; a session that
// joins registers first and reads the tail's end after that. So a record at or
// below the end that a session has read may or may not reach it, and the session
// ignores it; a record beyond that end finds the session registered. Neither is
// missed, and none comes twice.
type Tails struct {
	generation uint32
	end        []atomic.Int64
}

// NewTails returns the tails of n partitions, none of which has a record yet.
func NewTails(generation uint32, n int32) *Tails {
	t := &Tails{generation: generation, end: make([]atomic.Int64, n)}
	for i := range t.end {
		t.end[i].Store(-1)
	}
	return t
}

// End returns the position of the last record that the worker of p has taken, or,
// before the first, of the record before it.
func (t *Tails) End(p backplane.Partition) backplane.Position {
	return backplane.Position{Generation: t.generation, Partition: p, Offset: t.end[p].Load()}
}

// Advance notes that everything up to offset has been taken.
func (t *Tails) Advance(p backplane.Partition, offset int64) { t.end[p].Store(offset) }
