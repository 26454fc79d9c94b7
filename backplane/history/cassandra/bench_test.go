package cassandra_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/cassandratest"
)

// benchBatch is a batch of messages of 200 bytes from and to some users, with as many
// messages for each.
func benchBatch(first int64, users, each int) *history.Batch {
	b := batch(first+int64(users*each)-1, t0)
	for i := range users * each {
		user, peer := i%users, (i+1)%users
		b.Entries = append(b.Entries, history.Entry{
			User: fmt.Appendf(nil, "user%d", user), Offset: first + int64(i), Time: t0,
			Value: make([]byte, 200), Peers: [][]byte{fmt.Appendf(nil, "user%d", peer)},
		})
	}
	return b
}

// BenchmarkWrite compares a Write with plain inserts of the same entries (the rows of
// timeline and conversation, each by its own request), as many of them at once. Batches
// of many users are those of a live partition; those of few users are of a rebuild.
func BenchmarkWrite(b *testing.B) {
	cfg := cassandratest.Config(b)
	s, direct := open(b, cfg), raw(b, cfg)
	next := int64(0)
	for _, size := range []struct{ users, each int }{{256, 1}, {16, 16}} {
		n := size.users * size.each
		for _, way := range []string{"store", "inserts"} {
			b.Run(fmt.Sprintf("users=%d/each=%d/%s", size.users, size.each, way), func(b *testing.B) {
				for b.Loop() {
					batch := benchBatch(next, size.users, size.each)
					next += int64(n)
					if way == "store" {
						write(b, s, batch)
					} else {
						insert(b, cfg, direct, s.Rows(batch))
					}
				}
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "entries/s")
			})
		}
	}
}

func insert(b *testing.B, cfg cassandra.Config, session *gocql.Session, rows [][]any) {
	b.Helper()
	slots := make(chan struct{}, cfg.Concurrency)
	var wg sync.WaitGroup
	for _, row := range rows {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := session.Query(row[0].(string), row[1:]...).Exec(); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

// BenchmarkRead reads the newest 50 entries of a user, of 10 buckets or one.
func BenchmarkRead(b *testing.B) {
	s := open(b, cassandratest.Config(b))
	last := int64(0)
	for _, buckets := range []int64{1, 10} {
		var entries []history.Entry
		for i := range int64(100) {
			e := entry(last+i*buckets*cassandra.BucketSize/50, t0)
			e.User = fmt.Appendf(nil, "reader%d", buckets)
			e.Value = make([]byte, 200)
			entries = append(entries, e)
		}
		last = entries[99].Offset + 1
		write(b, s, batch(last-1, t0, entries...))
		for _, peer := range []string{"", "bob"} {
			b.Run(fmt.Sprintf("buckets=%d/peer=%s", buckets, peer), func(b *testing.B) {
				q := newest()
				q.User, q.Peer, q.Limit = fmt.Appendf(nil, "reader%d", buckets), []byte(peer), 50
				for b.Loop() {
					if page, err := s.Read(b.Context(), q); err != nil || len(page.Entries) != 50 {
						b.Fatal(len(page.Entries), err)
					}
				}
			})
		}
	}
}
