package kafka_test

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaderless are the ways to have the brokers tell nothing of partition 1.
var leaderless = map[string]kfake.Fault{
	"nobody leads it":               {Keys: []kmsg.Key{kmsg.Metadata}, Err: kerr.LeaderNotAvailable},
	"its leader does not know that": {Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.NotLeaderForPartition},
	"its leader refuses":            {Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.TopicAuthorizationFailed},
}

// Of partitions that are added together, one has no leader that answers. The others are
// read; it is shown as failed, and read from where it was to be as soon as that is known.
func TestPartitionWithoutLeader(t *testing.T) {
	for name, fault := range leaderless {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, cfg := newFaulty(t, 3)
			p := newProducer(t, cfg)
			fill(t, p, 3, 0, 10, 0, 1, 2)
			since := time.Now().Add(time.Hour).UnixMilli() // where a partition has no such record, its end
			j := newJournal()
			c := newConsumer(t, cfg, 2, j)
			fault.Count, fault.Partitions = -1, []int32{1}
			failing := cluster.Fault(fault)
			if err := c.AddEach(map[backplane.Partition]int64{0: 0, 1: 0, 2: since}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the others are read", func() bool { return len(j.of(0)) == 10 && c.Reached(0) && c.Reached(2) })
			if c.Reached(1) || c.Ready() {
				t.Error("a partition that nobody tells of is reached")
			}
			wantFailed(t, c, 1, 3)
			failing.Remove()
			eventually(t, "all are read", c.Ready)
			wantFailed(t, c, 0, 3)
			ascending(t, j.of(1), 0)
			if len(j.of(1)) != 10 || len(j.of(2)) != 0 || len(j.begun()) != 3 {
				t.Errorf("%d and %d records, %d beginnings", len(j.of(1)), len(j.of(2)), len(j.begun()))
			}
			for _, b := range j.begun() {
				if want := map[backplane.Partition]begin{0: {0, 0, 0, b.after}, 1: {1, 0, 0, b.after}, 2: {2, 10, since, b.after}}; b != want[b.partition] {
					t.Errorf("it began with %+v, want %+v", b, want[b.partition])
				}
			}
		})
	}
}

// A partition that has no leader is removed before it has one, and added again.
func TestRemovedWithoutLeader(t *testing.T) {
	cluster, cfg := newFaulty(t, 2)
	cfg.Consumer.OffsetTimeout = 500 * time.Millisecond // less than the patience with leaders
	p := newProducer(t, cfg)
	fill(t, p, 2, 0, 10, 0, 1)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	fault := leaderless["nobody leads it"]
	fault.Count, fault.Partitions = -1, []int32{1}
	failing := cluster.Fault(fault)
	add(t, c, 0, 0, 1)
	c.Remove([]backplane.Partition{1})
	eventually(t, "it does not count any more", c.Ready)
	wantFailed(t, c, 0, 1)
	add(t, c, 0, 1)
	wantFailed(t, c, 1, 2)
	failing.Remove()
	eventually(t, "it is read", c.Ready)
	ascending(t, j.of(1), 0)
	if len(j.of(1)) != 10 || len(j.begun()) != 2 || len(j.ended()) != 0 {
		t.Errorf("%d records, %d beginnings, %d ends", len(j.of(1)), len(j.begun()), len(j.ended()))
	}
}

// wantFailed checks how many partitions are shown as failed, of those that are assigned.
func wantFailed(t *testing.T, c *kafka.Consumer, failed, assigned float64) {
	t.Helper()
	if got := gauge(t, c, "godwit_kafka_consumer_failed_partitions"); got != failed {
		t.Errorf("%v partitions are shown as failed, want %v", got, failed)
	}
	if got := gauge(t, c, "godwit_kafka_consumer_assigned_partitions"); got != assigned {
		t.Errorf("%v partitions are shown as assigned, want %v", got, assigned)
	}
}
