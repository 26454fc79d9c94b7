package kafkatest

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// Copy appends the first record of a partition of one topic to the same partition of
// another, as if it were written at a time: an embedded broker believes that, Apache Kafka
// sets the log time itself. It waits until there is a record.
func Copy(t testing.TB, from, to kafka.Config, p backplane.Partition, at time.Time) {
	t.Helper()
	reader := client(t, from, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		from.Topic(): {int32(p): kgo.NewOffset().AtStart()},
	}))
	defer reader.Close()
	fetches := reader.PollRecords(t.Context(), 1)
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	first := fetches.Records()[0]
	writer := client(t, to, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer writer.Close()
	again := &kgo.Record{Topic: to.Topic(), Partition: int32(p), Key: first.Key, Value: first.Value, Headers: first.Headers, Timestamp: at}
	if err := writer.ProduceSync(t.Context(), again).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// client returns a client of a topic's brokers.
func client(t testing.TB, cfg kafka.Config, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(cfg.Brokers...))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
