package kafka_test

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestSendReachesEveryPartitionOnce(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const n = 8
		cfg := b.Config(t, n)
		p := newProducer(t, cfg)
		j := newJournal()
		c := newConsumer(t, cfg, 2, j)
		add(t, c, 0, 0, 1, 2, 3, 4, 5, 6, 7)

		alice, bob := userIn(2, n, 0), userIn(2, n, 1)
		carol, dave := userIn(5, n, 0), userIn(7, n, 0)
		before := time.Now().UnixMilli()
		// Carol twice and the sender among the recipients: each is a recipient once.
		out := send(t, p, newSend(41, alice, carol, bob, carol, dave, alice))
		after := time.Now().UnixMilli()
		if out.Status != backplane.Stored || out.Code != "" {
			t.Fatalf("outcome %+v, want stored", out)
		}
		if out.Time < before || out.Time > after {
			t.Errorf("log time %d is not between %d and %d", out.Time, before, after)
		}
		eventually(t, "three records", func() bool { return j.len() == 3 })
		want := map[backplane.Partition][]string{
			2: {string(alice), string(bob)},
			5: {string(carol)},
			7: {string(dave)},
		}
		for _, e := range j.all() {
			if !slices.Equal(e.recipients, want[e.Partition]) {
				t.Errorf("partition %d has recipients %q, want %q", e.Partition, e.recipients, want[e.Partition])
			}
			if e.number != 41 || e.session != 42 || e.Generation != cfg.Generation {
				t.Errorf("record %+v does not tell of the send", e)
			}
			if e.Partition == 2 && e.time != out.Time {
				t.Errorf("the sender's record has log time %d, the ack said %d", e.time, out.Time)
			}
		}
	})
}

func TestBackendSendHasNoSession(t *testing.T) {
	cfg := kafkatest.Embedded(t, 1)
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	add(t, c, 0, 0)
	s := newSend(1, []byte("alice"), []byte("bob"))
	s.Session = 0
	if out := send(t, p, s); out.Status != backplane.Stored {
		t.Fatalf("outcome %+v, want stored", out)
	}
	eventually(t, "the record", func() bool { return j.len() == 1 })
	if e := j.all()[0]; e.session != 0 {
		t.Errorf("session %d, want none", e.session)
	}
}

// The time in the ack is the time of the record in the log, for every record of a
// stream whose batches hold many and follow each other.
func TestAckTellsLogTime(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const n, sends = 4, 2000
		cfg := b.Config(t, n)
		p := newProducer(t, cfg)
		j := newJournal()
		c := newConsumer(t, cfg, 2, j)
		add(t, c, 0, 0, 1, 2, 3)
		waiters := make([]*waiter, sends)
		for i := range waiters {
			waiters[i] = newWaiter()
			from := userIn(backplane.Partition(i%n), n, 0)
			to := userIn(backplane.Partition((i+i/n)%n), n, 1)
			if err := p.Produce(newSend(uint64(i), from, to), waiters[i]); err != nil {
				t.Fatal(err)
			}
		}
		told := make(map[uint64]int64)
		records := 0
		for i, w := range waiters {
			out := w.outcome(t)
			if out.Status != backplane.Stored {
				t.Fatalf("send %d: %+v", i, out)
			}
			told[uint64(i)] = out.Time
			records++
			if (i+i/n)%n != i%n {
				records++
			}
		}
		eventually(t, "all records", func() bool { return j.len() >= records })
		for _, e := range j.all() {
			sender := backplane.Partition(int(e.number) % n)
			if e.Partition == sender && e.time != told[e.number] {
				t.Fatalf("send %d: the log says %d, the ack said %d", e.number, e.time, told[e.number])
			}
		}
	})
}

func TestOrderWithinPartition(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const records = 10_000
		cfg := b.Config(t, 3)
		p := newProducer(t, cfg)
		j := newJournal()
		c := newConsumer(t, cfg, 2, j)
		add(t, c, 0, 1)
		user := userIn(1, 3, 0)
		outcomes := newTally()
		for i := range records {
			if err := p.Produce(newSend(uint64(i), user, user), outcomes); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all outcomes", func() bool { return outcomes.count() == records })
		if got := outcomes.of(backplane.Stored); got != records {
			t.Fatalf("%d sends stored, want %d", got, records)
		}
		eventually(t, "all records", func() bool { return j.len() >= records })
		entries := j.all()
		if len(entries) != records {
			t.Fatalf("%d records, want %d", len(entries), records)
		}
		ascending(t, entries, 0)
		for i, e := range entries {
			if e.number != uint64(i) {
				t.Fatalf("record %d is send %d", i, e.number)
			}
		}
	})
}

// A caller may use its buffers again when Produce returns.
func TestProduceCopies(t *testing.T) {
	cfg := kafkatest.Embedded(t, 4)
	cfg.Producer.Linger = 100 * time.Millisecond // the records wait while the test writes
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	add(t, c, 0, 0, 1, 2, 3)
	from, to := userIn(0, 4, 0), userIn(3, 4, 0)
	s := newSend(7, slices.Clone(from), slices.Clone(to))
	w := newWaiter()
	if err := p.Produce(s, w); err != nil {
		t.Fatal(err)
	}
	clear(s.From)
	clear(s.To[0])
	clear(s.Value)
	if out := w.outcome(t); out.Status != backplane.Stored {
		t.Fatalf("outcome %+v, want stored", out)
	}
	eventually(t, "two records", func() bool { return j.len() == 2 })
	for _, e := range j.all() {
		want := string(from)
		if e.Partition == 3 {
			want = string(to)
		}
		if e.number != 7 || len(e.recipients) != 1 || e.recipients[0] != want {
			t.Errorf("record %+v, want send 7 for %s", e, want)
		}
	}
}
