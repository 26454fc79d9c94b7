package kafka_test

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func (j *journal) begun() []begin {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.begins)
}

func (j *journal) ended() []backplane.Partition {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.ends)
}

// Every partition begins where its own since says, also one without records, and
// before its first record.
func TestBegin(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		const n = 4
		cfg := b.Config(t, n)
		p := newProducer(t, cfg)
		var times []int64
		for i := range uint64(20) {
			times = append(times, send(t, p, newSend(i, userIn(0, n, 0))).Time)
		}
		fill(t, p, n, 100, 10, 1, 2)
		deleteBefore(t, cfg, 2, 4)
		future := time.Now().Add(time.Hour).UnixMilli()
		middle, _ := slices.BinarySearch(times, times[12]) // the first of that time

		j := newJournal()
		c := newConsumer(t, cfg, 2, j)
		since := map[backplane.Partition]int64{0: times[12], 1: future, 2: 0, 3: -5}
		if err := c.AddEach(since); err != nil {
			t.Fatal(err)
		}
		if err := c.AddEach(nil); err != nil {
			t.Errorf("nothing to add: %v", err)
		}
		eventually(t, "ready", c.Ready)
		begins := j.begun()
		if len(begins) != n {
			t.Fatalf("%d partitions have begun when all are ready, want %d", len(begins), n)
		}
		want := map[backplane.Partition]int64{0: int64(middle), 1: 10, 2: 4, 3: 0}
		entries := j.all()
		for _, got := range begins {
			if got.offset != want[got.partition] || got.since != since[got.partition] {
				t.Errorf("partition %d begins at offset %d, since %d; want %d, %d", got.partition, got.offset, got.since, want[got.partition], since[got.partition])
			}
			if slices.ContainsFunc(entries[:got.after], func(e entry) bool { return e.Partition == got.partition }) {
				t.Errorf("partition %d had records before it began", got.partition)
			}
			ascending(t, j.of(got.partition), got.offset)
		}
		if got := len(entries); got != 20-middle+6 {
			t.Errorf("%d records, want %d", got, 20-middle+6)
		}
	})
}

// A partition that is read again begins again, after its end.
func TestEnd(t *testing.T) {
	cfg := kafkatest.Embedded(t, 2)
	p := newProducer(t, cfg)
	fill(t, p, 2, 0, 10, 0, 1)
	j := newJournal()
	c := newConsumer(t, cfg, 2, j)
	add(t, c, 0, 0, 1)
	eventually(t, "ready", c.Ready)
	c.Remove([]backplane.Partition{0})
	eventually(t, "partition 0 has ended", func() bool { return slices.Equal(j.ended(), []backplane.Partition{0}) })

	// The worker is in the middle of a record, with the end and the next beginning
	// behind it in its queue.
	release := j.block(0)
	defer release()
	add(t, c, 0, 0)
	eventually(t, "worker 0 is in Record", func() bool { return j.inRecord(0) == 1 })
	removed := make(chan struct{})
	go func() {
		defer close(removed)
		c.Remove([]backplane.Partition{0})
	}()
	eventually(t, "Remove has begun", func() bool { return gauge(t, c, "godwit_kafka_consumer_assigned_partitions") == 1 })
	add(t, c, 0, 0)
	if got := len(j.ended()); got != 1 {
		t.Errorf("%d ends while a record is being handed out, want the first", got)
	}
	release()
	<-removed
	eventually(t, "ready", c.Ready)
	if got := j.ended(); !slices.Equal(got, []backplane.Partition{0, 0}) {
		t.Errorf("ends of partitions %v, want twice 0", got)
	}
	var after []int
	for _, b := range j.begun() {
		if b.partition == 0 {
			after = append(after, b.after)
		}
	}
	if len(after) != 3 || after[2] != after[1]+1 {
		t.Errorf("partition 0 began after %v records, want three beginnings, a record between the last two", after)
	}
	ascending(t, j.all()[after[2]:], 0)
}

// What is removed before its worker came to it has neither beginning nor end.
func TestRemovedBeforeItBegins(t *testing.T) {
	cfg := kafkatest.Embedded(t, 2)
	p := newProducer(t, cfg)
	fill(t, p, 2, 0, 10, 0, 1)
	j := newJournal()
	c := newConsumer(t, cfg, 1, j)
	release := j.block(0)
	defer release()
	add(t, c, 0, 0)
	eventually(t, "the worker is in Record", func() bool { return j.inRecord(0) == 1 })
	add(t, c, 0, 1)
	c.Remove([]backplane.Partition{1})
	if c.Ready() {
		t.Error("ready while a partition waits for its handler")
	}
	release()
	eventually(t, "partition 0 is read", func() bool { return len(j.of(0)) == 10 })
	add(t, c, 0, 1)
	eventually(t, "partition 1 is read", func() bool { return len(j.of(1)) == 10 })
	if got := j.begun(); len(got) != 2 {
		t.Errorf("%d beginnings, want one of each partition", len(got))
	}
	if got := j.ended(); len(got) != 0 {
		t.Errorf("ends of %v, want none", got)
	}
}

// beginsAgain checks that a partition whose records were deleted from read up to cut
// began again there, and was told of what it had.
func beginsAgain(t *testing.T, j *journal, read int, cut int64) {
	t.Helper()
	begins := j.begun()
	if len(begins) != 2 || len(j.ended()) != 0 {
		t.Fatalf("%d beginnings and %d ends, want two and none", len(begins), len(j.ended()))
	}
	if got, want := begins[1], (begin{0, cut, j.all()[read-1].time, read}); got != want {
		t.Errorf("began again with %+v, want %+v", got, want)
	}
}
