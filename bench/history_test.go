package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
	bare "github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/pebble"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// BenchmarkHistoryWrite measures the CPU time of a record of the log from the consumer's call
// until it is in the store: messages of 200 bytes between pairs of users, in the timelines of
// both, through history.Writer and a store. It is measured in this process, so Cassandra's
// own is not in it, and Pebble's work in the background is.
//
// The floor writes the same rows without anything around them (x-floor): each entry, and that
// it belongs to a conversation; to Pebble in synced batches of 2,048 entries, to Cassandra by
// as many inserts at once as the store has under way. x-values compares with the entries
// alone, of which no conversation could be read.
//
//	go test ./bench -run '^$' -bench HistoryWrite
func BenchmarkHistoryWrite(b *testing.B) {
	b.Run("pebble", func(b *testing.B) {
		noTime(b)
		s := newStream(size(100_000, 10_000))
		floor := func(conversations bool) func() float64 {
			return func() float64 { return s.barePebble(b, conversations) }
		}
		measureWrites(b, func() float64 {
			store, err := pebble.Open(b.TempDir(), pebble.Options{Namespace: "bench", Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			return s.cost(func() {
				s.write(b, store)
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}, floor(true), floor(false))
	})
	b.Run("cassandra", func(b *testing.B) {
		noTime(b)
		cc := realCassandra(b, "bench")
		store, err := cassandra.Open(context.Background(), cc)
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		session := connectBare(b, cc)
		s := newStream(size(10_000, 1000))
		floor := func(conversations bool) func() float64 {
			return func() float64 {
				return s.cost(func() { s.bareCassandra(b, session, cc, conversations) })
			}
		}
		measureWrites(b, func() float64 {
			defer s.advance() // the store has these
			return s.cost(func() { s.write(b, store) })
		}, floor(true), floor(false))
	})
}

// measureWrites measures in turns, after one that does not count.
func measureWrites(b *testing.B, godwit, floor, values func() float64) {
	b.Helper()
	columns := map[string][]float64{}
	for i := range *rounds + 1 {
		v, f, g := values(), floor(), godwit()
		if i == 0 {
			continue
		}
		tell("%s: %s us, the floor %s, values alone %s", b.Name(), report.Number(g), report.Number(f), report.Number(v))
		for name, value := range map[string]float64{
			"cpu-us/record": g, "floor-us/record": f, "values-us/record": v, "x-floor": g / f, "x-values": g / v,
		} {
			columns[name] = append(columns[name], value)
		}
	}
	for _, name := range []string{"cpu-us/record", "floor-us/record", "values-us/record", "x-floor", "x-values"} {
		metric(b, name, report.Median(columns[name]))
	}
}

// stream has the records of messages between users, as a consumer hands them out, and what
// they mean for timelines.
type stream struct {
	records []backplane.Record
	entries []bareEntry
	counts  [partitions]int64 // of records
	span    int64             // milliseconds from the first record to what comes after the last
}

// bareEntry is a message in the timeline of one user.
type bareEntry struct {
	record     int // that has the rest
	user, peer []byte
}

// newStream returns the records of so many messages. As many users talk in pairs, and take
// turns, so that a batch has few messages of the same one, as that of a live partition. Log
// times are those of twenty thousand messages a second.
func newStream(messages int) *stream {
	const stride, perMS = 7919, 20 // a prime, so that every user has a turn
	s := &stream{span: int64(messages)/perMS + 1}
	noon := time.Now().UTC().Truncate(24*time.Hour).UnixMilli() + 12*time.Hour.Milliseconds()
	body := make([]byte, 200)
	for i := range messages {
		from := i * stride % messages
		users := [2][]byte{fmt.Appendf(nil, "user-%06d", from), fmt.Appendf(nil, "user-%06d", from^1)}
		binary.BigEndian.PutUint64(body, uint64(i))
		m := backplane.Message{From: users[0], To: users[1:], ID: fmt.Appendf(nil, "%024x", i), Body: body}
		m.MessageID = backplane.Identify([]byte("device"), &m)
		value := backplane.AppendMessage(nil, &m)
		last := backplane.Partition(-1) // that of the sender
		for j, user := range users {
			p := backplane.PartitionOf(user, partitions)
			if p != last {
				s.records = append(s.records, backplane.Record{
					Position: backplane.Position{Generation: 1, Partition: p, Offset: s.counts[p]},
					Time:     noon + int64(i)/perMS, Value: value, Session: 1,
				})
				s.counts[p]++
			}
			last = p
			at := len(s.records) - 1
			s.records[at].Recipients = backplane.AppendRecipient(s.records[at].Recipients, user)
			s.entries = append(s.entries, bareEntry{at, user, users[1-j]})
		}
	}
	return s
}

// advance makes the stream what comes after it: as many messages of the same users.
func (s *stream) advance() {
	for i := range s.records {
		r := &s.records[i]
		r.Offset += s.counts[r.Partition]
		r.Time += s.span
	}
}

// cost returns the CPU time of this process that f takes for each record, in microseconds.
func (s *stream) cost(f func()) float64 {
	runtime.GC()
	before := usedCPU()
	f()
	return perOp(usedCPU()-before, int64(len(s.records)))
}

// usedCPU returns the CPU time, user and system, that this process has taken.
func usedCPU() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err) // there is no such case with these arguments
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// write has a Writer write the stream into a store.
func (s *stream) write(b *testing.B, store history.Store) {
	w, err := history.NewWriter(history.Config{
		Store: store, Generation: 1, N: partitions, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	h := w.Handler(0)
	for p := range backplane.Partition(partitions) {
		h.Begin(p, w.Applied(p).Offset+1, 0)
	}
	for i := range s.records {
		h.Record(&s.records[i])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		b.Fatal(err)
	}
}

// bareBatch is how many entries the floor writes to Pebble at once: as many as a Writer
// gathers.
const bareBatch = 2048

// barePebble writes the entries into a database with the memory that the store gives to its
// own, and returns the cost of a record.
func (s *stream) barePebble(b *testing.B, conversations bool) float64 {
	db, err := bare.Open(b.TempDir(), &bare.Options{
		Logger: silent{}, FormatMajorVersion: bare.FormatTableFormatV6,
		CacheSize: pebble.DefaultCacheBytes, MemTableSize: 16 << 20, MemTableStopWritesThreshold: 3,
	})
	if err != nil {
		b.Fatal(err)
	}
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	var key []byte
	return s.cost(func() {
		batch := db.NewBatch()
		for i, e := range s.entries {
			r := &s.records[e.record]
			key = append(append(key[:0], 'e', byte(len(e.user))), e.user...)
			check(batch.Set(binary.BigEndian.AppendUint64(key, uint64(r.Offset)), r.Value, nil))
			if conversations {
				key[0] = 'p'
				key = append(append(key, byte(len(e.peer))), e.peer...)
				check(batch.Set(binary.BigEndian.AppendUint64(key, uint64(r.Offset)), nil, nil))
			}
			if (i+1)%bareBatch == 0 || i == len(s.entries)-1 {
				check(batch.Commit(bare.Sync))
				check(batch.Close())
				batch = db.NewBatch()
			}
		}
		check(batch.Close())
		check(db.Close())
	})
}

// silent drops what Pebble logs.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("pebble: "+format, args...))
}

// connectBare connects to Cassandra as the store does.
func connectBare(tb testing.TB, cc cassandra.Config) *gocql.Session {
	tb.Helper()
	c := gocql.NewCluster(cc.Hosts...)
	c.ProtoVersion, c.NumConns, c.Consistency = 5, cc.Connections, gocql.LocalQuorum
	c.Timeout, c.WriteTimeout, c.ConnectTimeout = patience, patience, patience
	c.Logger = gocql.NewLogger(gocql.LogLevelNone)
	session, err := c.CreateSession()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(session.Close)
	return session
}

// bareGeneration is that of the rows of bareCassandra, so that they are not the store's.
const bareGeneration = int64(2)

// bareCassandra inserts the entries into the store's own tables, each row by itself.
func (s *stream) bareCassandra(b *testing.B, session *gocql.Session, cc cassandra.Config, conversations bool) {
	entry := "INSERT INTO " + cc.Keyspace + ".timeline (user, generation, bucket, offset, time, expires, value) VALUES (?, ?, 0, ?, ?, 0, ?)"
	conversation := "INSERT INTO " + cc.Keyspace + ".conversation (user, generation, peer, bucket, offset) VALUES (?, ?, ?, 0, ?)"
	var next atomic.Int64
	var wg sync.WaitGroup
	for range cc.Concurrency {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(s.entries)); i = next.Add(1) - 1 {
				e := &s.entries[i]
				r := &s.records[e.record]
				err := session.Query(entry, e.user, bareGeneration, r.Offset, r.Time, r.Value).Exec()
				if err == nil && conversations {
					err = session.Query(conversation, e.user, bareGeneration, e.peer, r.Offset).Exec()
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkHistoryRead measures how long a client waits for the newest 50 messages of its
// user: a history frame to the node until its page has come, 200 a second of 1,000 users in
// turn. Times count from when the request was due. The store has nearly all of them, and
// has just written them, so disks are not in it.
//
//	go test ./bench -run '^$' -bench HistoryRead
func BenchmarkHistoryRead(b *testing.B) {
	const page = 50
	n := size(1000, 100)
	for _, from := range []string{"pebble", "cassandra"} {
		b.Run(from, func(b *testing.B) {
			noTime(b)
			k := keep(b, kafkatest.Real(b, partitions), from)
			c := clientsOf(b, k.server, n)
			c.open(b, n)
			// Everybody sends 50, and gets some.
			fill := load.Traffic{Shape: load.Unicast, Size: 200, InFlight: 500, Count: int64(n * page)}
			k.settled(b, func() int64 { return c.run(b, fill).Stats.Stored })

			read := load.Traffic{Shape: load.History, Page: page, Rate: 200, Duration: size(10*time.Second, time.Second)}
			columns := map[string][]float64{}
			for i := range *rounds + 1 {
				before, used := k.metrics(b), k.cpu(b)
				r := c.run(b, read)
				used = k.cpu(b) - used
				const reads = "godwit_timeline_store_reads_total"
				if stored := k.metrics(b).value(b, reads) - before.value(b, reads); stored < float64(r.Stats.Stored) {
					b.Fatalf("of %d pages the store was read for %v", r.Stats.Stored, stored)
				}
				if i == 0 {
					continue // its connections and caches are filled
				}
				tell("%s: p50 %d, p99 %d us", b.Name(), r.Ack.P50, r.Ack.P99)
				for name, v := range map[string]float64{
					"p50-us": float64(r.Ack.P50), "p99-us": float64(r.Ack.P99), "cpu-us/page": perOp(used, r.Stats.Stored),
				} {
					columns[name] = append(columns[name], v)
				}
			}
			for _, name := range []string{"p50-us", "p99-us", "cpu-us/page"} {
				metric(b, name, report.Median(columns[name]))
			}
		})
	}
}
