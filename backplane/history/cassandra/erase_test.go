package cassandra_test

import (
	"fmt"
	"testing"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
)

// raw is a session beside the store's.
func raw(t testing.TB, cfg cassandra.Config) *gocql.Session {
	t.Helper()
	c := gocql.NewCluster(cfg.Hosts...)
	c.Keyspace = cfg.Keyspace
	c.Timeout = patience
	s, err := c.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// count returns how many rows a table has.
func count(t testing.TB, s *gocql.Session, table string) (n int) {
	t.Helper()
	if err := s.Query("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func erasure(offset int64) *history.Batch {
	b := batch(offset, t0+offset)
	b.Erasures = []history.Erasure{{User: []byte("alice"), Offset: offset}}
	return b
}

// testEraseDeletes: an erasure leaves nothing behind, nor do replays of what it erased.
func testEraseDeletes(t *testing.T, cfg cassandra.Config) {
	s, direct := empty(t, cfg), raw(t, cfg)
	const size = cassandra.BucketSize
	first := batch(2*size, t0+5, entry(1, t0), entry(2, t0+1), entry(size, t0+2), entry(2*size, t0+5))
	first.Entries[1].Peers = append(first.Entries[1].Peers, []byte("carol"))
	other := entry(3, t0+1)
	other.User = []byte("dave")
	first.Entries = append(first.Entries[:2], append([]history.Entry{other}, first.Entries[2:]...)...)
	write(t, s, first)
	erase := erasure(2*size + 1)
	rest := batch(2*size+2, erase.Applied.Time, entry(2*size+2, t0+6))
	left := func(what string) {
		t.Helper()
		// Of alice, what came after the erasure, and the bucket of it; and all of dave.
		for table, want := range map[string]int{"timeline": 2, "conversation": 2, "bucket": 4, "erasure": 1} {
			expect(t, what+": rows of "+table, count(t, direct, table), want)
		}
		expect(t, what, offsets(t, s, newest()), []int64{2*size + 2})
	}
	write(t, s, erase)
	write(t, s, rest)
	left("erased")
	write(t, s, first)
	left("replayed")
	again := open(t, cfg) // which does not remember what is written
	write(t, again, first)
	// The replay has written the old buckets again; the erasure's replay, which must follow,
	// deletes them again.
	write(t, again, erase)
	write(t, again, rest)
	left("replayed by another process")
}

// testLateWriter: a process that has lost its partition, and does not know, writes on.
func testLateWriter(t *testing.T, cfg cassandra.Config) {
	late, s := empty(t, cfg), open(t, cfg)
	old := []*history.Batch{
		batch(3, t0+3, entry(1, t0+1), entry(3, t0+3)),
		batch(6, t0+6, entry(4, t0+4), entry(6, t0+6)),
		batch(9, t0+9, entry(8, t0+8), entry(9, t0+9)),
	}
	write(t, late, old[0])
	write(t, s, old[1])
	write(t, s, erasure(7))
	write(t, s, batch(9, t0+9, old[2].Entries...))
	write(t, s, batch(12, t0+2*day, entry(12, t0+2*day)))
	want := history.Applied{Offset: 12, Time: t0 + 2*day, Floor: -1}
	for i, b := range old {
		write(t, late, b)
		for name, store := range map[string]*cassandra.Store{"late": late, "other": s} {
			expect(t, fmt.Sprintf("%s: batch %d: applied", name, i), applied(t, store), want)
			expect(t, fmt.Sprintf("%s: batch %d", name, i), offsets(t, store, newest()), []int64{12, 9, 8})
		}
	}
	if err := s.Trim(t.Context(), t0+day); err != nil {
		t.Fatal(err)
	}
	write(t, late, batch(11, t0+2*day, old[2].Entries...))
	want.Floor = 9
	expect(t, "trimmed", applied(t, late), want)
}
