package cassandra

import "time"

// BucketSize is for tests that cross the borders of buckets.
const BucketSize = bucketSize

// SetClock makes a store take now for the present. It is called before the store is used.
func (s *Store) SetClock(now func() time.Time) { s.now = now }
