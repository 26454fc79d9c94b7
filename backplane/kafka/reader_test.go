package kafka_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newReader(t *testing.T, cfg kafka.Config) *kafka.Reader {
	t.Helper()
	r, err := kafka.NewReader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// newAdmin returns an administrative client that is closed when the test ends.
func newAdmin(t *testing.T, cfg kafka.Config) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// deleteBefore deletes the records of a partition before an offset.
func deleteBefore(t *testing.T, cfg kafka.Config, p backplane.Partition, offset int64) {
	t.Helper()
	var cut kadm.Offsets
	cut.AddOffset(cfg.Topic(), int32(p), offset, -1)
	if _, err := newAdmin(t, cfg).DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
}

// makeAnew deletes the messages topic and makes it again.
func makeAnew(t *testing.T, b kafkatest.Backend, cfg kafka.Config) {
	t.Helper()
	if _, err := newAdmin(t, cfg).DeleteTopic(t.Context(), cfg.Topic()); err != nil {
		t.Fatal(err)
	}
	o := kafka.DefaultTopicOptions()
	o.Replicas, o.MinInsync = 1, 1
	if b.Name == "embedded" {
		o.Settings = map[string]*string{"unclean.leader.election.enable": nil}
	}
	eventually(t, "the topic can be made anew", func() bool { return kafka.Create(t.Context(), cfg, o) == nil })
}

// bounds fails the test unless a partition has records from first up to end.
func bounds(t *testing.T, r *kafka.Reader, p backplane.Partition, first, end int64) {
	t.Helper()
	gotFirst, gotEnd, err := r.Bounds(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if gotFirst != first || gotEnd != end {
		t.Errorf("partition %d has %d up to %d, want %d up to %d", p, gotFirst, gotEnd, first, end)
	}
}

// scan returns the offsets that Scan hands out.
func scan(t *testing.T, r *kafka.Reader, p backplane.Partition, from, to int64) []int64 {
	t.Helper()
	var offsets []int64
	err := r.Scan(t.Context(), p, from, to, func(rec *backplane.Record) bool {
		offsets = append(offsets, rec.Offset)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return offsets
}

// sequence returns the numbers from first up to end.
func sequence(first, end int64) []int64 {
	var s []int64
	for i := first; i < end; i++ {
		s = append(s, i)
	}
	return s
}

func TestBounds(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 3)
		p := newProducer(t, cfg)
		fill(t, p, 3, 0, 20, 0, 2)
		r := newReader(t, cfg)
		bounds(t, r, 0, 0, 20)
		bounds(t, r, 1, 0, 0)
		deleteBefore(t, cfg, 2, 5)
		bounds(t, r, 2, 5, 20)
		deleteBefore(t, cfg, 2, 20)
		bounds(t, r, 2, 20, 20)
		for _, p := range []backplane.Partition{-1, 3} {
			if _, _, err := r.Bounds(t.Context(), p); err == nil || !strings.Contains(err.Error(), "the topic has 3") {
				t.Errorf("Bounds of partition %d: %v", p, err)
			}
		}
	})
}

func TestOffsetAt(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		p := newProducer(t, cfg)
		var times []int64
		for i := range uint64(30) {
			times = append(times, send(t, p, newSend(i, []byte("a"))).Time)
		}
		deleteBefore(t, cfg, 0, 3)
		times = times[3:]
		r := newReader(t, cfg)
		check := func(ms, want int64) {
			t.Helper()
			got, err := r.OffsetAt(t.Context(), 0, ms)
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("OffsetAt(%d) is %d, want %d; log times from offset 3 on: %v", ms, got, want, times)
			}
		}
		for _, ms := range times {
			first, _ := slices.BinarySearch(times, ms)
			check(ms, 3+int64(first))
		}
		check(-7, 3)
		check(0, 3)
		check(times[len(times)-1]+1, 30)
	})
}

func TestRetention(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		r := newReader(t, cfg)
		for _, test := range []struct {
			value string
			want  time.Duration
		}{{"7200000", 2 * time.Hour}, {"-1", 0}} {
			_, err := newAdmin(t, cfg).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &test.value}}, cfg.Topic())
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the retention is "+test.want.String(), func() bool {
				got, err := r.Retention(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return got == test.want
			})
		}
	})
}

// Records come as a Consumer hands them out, whatever the size of a fetch, and up to
// where they are wanted.
func TestScan(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const count = 3000
		cfg := b.Config(t, 2)
		p := newProducer(t, cfg)
		fill(t, p, 2, 0, count, 0, 1)
		j := newJournal()
		add(t, newConsumer(t, cfg, 1, j), 0, 0, 1)
		eventually(t, "the consumer has all", func() bool { return j.len() == 2*count })

		for _, fetch := range []int32{1, 10_000, 1 << 20} {
			cfg.Consumer.FetchMaxPartitionBytes = fetch
			r := newReader(t, cfg)
			s := newJournal()
			h := s.handler(0)
			err := r.Scan(t.Context(), 1, 0, count, func(rec *backplane.Record) bool {
				h.Record(rec)
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := s.all(), j.of(1); !slices.EqualFunc(got, want, sameEntry) {
				t.Errorf("with fetches of %d bytes: %d records, the consumer got %d, or they differ", fetch, len(got), len(want))
			}
		}
		r := newReader(t, cfg)
		for _, test := range [][2]int64{{0, 1}, {17, 18}, {1234, 2999}, {2999, 3000}, {5, 5}, {5, 3}, {4000, 4000}} {
			if got, want := scan(t, r, 0, test[0], test[1]), sequence(test[0], test[1]); !slices.Equal(got, want) {
				t.Errorf("Scan from %d to %d: %d records, want %d", test[0], test[1], len(got), len(want))
			}
		}
		seen := 0
		err := r.Scan(t.Context(), 0, 100, count, func(rec *backplane.Record) bool {
			seen++
			return rec.Offset < 150
		})
		if err != nil || seen != 51 {
			t.Errorf("%d records and %v, want 51: f returned false at the last", seen, err)
		}
		if err := r.Scan(t.Context(), 2, 0, 1, nil); err == nil {
			t.Error("no error for a partition that is not there")
		}
	})
}

func sameEntry(a, b entry) bool {
	return a.Position == b.Position && a.time == b.time && a.number == b.number && a.session == b.session && slices.Equal(a.recipients, b.recipients)
}

// Many scans and questions at once, of the same and of different partitions.
func TestScansAtOnce(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const n, count = 4, 500
		cfg := b.Config(t, n)
		cfg.Consumer.FetchMaxPartitionBytes = 5000
		p := newProducer(t, cfg)
		fill(t, p, n, 0, count, 0, 1, 2, 3)
		r := newReader(t, cfg)
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				partition, from := backplane.Partition(i%n), int64(i)
				next := from
				err := r.Scan(t.Context(), partition, from, count, func(rec *backplane.Record) bool {
					if rec.Offset != next || rec.Partition != partition {
						t.Errorf("record %d of partition %d, want %d of %d", rec.Offset, rec.Partition, next, partition)
					}
					next++
					return true
				})
				if err != nil || next != count {
					t.Errorf("scan to %d: %v", next, err)
				}
				if _, end, err := r.Bounds(t.Context(), partition); err != nil || end != count {
					t.Errorf("end %d, %v", end, err)
				}
			})
		}
		all.Wait()
	})
}

// The end of a scan may be an offset that has no record: the marker of a transaction,
// or what compaction removed.
func TestScanToAHole(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID(cfg.Namespace), kgo.DefaultProduceTopic(cfg.Topic()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		transaction := func(end kgo.TransactionEndTry, records int) {
			t.Helper()
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for range records {
				if err := client.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.EndTransaction(t.Context(), end); err != nil {
				t.Fatal(err)
			}
		}
		transaction(kgo.TryCommit, 3) // offsets 0 to 2, the marker at 3
		transaction(kgo.TryCommit, 2) // 4 and 5, the marker at 6
		r := newReader(t, cfg)
		eventually(t, "the last marker is in the log", func() bool {
			_, end, err := r.Bounds(t.Context(), 0)
			return err == nil && end == 7
		})
		for _, test := range []struct {
			from, to int64
			want     []int64
		}{
			{0, 7, []int64{0, 1, 2, 4, 5}},
			{0, 4, []int64{0, 1, 2}},
			{3, 4, nil},
			{3, 5, []int64{4}},
			{6, 7, nil},
		} {
			if got := scan(t, r, 0, test.from, test.to); !slices.Equal(got, test.want) {
				t.Errorf("Scan from %d to %d: %v, want %v", test.from, test.to, got, test.want)
			}
		}
	})
}

func TestScanOfWhatIsGone(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const count = 2000
		cfg := b.Config(t, 1)
		cfg.Consumer.FetchMaxPartitionBytes = 1 // a batch at a time
		p := newProducer(t, cfg)
		for i := range 4 {
			fill(t, p, 1, uint64(i*count), count/4, 0)
		}
		r := newReader(t, cfg)
		none := func(rec *backplane.Record) bool {
			t.Errorf("got offset %d", rec.Offset)
			return false
		}
		if err := r.Scan(t.Context(), 0, count+1, count+2, none); !errors.Is(err, kafka.ErrOffsetAhead) {
			t.Errorf("Scan from beyond the end: %v, want ErrOffsetAhead", err)
		}
		deleteBefore(t, cfg, 0, 100)
		for _, from := range []int64{-1, 0, 99} {
			if err := r.Scan(t.Context(), 0, from, count, none); !errors.Is(err, kafka.ErrOffsetGone) || !strings.Contains(err.Error(), "it begins at 100") {
				t.Errorf("Scan from %d: %v, want ErrOffsetGone", from, err)
			}
		}
		// Deleted while it is being read.
		last := int64(-1)
		err := r.Scan(t.Context(), 0, 100, count, func(rec *backplane.Record) bool {
			if rec.Offset == 100 {
				deleteBefore(t, cfg, 0, count-10)
			}
			last = rec.Offset
			return true
		})
		if !errors.Is(err, kafka.ErrOffsetGone) || last < 100 || last >= count-10 {
			t.Errorf("Scan got to %d: %v, want ErrOffsetGone before %d", last, err, count-10)
		}
		if got := scan(t, r, 0, count-10, count); !slices.Equal(got, sequence(count-10, count)) {
			t.Errorf("Scan of what is left: %v", got)
		}
		deleteBefore(t, cfg, 0, count)
		if err := r.Scan(t.Context(), 0, count-1, count, none); !errors.Is(err, kafka.ErrOffsetGone) {
			t.Errorf("Scan of an empty log: %v, want ErrOffsetGone", err)
		}
	})
}

func TestReaderOfATopicMadeAnew(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		p := newProducer(t, cfg)
		fill(t, p, 1, 0, 10, 0)
		r := newReader(t, cfg)
		if got := scan(t, r, 0, 0, 10); len(got) != 10 {
			t.Fatalf("%d records", len(got))
		}
		makeAnew(t, b, cfg)
		p = newProducer(t, cfg)
		fill(t, p, 1, 0, 10, 0)
		err := r.Scan(t.Context(), 0, 0, 10, func(rec *backplane.Record) bool {
			t.Errorf("got offset %d of another topic", rec.Offset)
			return true
		})
		if !errors.Is(err, kafka.ErrTopicReplaced) {
			t.Errorf("Scan: %v, want ErrTopicReplaced", err)
		}
		eventually(t, "Bounds says so", func() bool {
			_, _, err := r.Bounds(t.Context(), 0)
			return errors.Is(err, kafka.ErrTopicReplaced)
		})
		if _, err := r.OffsetAt(t.Context(), 0, 0); !errors.Is(err, kafka.ErrTopicReplaced) {
			t.Errorf("OffsetAt: %v, want ErrTopicReplaced", err)
		}
	})
}

// What a broker cannot do at the moment is asked for again.
func TestReaderTriesAgain(t *testing.T) {
	for _, passing := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownTopicID, kerr.FencedLeaderEpoch, kerr.OffsetOutOfRange} {
		t.Run(passing.Message, func(t *testing.T) {
			cluster, cfg := newFaulty(t, 1)
			fill(t, newProducer(t, cfg), 1, 0, 10, 0)
			r := newReader(t, cfg)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Partitions: []int32{0}, Err: passing, Count: 2})
			if got := scan(t, r, 0, 0, 10); !slices.Equal(got, sequence(0, 10)) {
				t.Errorf("got %v", got)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		cluster, cfg := newFaulty(t, 1)
		fill(t, newProducer(t, cfg), 1, 0, 10, 0)
		r := newReader(t, cfg)
		cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Partitions: []int32{0}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		if err := r.Scan(t.Context(), 0, 0, 10, nil); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("Scan: %v, want that it is refused", err)
		}
	})
}

// A scan goes on when the leader of its partition has moved.
func TestScanFollowsTheLeader(t *testing.T) {
	cluster, cfg := newFaulty(t, 1)
	fill(t, newProducer(t, cfg), 1, 0, 10, 0)
	r := newReader(t, cfg)
	if got := scan(t, r, 0, 0, 5); len(got) != 5 {
		t.Fatalf("got %v", got)
	}
	node, _, err := cluster.AddNode(-1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.MoveTopicPartition(cfg.Topic(), 0, node); err != nil {
		t.Fatal(err)
	}
	if got := scan(t, r, 0, 5, 10); !slices.Equal(got, sequence(5, 10)) {
		t.Errorf("got %v", got)
	}
}

// Whatever a call waits for, it ends when its context or its patience does, or when
// the Reader closes.
func TestReaderEnds(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		fill(t, newProducer(t, cfg), 1, 0, 10, 0)
		none := func(*backplane.Record) bool { return true }

		r := newReader(t, cfg)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := r.Scan(ctx, 0, 5, 11, none); err == nil || !strings.Contains(err.Error(), "offset 10") {
			t.Errorf("Scan beyond the end: %v, want an error at offset 10", err)
		}

		impatient := cfg
		impatient.Consumer.OffsetTimeout = 2 * time.Second
		r = newReader(t, impatient)
		if err := r.Scan(t.Context(), 0, 5, 11, none); err == nil {
			t.Error("no error for records that do not come")
		}
		impatient.Generation++
		r = newReader(t, impatient)
		if _, _, err := r.Bounds(t.Context(), 0); !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("Bounds of a topic that is not there: %v", err)
		}
		if _, err := r.Retention(t.Context()); !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("Retention of a topic that is not there: %v", err)
		}

		r = newReader(t, cfg)
		scanned := make(chan error)
		go func() { scanned <- r.Scan(t.Context(), 0, 0, 11, none) }()
		r.Close()
		if err := <-scanned; !errors.Is(err, kafka.ErrClosed) {
			t.Errorf("Scan when the reader closes: %v, want ErrClosed", err)
		}
		if _, _, err := r.Bounds(t.Context(), 0); !errors.Is(err, kafka.ErrClosed) {
			t.Errorf("Bounds of a closed reader: %v, want ErrClosed", err)
		}
	})
}
