package cassandra_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/cassandratest"
	"github.com/godwit-im/godwit/backplane/history/historytest"
)

const (
	generation = 7
	partition  = backplane.Partition(70) // not in the first slice
	partitions = 130
	day        = int64(24 * 3600 * 1000)
	t0         = 1_790_000_000_000 / day * day // the beginning of a day
)

// TestStore runs what needs a keyspace, all of it in one: to empty the tables is quicker
// than to make others.
func TestStore(t *testing.T) {
	t.Parallel()
	cfg := cassandratest.Config(t)
	t.Run("Conformance", func(t *testing.T) {
		historytest.Run(t, func(t *testing.T) history.Store {
			cfg := cfg
			cfg.Retention = 40 * 24 * time.Hour
			return empty(t, cfg)
		})
	})
	for name, test := range map[string]func(*testing.T, cassandra.Config){
		"Buckets":         testBuckets,
		"Pages":           testPages,
		"Unapplied":       testUnapplied,
		"LateWriter":      testLateWriter,
		"EraseDeletes":    testEraseDeletes,
		"Retention":       testRetention,
		"RetentionRaised": testRetentionRaised,
		"RowsGo":          testRowsGo,
		"DayLost":         testDayLost,
		"ClosedMeanwhile": testClosedMeanwhile,
	} {
		t.Run(name, func(t *testing.T) { test(t, cfg) })
	}
	t.Run("Open", func(t *testing.T) { testOpen(t, cfg) }) // last: it leaves a mark
}

// open opens the store of cfg for as long as the test runs.
func open(t testing.TB, cfg cassandra.Config) *cassandra.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := cassandra.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// empty opens it with nothing in it.
func empty(t testing.TB, cfg cassandra.Config) *cassandra.Store {
	t.Helper()
	s := open(t, cfg)
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// entry is a message from bob to alice.
func entry(offset, time int64) history.Entry {
	return history.Entry{
		User: []byte("alice"), Offset: offset, Time: time,
		Value: fmt.Appendf(nil, "message %d", offset), Peers: [][]byte{[]byte("bob")},
	}
}

// batch is a batch that ends with a record, and holds what is given.
func batch(offset, time int64, entries ...history.Entry) *history.Batch {
	return &history.Batch{
		Generation: generation, Partition: partition, Entries: entries,
		Applied: history.Applied{Offset: offset, Time: time},
	}
}

func write(t testing.TB, s history.Store, b *history.Batch) {
	t.Helper()
	if err := s.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// newest is a query for the newest entries of alice.
func newest() *history.Query {
	return &history.Query{
		User: []byte("alice"), Generation: generation, Partition: partition,
		After: -1, Before: math.MaxInt64, Backward: true, Limit: 1000, Bytes: 1 << 20, Now: t0,
	}
}

// offsets reads what a query finds.
func offsets(t testing.TB, s history.Store, q *history.Query) []int64 {
	t.Helper()
	page, err := s.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	list := []int64{}
	for _, e := range page.Entries {
		list = append(list, e.Offset)
		if want := fmt.Sprintf("message %d", e.Offset); string(e.Value) != want {
			t.Errorf("the entry at %d is %q, want %q", e.Offset, e.Value, want)
		}
	}
	return list
}

// applied reads how far the partition has come.
func applied(t testing.TB, s history.Store) history.Applied {
	t.Helper()
	list, err := s.Applied(t.Context(), generation, partitions)
	if err != nil {
		t.Fatal(err)
	}
	return list[partition]
}

func expect[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

// testBuckets reads a timeline that has few entries in each of many buckets.
func testBuckets(t *testing.T, cfg cassandra.Config) {
	s := empty(t, cfg)
	var b []history.Entry
	want := []int64{}
	for i := range int64(150) {
		b = append(b, entry(i*cassandra.BucketSize/2, t0+i))
		want = append(want, b[i].Offset)
	}
	write(t, s, batch(b[149].Offset, t0+149, b...))
	reversed := slices.Clone(want)
	slices.Reverse(reversed)
	for _, peer := range []string{"", "bob"} {
		q := newest()
		q.Peer = []byte(peer)
		expect(t, "backward", offsets(t, s, q), reversed)
		q.Before = want[30] + 1
		expect(t, "backward from the middle", offsets(t, s, q), reversed[119:])
		q.Before, q.After, q.Backward = math.MaxInt64, want[30], false
		expect(t, "forward from the middle", offsets(t, s, q), want[31:])
		q.Limit = 3
		expect(t, "three", offsets(t, s, q), want[31:34])
	}
	expect(t, "applied", applied(t, s), history.Applied{Offset: want[149], Time: t0 + 149, Floor: -1})

	b2 := batch(want[149]+10, t0+149)
	b2.Erasures = []history.Erasure{{User: []byte("alice"), Offset: want[140]}}
	write(t, s, b2)
	expect(t, "after an erasure", offsets(t, s, newest()), reversed[:9])
	q := newest()
	q.Backward = false
	expect(t, "forward after an erasure", offsets(t, s, q), want[141:])
}

// testPages reads a bucket that holds more than is asked for at once, half of it hidden.
func testPages(t *testing.T, cfg cassandra.Config) {
	s := empty(t, cfg)
	expires := time.Now().Add(24 * time.Hour).UnixMilli()
	var b []history.Entry
	want := []int64{}
	for i := range int64(3 * cassandra.ChunkRows) {
		e := entry(i, t0+i)
		if i%2 == 1 || i > 100 && i < 100+cassandra.ChunkRows {
			e.Expires = expires
		} else {
			want = append(want, i)
		}
		b = append(b, e)
	}
	write(t, s, batch(int64(len(b)-1), t0+int64(len(b)), b...))
	for _, peer := range []string{"", "bob"} {
		for _, backward := range []bool{false, true} {
			q := newest()
			q.Peer, q.Backward, q.Now = []byte(peer), backward, expires
			want := slices.Clone(want)
			if backward {
				slices.Reverse(want)
			}
			expect(t, "all", offsets(t, s, q), want)
			q.Limit = 90
			page, err := s.Read(t.Context(), q)
			if err != nil || len(page.Entries) != 90 || !page.More || page.Entries[89].Offset != want[89] {
				t.Errorf("90 entries: %d, more %v, %v", len(page.Entries), page.More, err)
			}
			q.Limit, q.Bytes = 1000, len("message 1")
			expect(t, "one", offsets(t, s, q), want[:1])
		}
	}
}

// testUnapplied: what a Write that failed has left behind is not read.
func testUnapplied(t *testing.T, cfg cassandra.Config) {
	s := empty(t, cfg)
	write(t, s, batch(1, t0, entry(1, t0)))
	// Cassandra refuses keys of 64 KB.
	bad := entry(9, t0)
	bad.Peers = [][]byte{make([]byte, 1<<16)}
	var entries []history.Entry
	for i := int64(2); i < 9; i++ {
		entries = append(entries, entry(i, t0))
	}
	if err := s.Write(t.Context(), batch(9, t0, append(entries, bad)...)); err == nil {
		t.Fatal("Cassandra took a key of 64 KB")
	}
	expect(t, "after the failure", offsets(t, s, newest()), []int64{1})
	expect(t, "applied", applied(t, s).Offset, 1)
	write(t, s, batch(8, t0, entries...))
	expect(t, "when it was applied again", offsets(t, s, newest()), []int64{8, 7, 6, 5, 4, 3, 2, 1})
}

// testClosedMeanwhile closes a store that is writing and read.
func testClosedMeanwhile(t *testing.T, cfg cassandra.Config) {
	s := empty(t, cfg)
	write(t, s, batch(0, t0, entry(0, t0)))
	ended := make(chan error, 2)
	begun := make(chan struct{}, 2)
	go func() {
		for i := int64(1); ; i++ {
			if err := s.Write(context.Background(), batch(i, t0, entry(i, t0))); err != nil {
				ended <- err
				return
			}
			if i == 10 {
				begun <- struct{}{}
			}
		}
	}()
	go func() {
		for i := 0; ; i++ {
			if _, err := s.Read(context.Background(), newest()); err != nil {
				ended <- err
				return
			}
			if i == 10 {
				begun <- struct{}{}
			}
		}
	}()
	<-begun
	<-begun
	s.Close()
	for range 2 {
		expect(t, "a call that Close has interrupted", <-ended, history.ErrClosed)
	}
}
