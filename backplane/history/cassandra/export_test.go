package cassandra

import (
	"time"

	"github.com/godwit-im/godwit/backplane/history"
)

// BucketSize and ChunkRows are for tests that cross their borders.
const (
	BucketSize = bucketSize
	ChunkRows  = chunkRows
)

// SetClock makes a store take now for the present. It is called before the store is used.
func (s *Store) SetClock(now func() time.Time) { s.now = now }

// Rows returns the statements, with their arguments, that write the entries of a batch
// one by one.
func (s *Store) Rows(b *history.Batch) (rows [][]any) {
	for i := range b.Entries {
		e := &b.Entries[i]
		generation, bucket := int64(b.Generation), bucketOf(e.Offset)
		rows = append(rows, []any{s.cql.insertEntry, e.User, generation, bucket, e.Offset, e.Time, e.Expires, e.Value, micros(e.Time), 0})
		for _, p := range e.Peers {
			rows = append(rows, []any{s.cql.insertPeer, e.User, generation, p, bucket, e.Offset, micros(e.Time), 0})
		}
	}
	return rows
}
