package bench

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/cassandratest"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// BenchmarkCatchUp measures how fast one device gets what it has missed: 20,000 messages of
// 200 bytes, from the connection's first packet to the last message. Each must arrive
// exactly once. They come out of the node's tail, which is large enough to have them all, or
// out of the log or a history store where the tail has only the last few; that they came
// from there is checked. The device takes what it gets at once, so it is not what is slow.
//
//	go test ./bench -run '^$' -bench CatchUp
func BenchmarkCatchUp(b *testing.B) {
	n := size(int64(20_000), 2000)
	t := load.Traffic{Shape: load.Unicast, Size: 200, InFlight: 200, Count: n}
	for _, from := range []string{"tail", "log", "pebble", "cassandra"} {
		b.Run(from, func(b *testing.B) {
			noTime(b)
			k := keep(b, kafkatest.Real(b, partitions), from)
			// Two users: the first one misses what the second one sends.
			c := clientsOf(b, k.server, 2)
			c.open(b, 2)
			var rate []float64
			var cpu time.Duration // of all rounds: one takes few of the units that it is told in
			for range *rounds {
				c.leave(b, k.server, 1)
				k.settled(b, func() int64 { return c.runLossy(b, t).Stats.Stored })
				before, used := k.metrics(b), k.cpu(b)
				r := c.comeBack(b, 1)
				eventually(b, "the device is live", func() bool { return catching(b, k.server) == 0 })
				cpu += k.cpu(b) - used
				if r.Stats.Deliveries != n {
					b.Fatalf("%d messages came, and %d were missed", r.Stats.Deliveries, n)
				}
				k.came(b, before, from, n)
				rate = append(rate, float64(n)/r.Arrived.Seconds())
				tell("%s: %s records/s", b.Name(), report.Number(rate[len(rate)-1]))
			}
			metric(b, "records/s", report.Median(rate))
			metric(b, "cpu-us/record", perOp(cpu, n*int64(*rounds)))
		})
	}
}

// came fails unless what was read since before came from where it was to come from.
func (k *kept) came(b *testing.B, before metrics, from string, n int64) {
	b.Helper()
	after := k.metrics(b)
	since := func(name string) float64 { return after.value(b, name) - before.value(b, name) }
	scanned, stored := since("godwit_timeline_scanned_records_total"), since("godwit_timeline_store_reads_total")
	ok := false
	switch from {
	case "tail":
		ok = scanned == 0 && stored == 0
	case "log":
		ok = scanned >= float64(n)/2 && stored == 0 // the tail has the last ones
	default:
		ok = scanned == 0 && stored > 0
	}
	if !ok {
		b.Fatalf("not from %s: the log was scanned for %v records, and the store read %v times", from, scanned, stored)
	}
}

// kept is a node with what writes its history.
type kept struct {
	*server
	writer *server // the node itself, or a process of its own; nil if there is no history
}

// smallTail leaves a node's tail room for the last few messages only.
var smallTail = []string{"--limits-tail-bytes", "64KiB"}

// keep starts a node whose users' past is in one place: tail, log, pebble or cassandra.
func keep(tb testing.TB, log kafka.Config, place string) *kept {
	tb.Helper()
	flags := func(more ...string) []string { return append(smallTail[:len(smallTail):len(smallTail)], more...) }
	switch place {
	case "tail":
		return &kept{server: serve(tb, log)}
	case "log":
		return &kept{server: serve(tb, log, smallTail...)}
	case "pebble":
		s := serve(tb, log, flags("--history-store", "pebble", "--history-folder", tb.TempDir())...)
		return &kept{s, s}
	case "cassandra":
		cc := realCassandra(tb, log.Namespace)
		store := []string{
			"--history-store", "cassandra", "--history-cassandra-hosts", strings.Join(cc.Hosts, ","),
			"--history-cassandra-keyspace", cc.Keyspace, "--history-retention", "0s",
		}
		return &kept{serve(tb, log, flags(store...)...), writeHistory(tb, log, store)}
	}
	panic("bench: no place is called " + place)
}

// writeHistory starts a process that writes the history of a log.
func writeHistory(tb testing.TB, log kafka.Config, flags []string) *server {
	tb.Helper()
	s := &server{log: log}
	s.process = launch(tb, nil, build(tb, "godwit", root, "./tools/godwit"),
		append(append([]string{"history", "run"}, logFlags(log)...), flags...)...)
	eventually(tb, "history is written", func() bool {
		if s.Ended() {
			tb.Fatalf("the process that writes history has ended:\n%s", s.Stderr.String())
		}
		if l, ok := s.Logged("writing history"); ok {
			s.admin = l.Admin
		}
		return s.admin != "" && s.ready()
	})
	return s
}

// settled has messages stored, each of one user to another, and returns when history has
// all of them. send returns how many those were. Then nothing was read of the log for a
// second, so the node's idea of how far history has come is no older than the last message
// once it asks.
func (k *kept) settled(tb testing.TB, send func() int64) {
	tb.Helper()
	if k.writer == nil {
		send()
		return
	}
	before := k.writer.metrics(tb).value(tb, entriesWritten)
	entries := before + 2*float64(send()) // one in the timeline of each
	eventually(tb, "history has everything", func() bool {
		m := k.writer.metrics(tb)
		return m.value(tb, entriesWritten) >= entries && m.value(tb, "godwit_history_writer_unapplied_time_seconds") == 0
	})
}

const entriesWritten = "godwit_history_writer_entries_total"

// realCassandra returns the configuration of a new store, for the topics of a namespace,
// in the Apache Cassandra that the benchmarks share.
func realCassandra(tb testing.TB, namespace string) cassandra.Config {
	tb.Helper()
	cc := cassandratest.Config(tb)
	cc.Keyspace, cc.Namespace = "bench_"+strings.ToLower(rand.Text()[:12]), namespace
	cc.Replication, cc.Retention, cc.Timeout = 1, 0, patience
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := cassandra.Create(ctx, cc); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := connectBare(tb, cc).Query("DROP KEYSPACE " + cc.Keyspace).Exec(); err != nil {
			tb.Error(err)
		}
	})
	return cc
}
