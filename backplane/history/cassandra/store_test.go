package cassandra_test

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	day        = 24 * 3600 * 1000
	t0         = 1_790_000_000_000 / day * day // the beginning of a day
)

// open opens the store of cfg for as long as the test runs.
func open(t testing.TB, cfg cassandra.Config) *cassandra.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := cassandra.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
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

func TestStore(t *testing.T) {
	historytest.Run(t, func(t *testing.T) history.Store {
		cfg := cassandratest.Config(t)
		cfg.Retention = 40 * 24 * time.Hour
		return open(t, cfg)
	})
}

func TestBuckets(t *testing.T) {
	s := open(t, cassandratest.Config(t))
	var b []history.Entry
	want := []int64{}
	for i := range int64(40) {
		at := i * cassandra.BucketSize / 2
		b = append(b, entry(at, t0+i))
		want = append([]int64{at}, want...)
	}
	write(t, s, batch(b[39].Offset, t0+39, b...))
	q := newest()
	expect(t, "backward", offsets(t, s, q), want)
	q.Peer = []byte("bob")
	expect(t, "bob", offsets(t, s, q), want)
	q.Backward = false
	q.Limit = 3
	q.After = want[37]
	expect(t, "bob forward", offsets(t, s, q), []int64{want[36], want[35], want[34]})
	q.Peer = nil
	expect(t, "forward", offsets(t, s, q), []int64{want[36], want[35], want[34]})
	expect(t, "applied", applied(t, s), history.Applied{Offset: want[0], Time: t0 + 39, Floor: -1})
}

func TestMissing(t *testing.T) {
	cfg := cassandratest.Config(t)
	cfg.Namespace = "other"
	if _, err := cassandra.Open(t.Context(), cfg); !errors.Is(err, history.ErrForeign) {
		t.Errorf("other namespace: %v", err)
	}
	cfg.Keyspace += "x"
	if _, err := cassandra.Open(t.Context(), cfg); !errors.Is(err, cassandra.ErrMissing) {
		t.Errorf("no keyspace: %v", err)
	}
}
