package kafkalog_test

import (
	"fmt"
	"maps"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// records counts the records of decisions and requests that the cluster topic still has.
func records(t *testing.T, cfg kafka.Config) int {
	t.Helper()
	n := 0
	l, err := kafkalog.Open(t.Context(), cfg, func(rs []cluster.Record) { n += len(rs) })
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return n
}

// The broker compacts the topic while it is written and read: transactions, tombstones
// and barriers among it. Who follows notices nothing, and who comes later has the same.
func TestCompaction(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		var cfg kafka.Config
		compact := func() {} // Apache Kafka does it by itself
		if b.Name == "embedded" {
			broker, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(broker.Close)
			cfg = kafka.DefaultConfig()
			cfg.Brokers, compact = broker.ListenAddrs(), broker.Compact
			topics(t, cfg)
		} else {
			cfg = b.Config(t, 1)
			createCompacting(t, cfg)
		}
		l, seen := open(t, cfg)
		s := take(t, l)
		written, want := 0, make(map[string]string)
		for i := range 300 {
			value := strconv.Itoa(i)
			key := fmt.Sprintf("request/%d", i%20)
			commit(t, s, put("node/a", "%s", value), put("node/b", "%s", value))
			appendAll(t, l, put(key, "%s", value))
			want["node/a"], want["node/b"], want[key] = value, value, value
			if i%7 == 0 {
				appendAll(t, l, cluster.Record{Key: key})
				delete(want, key)
				written++
			}
			written += 3
		}
		left := written
		eventually(t, "the broker has compacted the topic", func() bool {
			appendAll(t, l, put("request/last", "1")) // what is being written to is not compacted
			compact()
			left = records(t, cfg)
			return left < written/4
		})
		want["request/last"] = "1"
		t.Logf("of %d records %d are left", written, left)
		barrier(t, l)
		_, late := open(t, cfg)
		for name, s := range map[string]*state{"who followed": seen, "who came late": late} {
			if got := s.all(); !maps.Equal(got, want) {
				t.Errorf("%s has %v, want %v", name, got, want)
			}
		}
		if err := l.Err(); err != nil {
			t.Errorf("an alarm: %v", err)
		}
		commit(t, s, decision("after")...)
		barrier(t, l)
		if seen.get("node/a") != "after" {
			t.Errorf("afterwards node/a is %q", seen.get("node/a"))
		}
	})
}

// createCompacting makes topics that are compacted at once.
func createCompacting(t *testing.T, cfg kafka.Config) {
	t.Helper()
	o := kafkalog.TopicOptions{Replicas: 1, MinInsync: 1, Settings: map[string]*string{
		"segment.ms":                new("100"),
		"min.cleanable.dirty.ratio": new("0.001"),
		"max.compaction.lag.ms":     new("100"),
		"min.compaction.lag.ms":     new("0"),
	}}
	if _, err := kafkalog.Create(t.Context(), cfg, o); err != nil {
		t.Fatal(err)
	}
}
