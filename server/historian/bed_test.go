package historian_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/cassandratest"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
)

// users is how many users exchange messages.
const users = 12

var quiet = slog.New(slog.DiscardHandler)

// bed is a log with users who send, and the settings of a history of it.
type bed struct {
	t        *testing.T
	settings *config.Config
	kafka    kafka.Config
	producer *kafka.Producer
	sent     int
}

// stores gives beds to tests, with one Cassandra for all of them.
type stores struct {
	store string   // that of the beds
	hosts []string // where Cassandra is, if it is that
}

// newStores starts what stores of a kind need.
func newStores(t *testing.T, store string) stores {
	s := stores{store: store}
	if store == config.HistoryCassandra {
		s.hosts = cassandratest.Private(t).Config(t).Hosts
	}
	return s
}

// bed returns a bed with an empty store, and a log of its own on a broker.
func (s stores) bed(t *testing.T, kc kafka.Config) *bed {
	t.Helper()
	c := config.Default()
	c.Kafka.Brokers, c.Kafka.Namespace, c.Kafka.Partitions = kc.Brokers, kc.Namespace, kc.Partitions
	c.History.Store, c.History.Folder = s.store, t.TempDir()
	if s.store == config.HistoryCassandra {
		c.History.Cassandra.Hosts, c.History.Cassandra.Replication = s.hosts, 1
		c.History.Cassandra.Keyspace = strings.ToLower(strings.ReplaceAll(kc.Namespace, "-", "_"))
		cc, err := historian.CassandraConfig(&c, quiet)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := cassandra.Create(ctx, cc); err != nil {
			t.Fatal(err)
		}
	}
	b := &bed{t: t, settings: &c, kafka: kc}
	var err error
	if b.producer, err = kafka.NewProducer(kc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.producer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// open opens the store.
func (b *bed) open() history.Store {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	s, err := historian.Open(ctx, b.settings, b.kafka, quiet)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// config returns how a Historian writes a store.
func (b *bed) config(s history.Store) historian.Config { return writing(b.settings, s) }

// writing returns how a Historian of two workers writes all of a store that keeps for a month
// what the log keeps for a week.
func writing(c *config.Config, s history.Store) historian.Config {
	return historian.Config{
		Store: s, Kafka: kafkaOf(c), Workers: 2, Retention: c.History.Retention, LogRetention: 7 * 24 * time.Hour, Log: quiet,
	}
}

func kafkaOf(c *config.Config) kafka.Config {
	kc := kafka.DefaultConfig()
	kc.Brokers, kc.Namespace, kc.Generation, kc.Partitions = c.Kafka.Brokers, c.Kafka.Namespace, c.Kafka.Generation, c.Kafka.Partitions
	return kc
}

// write has a Historian write the store until it has all that the log has now.
func (b *bed) write() {
	b.t.Helper()
	s := b.open()
	defer b.close(s)
	h, err := historian.Start(b.config(s))
	if err != nil {
		b.t.Fatal(err)
	}
	b.caughtUp(s)
	if err := h.Err(); err != nil {
		b.t.Error(err)
	}
	b.stop(h)
}

func (b *bed) stop(h *historian.Historian) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		b.t.Error(err)
	}
}

func (b *bed) close(s history.Store) {
	b.t.Helper()
	if err := s.Close(); err != nil {
		b.t.Error(err)
	}
}

// caughtUp waits until a store has applied all that the log has now.
func (b *bed) caughtUp(s history.Store) {
	b.t.Helper()
	ends := b.ends()
	eventually(b.t, "history has caught up", func() bool {
		applied, err := s.Applied(b.t.Context(), b.kafka.Generation, b.kafka.Partitions)
		for p, a := range applied {
			if a.Offset < ends[p]-1 {
				return false
			}
		}
		return err == nil // a store of a busy machine may not answer in time
	})
}

func (b *bed) applied(s history.Store) []history.Applied {
	b.t.Helper()
	applied, err := s.Applied(b.t.Context(), b.kafka.Generation, b.kafka.Partitions)
	if err != nil {
		b.t.Fatal(err)
	}
	return applied
}

// total returns how many offsets a store has applied.
func (b *bed) total(s history.Store) (n int64) {
	for _, a := range b.applied(s) {
		n += a.Offset + 1
	}
	return n
}

func user(i int) string { return fmt.Sprint("user-", i%users) }

// outcomes is a backplane.Waiter.
type outcomes chan backplane.Outcome

func (c outcomes) Done(o backplane.Outcome) { c <- o }

// send has n more messages stored: most from one user to two others, some of them signals,
// some with a time to live, and now and then a retry, or an erasure.
func (b *bed) send(n int) {
	b.t.Helper()
	done := make(outcomes, n)
	for range n {
		i := b.sent
		b.sent++
		m := &backplane.Message{From: []byte(user(i)), ID: fmt.Append(nil, "m", i), Body: fmt.Append(nil, "body ", i)}
		switch {
		case i%301 == 300:
			m.Kind, m.Body = backplane.KindErase, nil
		default:
			m.To = [][]byte{[]byte(user(i + 1)), []byte(user(i + 1 + i/users%(users-1)))}
			m.To = slices.CompactFunc(m.To, func(a, b []byte) bool { return string(a) == string(b) })
		}
		switch {
		case i%17 == 16:
			m.Kind = backplane.KindSignal
		case i%13 == 12:
			m.TTL = 3600_000
		}
		if m.Kind == backplane.KindErase {
			m.TTL = 0
		}
		b.produce(m, done)
	}
	for range n {
		b.stored(done)
	}
	// A retry of the last one, which is in the log by now, and so a duplicate.
	i := b.sent - 1
	m := &backplane.Message{From: []byte(user(i)), ID: []byte("retried"), Body: fmt.Append(nil, "retried ", i), To: [][]byte{[]byte(user(i + 1))}}
	for range 2 {
		b.produce(m, done)
		b.stored(done)
	}
}

func (b *bed) stored(done outcomes) {
	b.t.Helper()
	select {
	case o := <-done:
		if o.Status != backplane.Stored {
			b.t.Fatalf("a message was not stored: %+v", o)
		}
	case <-time.After(patience):
		b.t.Fatal("no outcome")
	}
}

// produce sends a message, when there is room.
func (b *bed) produce(m *backplane.Message, done outcomes) {
	b.t.Helper()
	m.MessageID = backplane.Identify(nil, m)
	s := &backplane.Send{ID: m.MessageID, From: m.From, To: m.To, Value: backplane.AppendMessage(nil, m)}
	eventually(b.t, "there is room for a message", func() bool { return b.producer.Produce(s, done) == nil })
}

// ends returns where the log of each partition ends.
func (b *bed) ends() []int64 {
	b.t.Helper()
	r := b.reader()
	defer r.Close()
	ends := make([]int64, b.kafka.Partitions)
	for p := range ends {
		var err error
		if _, ends[p], err = r.Bounds(b.t.Context(), backplane.Partition(p)); err != nil {
			b.t.Fatal(err)
		}
	}
	return ends
}

func (b *bed) reader() *kafka.Reader {
	b.t.Helper()
	r, err := kafka.NewReader(b.kafka)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// expected returns the timeline of each user as it follows from the log: that of a
// reader who knows the rules and nothing else.
func (b *bed) expected() map[string][]string {
	b.t.Helper()
	r := b.reader()
	defer r.Close()
	timelines := make(map[string][]string)
	for p, end := range b.ends() {
		seen := make(map[backplane.MessageID]bool)
		err := r.Scan(b.t.Context(), backplane.Partition(p), 0, end, func(rec *backplane.Record) bool {
			var m backplane.Message
			if err := backplane.ParseMessage(rec.Value, &m); err != nil {
				b.t.Error(err)
			}
			switch {
			case seen[m.MessageID]: // the tests take less than the window for duplicates
			case m.Kind == backplane.KindErase:
				timelines[string(m.From)] = nil
			case m.Kind == backplane.KindMessage:
				for list := rec.Recipients; len(list) > 0; {
					u, rest, ok := backplane.NextRecipient(list)
					if !ok {
						b.t.Error("the recipients are not a list")
					}
					timelines[string(u)] = append(timelines[string(u)], line(rec.Offset, rec.Time, &m))
					list = rest
				}
			}
			seen[m.MessageID] = true
			return true
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return timelines
}

func line(offset, time int64, m *backplane.Message) string {
	return fmt.Sprintf("%d at %d from %s: %s", offset, time, m.From, m.Body)
}

// timelines returns the timeline of each user as a store has it, and checks that the
// conversations of a user make up the timeline.
func (b *bed) timelines(s history.Store) map[string][]string {
	b.t.Helper()
	timelines := make(map[string][]string)
	for i := range users {
		u := user(i)
		timelines[u] = b.timeline(s, u, "")
		peers := make(map[string]bool)
		for k := range users {
			for _, l := range b.timeline(s, u, user(k)) {
				peers[l] = true
			}
		}
		if len(peers) != len(timelines[u]) {
			b.t.Errorf("the conversations of %s have %d messages, the timeline %d", u, len(peers), len(timelines[u]))
		}
	}
	return timelines
}

// timeline reads a timeline, or a conversation in it, in pages.
func (b *bed) timeline(s history.Store, u, peer string) (lines []string) {
	b.t.Helper()
	q := &history.Query{
		User: []byte(u), Generation: b.kafka.Generation, Partition: backplane.PartitionOf(u, b.kafka.Partitions), Peer: []byte(peer),
		After: -1, Before: math.MaxInt64, Limit: 100, Bytes: 1 << 20, Now: time.Now().UnixMilli(),
	}
	for {
		page, err := s.Read(b.t.Context(), q)
		if err != nil {
			b.t.Fatal(err)
		}
		for i := range page.Entries {
			e := &page.Entries[i]
			var m backplane.Message
			if err := backplane.ParseMessage(e.Value, &m); err != nil {
				b.t.Fatal(err)
			}
			lines = append(lines, line(e.Offset, e.Time, &m))
			q.After = e.Offset
		}
		if !page.More {
			return lines
		}
	}
}

// check compares what a store has with what follows from the log.
func (b *bed) check(s history.Store) {
	b.t.Helper()
	want, got := b.expected(), b.timelines(s)
	for _, u := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(got[u], want[u]) {
			b.t.Errorf("the store has %d messages of %s, the log %d:\n%s\nwant\n%s", len(got[u]), u, len(want[u]), ends(got[u]), ends(want[u]))
		}
	}
	if len(want) != users {
		b.t.Errorf("the log has timelines of %d users, of %d", len(want), users)
	}
}

// ends returns the first and the last lines of a timeline.
func ends(lines []string) string {
	if len(lines) > 10 {
		lines = slices.Concat(lines[:5], []string{"..."}, lines[len(lines)-5:])
	}
	return strings.Join(lines, "\n")
}
