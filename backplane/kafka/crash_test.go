package kafka_test

import (
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// ledger keeps the outcome of every attempt of a set of messages.
type ledger struct {
	mu     sync.Mutex
	stored map[uint64]bool
	other  map[uint64]backplane.Outcome
}

type attempt struct {
	ledger *ledger
	number uint64
}

func (a attempt) Done(out backplane.Outcome) {
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	if out.Status == backplane.Stored {
		a.ledger.stored[a.number] = true
	} else {
		a.ledger.other[a.number] = out
	}
}

func (l *ledger) outcomes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored) + len(l.other)
}

// produceUntil sends messages until stop is closed and returns how many were
// accepted. It rests for pause after each.
func (l *ledger) produceUntil(p *kafka.Producer, n int32, pause time.Duration, stop <-chan struct{}) uint64 {
	users := make([][]byte, n)
	for i := range users {
		users[i] = userIn(backplane.Partition(i), n, 0)
	}
	for number := uint64(0); ; {
		select {
		case <-stop:
			return number
		default:
		}
		s := newSend(number, users[number%uint64(n)], users[(number+1)%uint64(n)])
		if p.Produce(s, attempt{l, number}) == nil {
			number++
			time.Sleep(pause)
		} else {
			time.Sleep(time.Millisecond) // overloaded while the broker is away
		}
	}
}

// checkLog reads everything and fails the test unless every acknowledged message
// is in both of its partitions.
func (l *ledger) checkLog(t *testing.T, cfg kafka.Config) {
	t.Helper()
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	var all []backplane.Partition
	for p := range cfg.Partitions {
		all = append(all, backplane.Partition(p))
	}
	add(t, c, 0, all...)
	eventually(t, "the log is read", c.Ready)
	in := make(map[uint64]map[backplane.Partition]bool)
	for _, e := range j.all() {
		if in[e.number] == nil {
			in[e.number] = make(map[backplane.Partition]bool)
		}
		in[e.number][e.Partition] = true
	}
	n := uint64(cfg.Partitions)
	for number := range l.stored {
		for _, p := range []backplane.Partition{backplane.Partition(number % n), backplane.Partition((number + 1) % n)} {
			if !in[number][p] {
				t.Fatalf("message %d was acknowledged and is not in partition %d", number, p)
			}
		}
	}
	for number, out := range l.other {
		if out.Status == backplane.Rejected && len(in[number]) > 0 {
			t.Fatalf("message %d was rejected (%s) and is in the log", number, out.Code)
		}
	}
	t.Logf("%d acknowledged, %d not, %d records in the log", len(l.stored), len(l.other), j.len())
}

// The broker is killed again and again while messages are on their way, and comes
// back on its data. What was acknowledged is there, what was rejected is not, and
// everyone is told something.
func TestBrokerIsKilled(t *testing.T) {
	broker := kafkatest.Private(t)
	const n = 4
	cfg := broker.Config(t, n)
	cfg.Producer.AckTimeout = 10 * time.Second
	cfg.Producer.MaxRecords = 2000
	p := newProducer(t, cfg)
	following := newJournal()
	c := newConsumer(t, cfg, 2, following)
	add(t, c, 0, 0, 1, 2, 3)

	l := &ledger{stored: make(map[uint64]bool), other: make(map[uint64]backplane.Outcome)}
	stop := make(chan struct{})
	accepted := make(chan uint64)
	go func() { accepted <- l.produceUntil(p, n, 0, stop) }()
	storedSoFar := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.stored)
	}
	for range 2 {
		before := storedSoFar()
		eventually(t, "messages are stored", func() bool { return storedSoFar() > before+500 })
		broker.Kill()
		broker.Start(t)
	}
	before := storedSoFar()
	eventually(t, "messages are stored again", func() bool { return storedSoFar() > before })
	close(stop)
	sent := <-accepted
	eventually(t, "every message has an outcome", func() bool { return l.outcomes() == int(sent) })
	l.checkLog(t, cfg)

	// The consumer that was there all the time has the same, in order and once.
	eventually(t, "the consumer has followed", func() bool {
		return gauge(t, c, "godwit_kafka_consumer_lag_records", "0") == 0 && gauge(t, c, "godwit_kafka_consumer_lag_records", "1") == 0
	})
	if out := send(t, p, newSend(1<<40, userIn(0, n, 0), userIn(1, n, 0), userIn(2, n, 0), userIn(3, n, 0))); out.Status != backplane.Stored {
		t.Fatalf("afterwards: %+v", out)
	}
	for partition := range backplane.Partition(n) {
		eventually(t, "the last record", func() bool {
			entries := following.of(partition)
			return len(entries) > 0 && entries[len(entries)-1].number == 1<<40
		})
		ascending(t, following.of(partition), 0)
	}
}

// A broker that hangs keeps its connections: callers are told by our own timer,
// what waits stays within its bounds, and when the broker goes on, so do we.
func TestBrokerHangs(t *testing.T) {
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, 2)
	cfg.Producer.AckTimeout = 3 * time.Second
	cfg.Producer.MaxRecords = 500
	p := newProducer(t, cfg)
	a, b := userIn(0, 2, 0), userIn(1, 2, 0)
	if out := send(t, p, newSend(1, a, b)); out.Status != backplane.Stored {
		t.Fatalf("before: %+v", out)
	}
	if p.Heard().IsZero() {
		t.Error("a send is stored, and nobody was heard")
	}
	broker.Pause()
	paused := time.Now()
	resumed := false
	defer func() {
		if !resumed {
			broker.Resume()
		}
	}()
	outcomes := newTally()
	accepted := 0
	for i := range 1000 {
		if p.Produce(newSend(uint64(i+2), a, b), outcomes) == nil {
			accepted++
		}
	}
	if accepted != 250 {
		t.Errorf("%d accepted, want 250 sends of two records", accepted)
	}
	eventually(t, "all are told", func() bool { return outcomes.count() == accepted })
	if got := outcomes.of(backplane.Unknown); got != accepted {
		t.Errorf("%d unknown, want all %d", got, accepted)
	}
	if got := gauge(t, p, "godwit_kafka_producer_inflight_records"); got > 500 {
		t.Errorf("%v records in flight, want at most 500", got)
	}
	if p.Heard().After(paused) {
		t.Error("a broker that hangs was heard")
	}
	broker.Resume()
	resumed = true
	number := uint64(10_000)
	eventually(t, "sends are stored again", func() bool {
		w := newWaiter()
		number++
		return p.Produce(newSend(number, a, b), w) == nil && w.outcome(t).Status == backplane.Stored
	})
	if !p.Heard().After(paused) {
		t.Error("a send is stored again, and nobody was heard")
	}
}
