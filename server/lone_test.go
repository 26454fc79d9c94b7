package server

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestClockAhead starts a node whose clock is an hour ahead of the log's: it knows what was
// stored just before, so a retry of that is not delivered a second time.
func TestClockAhead(t *testing.T) {
	kafkaOf := func(o Options) kafka.Config {
		t.Helper()
		kc, err := KafkaConfig(o.Config, o.Log)
		if err != nil {
			t.Fatal(err)
		}
		return kc
	}
	from := options(t)
	first := startNode(t, from)
	say(t, first, "ann", "bob", "once")
	first.stop()

	to := options(t)
	bobs := backplane.PartitionOf("bob", to.Config.Kafka.Partitions)
	at := time.Now().Add(-time.Hour)
	kafkatest.Copy(t, kafkaOf(from), kafkaOf(to), bobs, at)
	second := startNode(t, to)
	heard := hear(t, second, to.Key, "bob")
	kafkatest.Copy(t, kafkaOf(from), kafkaOf(to), bobs, at.Add(time.Second))
	say(t, second, "ann", "bob", "later")
	eventually(t, "the later message is heard", func() bool { return slices.Contains(heard(), "later") })
	if got := heard(); len(got) != 1 {
		t.Errorf("bob hears %q, want the later message only", got)
	}
}
