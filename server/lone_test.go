package server

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestClockAhead starts a node whose clock is an hour ahead of the log's: it knows what was
// stored just before, so a retry of that is not delivered a second time.
func TestClockAhead(t *testing.T) {
	o := options(t)
	first := startNode(t, o)
	say(t, first, "ann", "bob", "once")
	first.stop()
	kc, err := KafkaConfig(o.Config, o.Log)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(kc.Brokers...), kgo.ConsumeTopics(kc.Topic()))
	if err != nil {
		t.Fatal(err)
	}
	var stored *kgo.Record // what bob has of it
	for bobs := backplane.PartitionOf("bob", kc.Partitions); stored == nil; {
		fetches := reader.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Partition == int32(bobs) {
				stored = r
			}
		})
	}
	reader.Close()

	// The embedded broker takes the log time from who writes.
	o = options(t)
	if kc, err = KafkaConfig(o.Config, o.Log); err != nil {
		t.Fatal(err)
	}
	writer, err := kgo.NewClient(kgo.SeedBrokers(kc.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	write := func(at time.Time) {
		t.Helper()
		again := &kgo.Record{Topic: kc.Topic(), Partition: stored.Partition, Key: stored.Key, Value: stored.Value, Headers: stored.Headers, Timestamp: at}
		if err := writer.ProduceSync(t.Context(), again).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().Add(-time.Hour)
	write(at)
	second := startNode(t, o)
	heard := hear(t, second, o.Key, "bob")
	write(at.Add(time.Second))
	say(t, second, "ann", "bob", "later")
	eventually(t, "the later message is heard", func() bool { return slices.Contains(heard(), "later") })
	if got := heard(); len(got) != 1 {
		t.Errorf("bob hears %q, want the later message only", got)
	}
}
