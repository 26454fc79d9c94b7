package pebble

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// The batches of the benchmarks: as many entries of as many bytes, for many users.
const (
	benchEntries = 256
	benchValue   = 200
	benchUsers   = 1000
)

func benchBatch(next int64) *history.Batch {
	b := &history.Batch{Generation: generation, Applied: history.Applied{Offset: next + benchEntries - 1, Time: 1000 * next}}
	for i := range int64(benchEntries) {
		o := next + i
		b.Entries = append(b.Entries, history.Entry{User: fmt.Appendf(nil, "user-%06d", o%benchUsers), Offset: o, Time: o,
			Value: make([]byte, benchValue), Peers: [][]byte{fmt.Appendf(nil, "user-%06d", o%7)}})
		binary.BigEndian.PutUint64(b.Entries[i].Value, uint64(o))
	}
	return b
}

// benchStore opens a store as a node does.
func benchStore(b *testing.B) *Store {
	o := testOptions()
	o.CacheBytes = 0
	s, err := Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeStore(b, s) })
	return s
}

// BenchmarkWrite is one synced batch, in the store and as bare sets of Pebble: of the
// values alone, and of as many keys as the store has.
func BenchmarkWrite(b *testing.B) {
	report := func(b *testing.B) {
		b.ReportMetric(float64(b.N*benchEntries)/b.Elapsed().Seconds(), "entries/s")
	}
	b.Run("store", func(b *testing.B) {
		s := benchStore(b)
		next := int64(0)
		for b.Loop() {
			write(b, s, benchBatch(next))
			next += benchEntries
		}
		report(b)
	})
	for name, index := range map[string]bool{"bare": false, "bare-indexed": true} {
		b.Run(name, func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{FS: vfs.Default, Logger: logger{testOptions().Log, newHealth()},
				MemTableSize: memtableBytes, CacheSize: DefaultCacheBytes, FormatMajorVersion: pebble.FormatTableFormatV6})
			if err != nil {
				b.Fatal(err)
			}
			next := int64(0)
			for b.Loop() {
				batch := db.NewBatch()
				for _, e := range benchBatch(next).Entries {
					key := appendOffset(appendUser(nil, kindEntry, 0, generation, e.User), e.Offset)
					err = batch.Set(key, e.Value, nil)
					if index && err == nil {
						err = batch.Set(appendID(key, e.Peers[0]), nil, nil)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Commit(pebble.Sync); err != nil {
					b.Fatal(err)
				}
				next += benchEntries
			}
			report(b)
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRead reads the newest 50 entries of a user who has a few thousand, of a
// conversation, and of a user who has none.
func BenchmarkRead(b *testing.B) {
	s := benchStore(b)
	const batches = 1000
	for i := range int64(batches) {
		batch := benchBatch(i * benchEntries)
		for j := range batch.Entries {
			batch.Entries[j].Time = i * 30 * dayLength / batches // thirty days
		}
		write(b, s, batch)
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name, user, peer string
		backward         bool
		want             int
	}{
		{"newest", "user-%06d", "", true, 50},
		{"forward", "user-%06d", "", false, 50},
		{"conversation", "user-%06d", "user-000003", true, 30},
		{"nobody", "nobody-%06d", "", true, 0},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			q := query(backplane.Partition(0))
			q.Peer, q.Backward, q.Limit = []byte(bb.peer), bb.backward, 50
			n := 0
			for b.Loop() {
				q.User = fmt.Appendf(q.User[:0], bb.user, n%benchUsers)
				n++
				p, err := s.Read(context.Background(), q)
				if err != nil || len(p.Entries) < bb.want {
					b.Fatalf("%d entries: %v", len(p.Entries), err)
				}
			}
		})
	}
}
