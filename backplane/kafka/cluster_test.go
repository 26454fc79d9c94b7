package kafka_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/twmb/franz-go/pkg/kadm"
)

// leader returns the index of the node that leads a partition, -1 if none does.
func leader(t *testing.T, admin *kadm.Client, topic string, p backplane.Partition) int {
	t.Helper()
	topics, err := admin.ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return int(topics[topic].Partitions[int32(p)].Leader) - 1
}

// The leader of a partition is killed, another is paused, in a cluster of three. Every
// way to use the log goes on with those that are left, and what was acknowledged is in
// it.
func TestLeadersAreLost(t *testing.T) {
	nodes := kafkatest.Cluster(t, 3)
	const n = 3
	cfg := nodes.Config(t, n)
	if findings, err := kafka.Verify(t.Context(), cfg, false); err != nil {
		t.Fatalf("the topic is not as a cluster should have it: %v, %v", err, findings)
	}
	admin := newAdmin(t, cfg)
	p := newProducer(t, cfg)
	r := newReader(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	add(t, c, 0, 0, 1, 2)
	s := newStore(t)
	join(t, cfg, &member{store: s, name: "member"})
	l := &ledger{stored: make(map[uint64]bool), other: make(map[uint64]backplane.Outcome)}
	stop := make(chan struct{})
	var producing sync.WaitGroup
	var attempts uint64
	producing.Go(func() { attempts = l.produceUntil(p, n, time.Millisecond, stop) })
	finish := sync.OnceFunc(func() { close(stop) })
	defer finish()

	// reads fails the test unless what is there, and what comes from now on, is read in
	// all ways.
	reads := func(what string) {
		t.Helper()
		from := int64(0)
		for range 2 {
			to := s.applied(0)
			if got := scan(t, r, 0, from, to); !slices.Equal(got, sequence(from, to)) {
				t.Errorf("%s: a scan got %d records, want %d", what, len(got), to-from)
			}
			eventually(t, what+": the group goes on", func() bool { return s.applied(0) > to+10 })
			from = to
		}
		to := s.applied(0)
		eventually(t, what+": the consumer goes on", func() bool {
			of := j.of(0)
			return len(of) > 0 && of[len(of)-1].Offset >= to
		})
		if _, end, err := r.Bounds(t.Context(), 0); err != nil || end < to {
			t.Errorf("%s: the end is %d, %v; want at least %d", what, end, err, to)
		}
	}
	reads("at first")

	lost := nodes[leader(t, admin, cfg.Topic(), 0)]
	lost.Kill()
	reads("killed")
	lost.Start(t)
	// min.insync.replicas is 2, so the next may go only when this one is back.
	eventually(t, "all replicas are in sync", func() bool {
		topics, err := admin.ListTopics(t.Context(), cfg.Topic())
		if err != nil {
			return false
		}
		for _, partition := range topics[cfg.Topic()].Partitions {
			if len(partition.ISR) < 3 {
				return false
			}
		}
		return true
	})
	lost = nodes[leader(t, admin, cfg.Topic(), 0)]
	lost.Pause()
	// Who begins to read now reads what others lead, and the rest when that has a leader.
	late := newConsumer(t, cfg, 2, newJournal())
	add(t, late, 0, 0, 1, 2)
	reads("paused")
	eventually(t, "who began while it was paused reads all", late.Ready)
	lost.Resume()
	reads("resumed")

	finish()
	producing.Wait()
	eventually(t, "every attempt has an outcome", func() bool { return l.outcomes() == int(attempts) })
	l.checkLog(t, cfg)
	ascending(t, j.of(0), 0)
}
