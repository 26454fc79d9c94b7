package kafka_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
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

// fill stores count sends in each of the partitions; each writes one record.
func fill(t *testing.T, p *kafka.Producer, n int32, first uint64, count int, partitions ...backplane.Partition) {
	t.Helper()
	outcomes := newTally()
	for i := range count {
		for _, partition := range partitions {
			user := userIn(partition, n, 0)
			number := first + uint64(i)*uint64(n) + uint64(partition)
			if err := p.Produce(newSend(number, user, user), outcomes); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := count * len(partitions)
	eventually(t, "all sends have an outcome", func() bool { return outcomes.count() == want })
	if got := outcomes.of(backplane.Stored); got != want {
		t.Fatalf("%d sends stored, want %d", got, want)
	}
}

func TestAddAndRemoveAtRunTime(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const n = 4
		cfg := b.Config(t, n)
		p := newProducer(t, cfg)
		j := newJournal()
		c := newConsumer(t, cfg, 2, j)
		if !c.Ready() {
			t.Error("not ready with nothing assigned")
		}
		fill(t, p, n, 0, 50, 0, 1, 2, 3)
		add(t, c, 0, 0, 1)
		eventually(t, "ready", c.Ready)
		if got := j.len(); got != 100 {
			t.Fatalf("ready with %d records handed out, want the 100 of two partitions", got)
		}
		c.Remove([]backplane.Partition{0, 3})
		fill(t, p, n, 1000, 50, 0, 1, 2, 3)
		eventually(t, "the rest of partition 1", func() bool { return len(j.of(1)) == 100 })
		if got := len(j.of(0)); got != 50 {
			t.Errorf("%d records of a removed partition, want the first 50", got)
		}
		// From the beginning again, and one that is read already stays as it is.
		add(t, c, 0, 0, 1, 2)
		eventually(t, "ready again", c.Ready)
		for partition, want := range map[backplane.Partition]int{0: 150, 1: 100, 2: 100, 3: 0} {
			if got := len(j.of(partition)); got != want {
				t.Errorf("%d records of partition %d, want %d", got, partition, want)
			}
		}
		ascending(t, j.of(0)[:50], 0)
		ascending(t, j.of(0)[50:], 0)
		ascending(t, j.of(1), 0)
		ascending(t, j.of(2), 0)
	})
}

func TestAddSince(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		p := newProducer(t, cfg)
		fill(t, p, 1, 0, 10, 0)
		// Log times are in milliseconds: send until one differs from the one before.
		last := send(t, p, newSend(100, []byte("a"))).Time
		since, number := last, uint64(101)
		eventually(t, "a later millisecond", func() bool {
			since = send(t, p, newSend(number, []byte("a"))).Time
			number++
			return since > last
		})
		fill(t, p, 1, 1_000_000, 5, 0)

		all := newJournal()
		add(t, newConsumer(t, cfg, 1, all), 0, 0)
		later := newJournal()
		add(t, newConsumer(t, cfg, 1, later), since, 0)
		ahead := newJournal()
		atEnd := newConsumer(t, cfg, 1, ahead)
		add(t, atEnd, time.Now().Add(time.Hour).UnixMilli(), 0)
		eventually(t, "ready at the end", atEnd.Ready)
		fill(t, p, 1, 2_000_000, 1, 0)

		eventually(t, "the last record in all three", func() bool {
			last := func(j *journal) bool {
				entries := j.all()
				return len(entries) > 0 && entries[len(entries)-1].number == 2_000_000
			}
			return last(all) && last(later) && last(ahead)
		})
		if got := ahead.len(); got != 1 {
			t.Errorf("%d records from the end, want 1", got)
		}
		var first int64 = -1
		for _, e := range all.all() {
			if e.time >= since {
				first = e.Offset
				break
			}
		}
		if got := later.all()[0].Offset; got != first {
			t.Errorf("reading since %d began at offset %d, want %d", since, got, first)
		}
	})
}

// A handler that blocks stops its own worker only. What waits for it stays in the
// log beyond a bound, and none of it is lost or doubled.
func TestBlockedWorker(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const n, count = 4, 2000
		cfg := b.Config(t, n)
		cfg.Consumer.QueueRecords = 100
		cfg.Consumer.PollRecords = 50
		p := newProducer(t, cfg)
		j := newJournal()
		c := newConsumer(t, cfg, 2, j)
		release := j.block(0)
		defer release()
		add(t, c, 0, 0, 1, 2, 3)
		fill(t, p, n, 0, count, 0, 1, 2, 3)
		eventually(t, "the other worker has everything", func() bool { return len(j.of(1))+len(j.of(3)) == 2*count })
		if got := len(j.of(0)) + len(j.of(2)); got != 0 {
			t.Errorf("%d records of the blocked worker, want none", got)
		}
		eventually(t, "the blocked worker is paused", func() bool { return gauge(t, c, "godwit_kafka_consumer_paused_workers") == 1 })
		if got := gauge(t, c, "godwit_kafka_consumer_queued_records", "0"); got > 150 {
			t.Errorf("%v records queued, want at most the mark of 100 and one poll of 50", got)
		}
		release()
		eventually(t, "everything", func() bool { return j.len() >= n*count })
		for partition := range backplane.Partition(n) {
			entries := j.of(partition)
			if len(entries) != count {
				t.Fatalf("%d records of partition %d, want %d", len(entries), partition, count)
			}
			ascending(t, entries, 0)
		}
		eventually(t, "nobody is paused", func() bool { return gauge(t, c, "godwit_kafka_consumer_paused_workers") == 0 })
		if got := counter(t, c, "godwit_kafka_consumer_pauses_total"); got < 2 {
			t.Errorf("%v pauses, want several", got)
		}
	})
}

func TestBytesPause(t *testing.T) {
	cfg := kafkatest.Embedded(t, 1)
	cfg.Consumer.QueueBytes = 50_000
	cfg.Consumer.PollRecords = 10
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	release := j.block(0)
	defer release()
	add(t, c, 0, 0)
	fill(t, p, 1, 0, 1000, 0)
	eventually(t, "the worker is paused", func() bool { return gauge(t, c, "godwit_kafka_consumer_paused_workers") == 1 })
	if got := gauge(t, c, "godwit_kafka_consumer_queued_records", "0"); got > 200 {
		t.Errorf("%v records queued, want about 150", got)
	}
	release()
	eventually(t, "everything", func() bool { return j.len() >= 1000 })
	ascending(t, j.all(), 0)
}

// Partitions come and go while workers are paused and resumed all the time. A
// removal drops what the client has buffered for all partitions, and records that
// were polled for a partition must not turn up after it was added again.
func TestNothingIsLostOrDoubled(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		t.Parallel()
		const n, count = 8, 2000
		cfg := b.Config(t, n)
		cfg.Consumer.QueueRecords = 64
		cfg.Consumer.PollRecords = 32
		p := newProducer(t, cfg)
		j := newJournal()
		c := newConsumer(t, cfg, 3, j)
		steady := []backplane.Partition{0, 1, 2, 3, 4}
		add(t, c, 0, steady...)

		stop := make(chan struct{})
		var churn sync.WaitGroup
		churn.Go(func() {
			for moving := []backplane.Partition{5, 6, 7}; ; {
				select {
				case <-stop:
					return
				default:
				}
				if err := c.Add(moving, 0); err != nil {
					t.Error(err)
					return
				}
				release := j.block(rand.IntN(3))
				time.AfterFunc(time.Duration(rand.IntN(20))*time.Millisecond, release)
				time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
				c.Remove(moving)
				for _, partition := range moving {
					if got := j.inRecord(partition); got != 0 {
						t.Errorf("%d Record calls for partition %d run after it was removed", got, partition)
					}
				}
			}
		})
		fill(t, p, n, 0, count, 0, 1, 2, 3, 4, 5, 6, 7)
		eventually(t, "the steady partitions are complete", func() bool {
			for _, partition := range steady {
				if len(j.of(partition)) < count {
					return false
				}
			}
			return true
		})
		close(stop)
		churn.Wait()
		for _, partition := range steady {
			entries := j.of(partition)
			if len(entries) != count {
				t.Fatalf("%d records of partition %d, want %d", len(entries), partition, count)
			}
			ascending(t, entries, 0)
		}
		// Each time a moving partition was added, it was read from its start without a
		// hole.
		for _, partition := range []backplane.Partition{5, 6, 7} {
			entries := j.of(partition)
			for begin := 0; begin < len(entries); {
				end := begin + 1
				for end < len(entries) && entries[end].Offset != 0 {
					end++
				}
				ascending(t, entries[begin:end], 0)
				begin = end
			}
		}
	})
}

func TestRemoveWaitsForRecord(t *testing.T) {
	cfg := kafkatest.Embedded(t, 2)
	p := newProducer(t, cfg)
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	release := j.block(0)
	defer release()
	add(t, c, 0, 0, 1)
	fill(t, p, 2, 0, 10, 0, 1)
	eventually(t, "worker 0 is in Record", func() bool { return j.inRecord(0) == 1 })
	removed := make(chan struct{})
	go func() {
		defer close(removed)
		c.Remove([]backplane.Partition{0})
	}()
	// A removal of what another worker has does not wait.
	c.Remove([]backplane.Partition{1})
	eventually(t, "Remove has begun", func() bool { return gauge(t, c, "godwit_kafka_consumer_assigned_partitions") == 0 })
	select {
	case <-removed:
		t.Fatal("Remove returned while Record was running")
	default:
	}
	release()
	<-removed
	if got := j.len(); j.inRecord(0) != 0 || len(j.of(0)) != 1 {
		t.Errorf("%d records, %d of them of partition 0; want the one that was running", got, len(j.of(0)))
	}
	fill(t, p, 2, 100, 10, 0, 1)
	if got := len(j.of(0)); got != 1 {
		t.Errorf("%d records of a removed partition, want 1", got)
	}
}

func TestReadyWaitsForHandler(t *testing.T) {
	cfg := kafkatest.Embedded(t, 2)
	p := newProducer(t, cfg)
	fill(t, p, 2, 0, 10, 0, 1)
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	release := j.block(0)
	defer release()
	add(t, c, 0, 0, 1)
	eventually(t, "worker 1 is done", func() bool { return len(j.of(1)) == 10 })
	if c.Ready() || c.Reached(0) {
		t.Error("ready while a partition waits for its handler")
	}
	if c.Heard().IsZero() {
		t.Error("there are records, and nobody was heard")
	}
	eventually(t, "partition 1 has come to its end", func() bool { return c.Reached(1) })
	release()
	eventually(t, "ready", c.Ready)
	if !c.Reached(0) {
		t.Error("ready, and a partition has not come to its end")
	}
	if got := j.len(); got != 20 {
		t.Errorf("ready with %d records, want 20", got)
	}
	// A partition that is removed is not waited for.
	release = j.block(0)
	defer release()
	c.Remove([]backplane.Partition{0})
	if c.Reached(0) {
		t.Error("a partition that is not read has come to its end")
	}
	add(t, c, 0, 0)
	eventually(t, "worker 0 is in Record", func() bool { return j.inRecord(0) == 1 })
	if c.Ready() {
		t.Error("ready while a partition waits for its handler")
	}
	removed := make(chan struct{})
	go func() {
		defer close(removed)
		c.Remove([]backplane.Partition{0})
	}()
	eventually(t, "ready", c.Ready)
	release()
	<-removed
}

func TestTicks(t *testing.T) {
	cfg := kafkatest.Embedded(t, 1)
	j := newJournal()
	newConsumer(t, cfg, 3, j)
	eventually(t, "every worker ticks", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.ticks[0] > 0 && j.ticks[1] > 0 && j.ticks[2] > 0
	})
}

// An error that the client reports, and would stop at, does not stop us, and loses
// and doubles nothing.
func TestPartitionErrors(t *testing.T) {
	for _, test := range []struct {
		err   *kerr.Error
		class string
		count int // the client passes on the sixth unknown topic id only
	}{
		{kerr.OffsetOutOfRange, "offset_out_of_range", 2},
		{kerr.TopicAuthorizationFailed, "forbidden", 2},
		{kerr.UnknownServerError, "other", 2},
		{kerr.UnknownTopicID, "unknown_topic", 8}, // of a broker that does not know it yet
	} {
		t.Run(test.class, func(t *testing.T) {
			cluster, cfg := newFaulty(t, 2)
			p := newProducer(t, cfg)
			j := newJournal()
			c := newConsumer(t, cfg, 1, j)
			add(t, c, 0, 0, 1)
			fill(t, p, 2, 0, 100, 0, 1)
			eventually(t, "the first records", func() bool { return j.len() == 200 })
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Partitions: []int32{0}, Err: test.err, Count: test.count})
			fill(t, p, 2, 1000, 100, 0, 1)
			eventually(t, "all records", func() bool { return j.len() >= 400 })
			ascending(t, j.of(0), 0)
			ascending(t, j.of(1), 0)
			if got := counter(t, c, "godwit_kafka_consumer_partition_errors_total", test.class); got == 0 {
				t.Errorf("no error of class %s was counted", test.class)
			}
			eventually(t, "no partition has failed", func() bool { return gauge(t, c, "godwit_kafka_consumer_failed_partitions") == 0 })
			if err := c.Err(); err != nil {
				t.Errorf("Err is %v, want nil", err)
			}
		})
	}
}

// Records that the log deleted before they were read are counted as lost, and the
// partition goes on where the log begins.
func TestRecordsDeletedBeforeRead(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		cfg.Consumer.QueueRecords = 10
		cfg.Consumer.PollRecords = 10
		p := newProducer(t, cfg)
		fill(t, p, 1, 0, 1000, 0)
		j := newJournal()
		c := newConsumer(t, cfg, 1, j)
		release := j.block(0)
		defer release()
		add(t, c, 0, 0)
		eventually(t, "the worker is paused", func() bool { return gauge(t, c, "godwit_kafka_consumer_paused_workers") == 1 })

		deleteBefore(t, cfg, 0, 900)
		release()
		eventually(t, "the last record", func() bool {
			entries := j.all()
			return len(entries) > 0 && entries[len(entries)-1].Offset == 999
		})
		entries := j.all()
		read := len(entries) - 100
		ascending(t, entries[:read], 0)
		ascending(t, entries[read:], 900)
		if got := counter(t, c, "godwit_kafka_consumer_lost_records_total"); got != float64(900-read) {
			t.Errorf("%v records counted as lost, want %d", got, 900-read)
		}
		beginsAgain(t, j, read, 900)
		eventually(t, "ready", c.Ready)
	})
}

func TestTopicMadeAnew(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		t.Parallel() // the client needs ten seconds to be sure
		cfg := b.Config(t, 1)
		p := newProducer(t, cfg)
		j := newJournal()
		c := newConsumer(t, cfg, 1, j)
		add(t, c, 0, 0)
		fill(t, p, 1, 0, 10, 0)
		eventually(t, "the records", func() bool { return j.len() == 10 })
		makeAnew(t, b, cfg)
		eventually(t, "the consumer says so", func() bool { return c.Err() != nil })
		if got := gauge(t, c, "godwit_kafka_consumer_failed_partitions"); got != 1 {
			t.Errorf("%v partitions failed, want 1", got)
		}
		if err := c.Err(); !errors.Is(err, kafka.ErrTopicReplaced) || !strings.Contains(err.Error(), cfg.Topic()) {
			t.Errorf("Err is %v, want that %s was replaced", err, cfg.Topic())
		}
		if err := c.Add([]backplane.Partition{0}, 0); !errors.Is(err, kafka.ErrTopicReplaced) {
			t.Errorf("Add: %v, want that the topic was replaced", err)
		}
	})
}

func TestAddErrors(t *testing.T) {
	cfg := kafkatest.Embedded(t, 4)
	c := newConsumer(t, cfg, 1, newJournal())
	if err := c.Add([]backplane.Partition{4}, 0); err == nil || !strings.Contains(err.Error(), "partition 4") {
		t.Errorf("error %v for a partition that is not there", err)
	}
	if err := c.Add(nil, 0); err != nil {
		t.Errorf("error %v for no partitions", err)
	}
	c.Close()
	if err := c.Add([]backplane.Partition{1}, 0); err != kafka.ErrClosed {
		t.Errorf("error %v after Close, want ErrClosed", err)
	}
	c.Remove([]backplane.Partition{1})

	missing := cfg
	missing.Generation = 9
	missing.Consumer.OffsetTimeout = 300 * time.Millisecond
	c = newConsumer(t, missing, 1, newJournal())
	if err := c.Add([]backplane.Partition{1}, 0); err == nil || !strings.Contains(err.Error(), missing.Topic()) {
		t.Errorf("error %v for a topic that is not there", err)
	}
}

// panicVariable makes the test below panic in a handler.
const panicVariable = "GODWIT_TEST_PANIC"

func TestPanicEndsTheProcess(t *testing.T) {
	if os.Getenv(panicVariable) == "1" {
		cfg := kafkatest.Embedded(t, 1)
		p := newProducer(t, cfg)
		c, err := kafka.NewConsumer(cfg, 1, func(int) backplane.Handler { return panicking{} })
		if err != nil {
			t.Fatal(err)
		}
		add(t, c, 0, 0)
		send(t, p, newSend(1, []byte("a")))
		time.Sleep(patience)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicEndsTheProcess$")
	cmd.Env = append(os.Environ(), panicVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: the handler fails") {
		t.Errorf("the process ended with %v and said:\n%s", err, out)
	}
}

type panicking struct{}

func (panicking) Begin(backplane.Partition, int64, int64) {}
func (panicking) Record(*backplane.Record)                { panic("the handler fails") }
func (panicking) End(backplane.Partition)                 {}
func (panicking) Tick()                                   {}
