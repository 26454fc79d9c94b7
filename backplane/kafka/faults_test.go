package kafka_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// newFaulty returns a broker that can be told to fail, and the configuration of a
// messages topic on it.
func newFaulty(t *testing.T, partitions int32) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	cfg := kafka.DefaultConfig()
	cfg.Namespace = "faulty"
	cfg.Partitions = partitions
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, cfg.Topic()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg.Brokers = cluster.ListenAddrs()
	return cluster, cfg
}

// refuse makes the next count produce requests for partitions fail with err.
func refuse(cluster *kfake.Cluster, err *kerr.Error, count int, partitions ...int32) *kfake.FaultHandle {
	return cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Partitions: partitions, Err: err, Count: count,
	})
}

// stall makes the broker answer nothing from the next produce request on, until the
// function it returns is called; what came meanwhile is then handled. The request
// blocks the one goroutine of the broker: its own way to let requests sleep may
// lock up for ever when it is closed meanwhile.
func stall(t *testing.T, cluster *kfake.Cluster) (release func()) {
	t.Helper()
	released := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.DropControl()
		<-released
		return nil, nil, false
	})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	return release
}

func TestRefusals(t *testing.T) {
	const n = 4
	a, b := userIn(0, n, 0), userIn(1, n, 0)
	for _, test := range []struct {
		name   string
		err    *kerr.Error
		on     []int32 // the partitions whose record is refused
		status backplane.Status
		code   backplane.Code
	}{
		{"all too large", kerr.MessageTooLarge, []int32{0, 1}, backplane.Rejected, backplane.CodeTooLarge},
		{"one of two too large", kerr.MessageTooLarge, []int32{1}, backplane.Unknown, backplane.CodeUnavailable},
		{"the sender's too large", kerr.MessageTooLarge, []int32{0}, backplane.Unknown, backplane.CodeUnavailable},
		{"all forbidden", kerr.TopicAuthorizationFailed, []int32{0, 1}, backplane.Rejected, backplane.CodeForbidden},
		{"all invalid", kerr.InvalidRecord, []int32{0, 1}, backplane.Rejected, backplane.CodeForbidden},
		{"an error that does not tell", kerr.UnknownServerError, []int32{0, 1}, backplane.Unknown, backplane.CodeUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster, cfg := newFaulty(t, n)
			p := newProducer(t, cfg)
			if out := send(t, p, newSend(1, a, b)); out.Status != backplane.Stored {
				t.Fatalf("before the fault: %+v", out)
			}
			// The records of one send can go in one request or in two.
			fault := refuse(cluster, test.err, -1, test.on...)
			out := send(t, p, newSend(2, a, b))
			if out.Status != test.status || out.Code != test.code {
				t.Fatalf("outcome %+v, want status %d and code %q", out, test.status, test.code)
			}
			fault.Remove()
			if out := send(t, p, newSend(2, a, b)); out.Status != backplane.Stored {
				t.Fatalf("the retry: %+v", out)
			}
		})
	}
}

// A broker that appends a batch and says that it does not know makes the client
// try again. If that attempt is refused, the record is in the log all the same:
// the send must not be rejected.
func TestRefusalAfterAmbiguousAnswer(t *testing.T) {
	cluster, cfg := newFaulty(t, 1)
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	add(t, c, 0, 0)
	user := []byte("alice")

	refuse(cluster, kerr.NotEnoughReplicasAfterAppend, 1, 0) // appended, and answered so
	refuse(cluster, kerr.TopicAuthorizationFailed, 1, 0)
	out := send(t, p, newSend(1, user, user))
	if out.Status != backplane.Unknown || out.Code != backplane.CodeUnavailable {
		t.Fatalf("outcome %+v, want unknown", out)
	}
	eventually(t, "the record that was appended", func() bool { return j.len() == 1 })
	if out := send(t, p, newSend(2, user, user)); out.Status != backplane.Stored {
		t.Fatalf("afterwards: %+v", out)
	}
}

// The same when the answer is lost with its connection.
func TestRefusalAfterLostAnswer(t *testing.T) {
	cluster, cfg := newFaulty(t, 1)
	p := newProducer(t, cfg)
	user := []byte("alice")
	if out := send(t, p, newSend(1, user, user)); out.Status != backplane.Stored {
		t.Fatalf("before: %+v", out)
	}
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("the connection is to be closed"), true
	})
	refuse(cluster, kerr.MessageTooLarge, 1, 0)
	if out := send(t, p, newSend(2, user, user)); out.Status != backplane.Unknown {
		t.Fatalf("outcome %+v, want unknown", out)
	}
}

func TestSilentBroker(t *testing.T) {
	cluster, cfg := newFaulty(t, 2)
	cfg.Producer.AckTimeout = 2 * time.Second
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	add(t, c, 0, 0, 1)
	alice, bob := userIn(0, 2, 0), userIn(1, 2, 0)
	if out := send(t, p, newSend(1, alice, bob)); out.Status != backplane.Stored {
		t.Fatalf("before: %+v", out)
	}

	release := stall(t, cluster)
	begin := time.Now()
	first := newWaiter()
	if err := p.Produce(newSend(2, alice, bob), first); err != nil {
		t.Fatal(err)
	}
	// Retries while the first is in flight write nothing, however many.
	retries := newTally()
	for range 100 {
		if err := p.Produce(newSend(2, alice, bob), retries); err != nil {
			t.Fatal(err)
		}
	}
	if got := gauge(t, p, "godwit_kafka_producer_inflight_records"); got != 2 {
		t.Errorf("%v records in flight, want the 2 of one send", got)
	}
	out := first.outcome(t)
	if out.Status != backplane.Unknown || out.Code != backplane.CodeTimeout {
		t.Fatalf("outcome %+v, want unknown by timeout", out)
	}
	if waited := time.Since(begin); waited < cfg.Producer.AckTimeout {
		t.Errorf("answered after %v, before AckTimeout %v", waited, cfg.Producer.AckTimeout)
	}
	eventually(t, "all retries are answered", func() bool { return retries.count() == 100 })
	if got := retries.of(backplane.Unknown); got != 100 {
		t.Errorf("%d retries unknown, want 100", got)
	}
	first.silent(t)

	release()
	w := newWaiter()
	eventually(t, "the broker serves again", func() bool {
		if err := p.Produce(newSend(3, alice, bob), w); err != nil {
			return false
		}
		return w.outcome(t).Status == backplane.Stored
	})
	eventually(t, "nothing is in flight", func() bool { return gauge(t, p, "godwit_kafka_producer_inflight_records") == 0 })
	first.silent(t)
}

// A retry writes nothing and is told what the first attempt is told.
func TestRetryJoins(t *testing.T) {
	cluster, cfg := newFaulty(t, 1)
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	add(t, c, 0, 0)
	user := []byte("alice")
	if out := send(t, p, newSend(1, user, user)); out.Status != backplane.Stored {
		t.Fatalf("before: %+v", out)
	}
	release := stall(t, cluster)
	first, second := newWaiter(), newWaiter()
	if err := p.Produce(newSend(2, user, user), first); err != nil {
		t.Fatal(err)
	}
	if err := p.Produce(newSend(2, user, user), second); err != nil {
		t.Fatal(err)
	}
	release()
	a, b := first.outcome(t), second.outcome(t)
	if a.Status != backplane.Stored || a != b {
		t.Fatalf("outcomes %+v and %+v, want the same, stored", a, b)
	}
	eventually(t, "the records", func() bool { return j.len() >= 2 })
	if out := send(t, p, newSend(3, user, user)); out.Status != backplane.Stored {
		t.Fatalf("afterwards: %+v", out)
	}
	eventually(t, "the last record", func() bool { return j.len() >= 3 })
	seen := make(map[uint64]int)
	for _, e := range j.all() {
		seen[e.number]++
	}
	if seen[2] != 1 {
		t.Errorf("the joined send was written %d times, want once", seen[2])
	}
	if got := counter(t, p, "godwit_kafka_producer_joined_sends_total"); got != 1 {
		t.Errorf("%v joined, want 1", got)
	}
}

func TestSaturation(t *testing.T) {
	cluster, cfg := newFaulty(t, 4)
	cfg.Producer.MaxRecords = 200
	cfg.Producer.AckTimeout = 3 * time.Second
	p := newProducer(t, cfg)
	a, b := userIn(0, 4, 0), userIn(1, 4, 0)
	if out := send(t, p, newSend(1, a, b)); out.Status != backplane.Stored {
		t.Fatalf("before: %+v", out)
	}
	release := stall(t, cluster)
	outcomes := newTally()
	accepted, refused := 0, 0
	for i := range 1000 {
		err := p.Produce(newSend(uint64(10+i), a, b), outcomes)
		var r *backplane.Rejection
		switch {
		case err == nil:
			accepted++
		case errors.As(err, &r) && r.Code == backplane.CodeOverloaded:
			refused++
		default:
			t.Fatal(err)
		}
	}
	// Two records each, admitted together or not at all.
	if accepted != 100 || refused != 900 {
		t.Errorf("%d accepted and %d refused, want 100 and 900", accepted, refused)
	}
	if got := counter(t, p, "godwit_kafka_producer_rejected_sends_total", "overloaded"); got != 900 {
		t.Errorf("%v counted as overloaded, want 900", got)
	}
	release()
	eventually(t, "every accepted send has an outcome", func() bool { return outcomes.count() == accepted })
	eventually(t, "nothing is in flight", func() bool {
		return gauge(t, p, "godwit_kafka_producer_inflight_records") == 0 && gauge(t, p, "godwit_kafka_producer_inflight_bytes") == 0
	})
	if out := send(t, p, newSend(5000, a, b)); out.Status != backplane.Stored {
		t.Fatalf("afterwards: %+v", out)
	}
}

// The bytes of a send count once for each of its records.
func TestSaturationByBytes(t *testing.T) {
	cluster, cfg := newFaulty(t, 4)
	cfg.Producer.MaxBytes = 8 << 20
	p := newProducer(t, cfg)
	users := [][]byte{userIn(0, 4, 0), userIn(1, 4, 0), userIn(2, 4, 0), userIn(3, 4, 0)}
	release := stall(t, cluster)
	defer release()
	outcomes := newTally()
	accepted := 0
	for i := range 100 {
		s := newSend(uint64(i), users[0], users[1], users[2], users[3])
		s.Value = append(s.Value, make([]byte, 64<<10)...)
		if err := p.Produce(s, outcomes); err == nil {
			accepted++
		}
	}
	// A little over 256 KiB each.
	if accepted != 31 {
		t.Errorf("%d accepted, want 31", accepted)
	}
}

func TestTooLargeToTry(t *testing.T) {
	cfg := kafkatest.Embedded(t, 1)
	p := newProducer(t, cfg)
	s := newSend(1, []byte("alice"))
	s.Value = make([]byte, 1<<20)
	var r *backplane.Rejection
	if err := p.Produce(s, newWaiter()); !errors.As(err, &r) || r.Code != backplane.CodeTooLarge {
		t.Fatalf("error %v, want a rejection as too large", err)
	}
}

// Leaders move all the time; every message is stored once in each partition and
// handed out in order.
func TestLeadersMove(t *testing.T) {
	const n = 6
	cfg := kafka.DefaultConfig()
	cfg.Partitions = n
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(n, cfg.Topic()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg.Brokers = cluster.ListenAddrs()
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	add(t, c, 0, 0, 1, 2, 3, 4, 5)
	l := &ledger{stored: make(map[uint64]bool), other: make(map[uint64]backplane.Outcome)}
	stop := make(chan struct{})
	accepted := make(chan uint64)
	go func() { accepted <- l.produceUntil(p, n, 0, stop) }()
	for i := range 30 {
		before := l.outcomes()
		if err := cluster.MoveTopicPartition(cfg.Topic(), int32(i%n), int32((i+i/n)%3)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "messages go on", func() bool { return l.outcomes() > before+20 })
	}
	close(stop)
	sent := <-accepted
	eventually(t, "every message has an outcome", func() bool { return l.outcomes() == int(sent) })
	if len(l.other) > 0 {
		t.Errorf("%d of %d messages were not stored", len(l.other), sent)
	}
	eventually(t, "every record", func() bool { return j.len() >= 2*int(sent) })
	if got := j.len(); got != 2*int(sent) {
		t.Errorf("%d records, want %d", got, 2*sent)
	}
	for partition := range backplane.Partition(n) {
		ascending(t, j.of(partition), 0)
	}
}
