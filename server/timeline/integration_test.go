package timeline

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/pebble"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/tail"
)

const (
	realPartitions = 4
	realWorkers    = 2
	realUsers      = 20
	realDeadline   = time.Minute
)

// dispatcher fills the tails of a worker, as the node's does.
type dispatcher struct {
	worker  *tail.Worker
	windows map[backplane.Partition]*backplane.Dedupe
}

func (d *dispatcher) Begin(p backplane.Partition, offset, since int64) {
	d.windows[p] = backplane.NewDedupe()
	d.worker.Begin(p, offset, since)
}

func (d *dispatcher) Record(r *backplane.Record) {
	var m backplane.Message
	if backplane.ParseMessage(r.Value, &m) != nil || d.windows[r.Partition].Seen(m.MessageID, r.Time) || m.Kind != backplane.KindMessage {
		d.worker.Pass(r)
		return
	}
	d.worker.Append(r, &m)
}

func (d *dispatcher) End(backplane.Partition) {}
func (d *dispatcher) Tick()                   {}

// outcome waits for a send.
type outcome chan backplane.Outcome

func (o outcome) Done(out backplane.Outcome) { o <- out }

// real is a node's parts around a real log and a real store.
type real struct {
	cfg      kafka.Config
	producer *kafka.Producer
	reader   *kafka.Reader
	store    history.Store
	service  *Service
	sent     uint64
}

func newReal(t *testing.T, b kafkatest.Backend) *real {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r := &real{cfg: b.Config(t, realPartitions)}
	var err error
	r.producer, err = kafka.NewProducer(r.cfg)
	check(err)
	t.Cleanup(func() { check(r.producer.Close(context.Background())) })
	r.reader, err = kafka.NewReader(r.cfg)
	check(err)
	t.Cleanup(r.reader.Close)
	r.store, err = pebble.Open(t.TempDir(), pebble.Options{Namespace: r.cfg.Namespace, Cluster: "test", Log: slog.New(slog.DiscardHandler)})
	check(err)
	t.Cleanup(func() { check(r.store.Close()) })
	return r
}

// serve starts a node that reads the log from since on (Unix milliseconds).
func (r *real) serve(t *testing.T, budget, since int64) *tail.Tails {
	tails := tail.NewTails(r.cfg.Generation, realPartitions, realWorkers, budget)
	var err error
	r.service, err = New(Config{
		Generation: r.cfg.Generation, N: realPartitions, Tails: tails, Reader: r.reader, Store: r.store,
		ScanBytes: MinScanBytes, Timeout: DefaultTimeout, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.service.Close)
	consumer, err := kafka.NewConsumer(r.cfg, realWorkers, func(i int) backplane.Handler {
		return &dispatcher{worker: tails.Worker(i), windows: make(map[backplane.Partition]*backplane.Dedupe)}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Close)
	var all []backplane.Partition
	for p := range backplane.Partition(realPartitions) {
		all = append(all, p)
	}
	if err := consumer.Add(all, since); err != nil {
		t.Fatal(err)
	}
	wait(t, "the node to be ready", consumer.Ready)
	return tails
}

// write starts to write history, until stop is called.
func (r *real) write(t *testing.T) (stop func()) {
	writer, err := history.NewWriter(history.Config{Store: r.store, Generation: r.cfg.Generation, N: realPartitions, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := kafka.NewConsumer(r.cfg, realWorkers, writer.Handler)
	if err != nil {
		t.Fatal(err)
	}
	stop = func() {
		consumer.Close()
		if err := writer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	since := make(map[backplane.Partition]int64)
	for p := range backplane.Partition(realPartitions) {
		if since[p], err = writer.Start(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := consumer.AddEach(since); err != nil {
		t.Fatal(err)
	}
	return stop
}

// applied reports whether all partitions have been applied up to their ends.
func (r *real) applied(t *testing.T, ends []int64) bool {
	applied, err := r.store.Applied(t.Context(), r.cfg.Generation, realPartitions)
	if err != nil {
		t.Fatal(err)
	}
	for p, end := range ends {
		if applied[p].Offset < end-1 {
			return false
		}
	}
	return true
}

func wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(realDeadline); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s", what)
		}
	}
}

func realUser(i uint64) string { return fmt.Sprint("user", i%realUsers) }

// send stores n messages, and then every seventh of them again.
func (r *real) send(t *testing.T, n int) {
	var sends []*backplane.Send
	for range n {
		r.sent++
		m := backplane.Message{
			From: []byte(realUser(r.sent)), To: [][]byte{[]byte(realUser(r.sent / 3)), []byte(realUser(r.sent * 7))},
			ID: []byte("id"), Body: make([]byte, 2000),
		}
		binary.BigEndian.PutUint64(m.MessageID[:], r.sent)
		sends = append(sends, &backplane.Send{ID: m.MessageID, From: m.From, To: m.To, Value: backplane.AppendMessage(nil, &m)})
	}
	r.produce(t, sends)
	var again []*backplane.Send
	for i := 0; i < n; i += 7 {
		again = append(again, sends[i])
	}
	r.produce(t, again)
}

// produce sends messages and waits until they are stored.
func (r *real) produce(t *testing.T, sends []*backplane.Send) {
	done := make(outcome, len(sends))
	for _, s := range sends {
		if err := r.producer.Produce(s, done); err != nil {
			t.Error(err)
			return
		}
	}
	for range sends {
		if out := <-done; out.Status != backplane.Stored {
			t.Errorf("a send: %+v", out)
		}
	}
}

// timelines returns what each user's timeline is to be, by the log, and the log's ends.
func (r *real) timelines(t *testing.T) (by map[string][]int64, ends []int64) {
	by = make(map[string][]int64)
	for p := range backplane.Partition(realPartitions) {
		_, end, err := r.reader.Bounds(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
		seen := backplane.NewDedupe()
		err = r.reader.Scan(t.Context(), p, 0, end, func(rec *backplane.Record) bool {
			id, err := backplane.ParseMessageID(rec.Value)
			if err != nil {
				t.Error(err)
			}
			if seen.Seen(id, rec.Time) {
				return true
			}
			for list := rec.Recipients; ; {
				user, rest, ok := backplane.NextRecipient(list)
				if !ok {
					return true
				}
				by[string(user)] = append(by[string(user)], rec.Offset)
				list = rest
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return by, ends
}

// TestRealParts lets many devices catch up, from anywhere, with a real log and a real store,
// while messages are sent and history catches up.
func TestRealParts(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		r := newReal(t, b)
		r.send(t, 300)
		stop := r.write(t)
		_, ends := r.timelines(t)
		wait(t, "history", func() bool { return r.applied(t, ends) })
		stop()
		r.send(t, 300)
		tails := r.serve(t, 100<<10, time.Now().Add(-backplane.Rewind).UnixMilli())
		for p := range backplane.Partition(realPartitions) {
			if floor := tails.Partition(p).Floor(); floor < ends[p] {
				t.Fatalf("the tail of partition %d begins at %d, and history has %d: nothing lies between", p, floor, ends[p])
			}
		}

		done := make(chan struct{}) // closed when all has been sent
		var readers sync.WaitGroup
		got := make([][]int64, 3*realUsers)
		starts := make([]int64, len(got))
		last := make([]int64, len(got))
		for i := range got {
			user := realUser(uint64(i))
			starts[i] = int64(i/realUsers)*ends[backplane.PartitionOf(user, realPartitions)]*2/3 - 1
			readers.Go(func() { got[i], last[i] = r.follow(t, user, starts[i], done) })
		}
		r.send(t, 200)
		stop = r.write(t)
		defer stop()
		r.send(t, 100)
		want, ends := r.timelines(t)
		wait(t, "the tails", func() bool { return behind(tails, ends) == 0 })
		close(done)
		readers.Wait()
		wait(t, "history again", func() bool { return r.applied(t, ends) })

		for i := range got {
			user := realUser(uint64(i))
			p := backplane.PartitionOf(user, realPartitions)
			all := slices.DeleteFunc(slices.Clone(want[user]), func(offset int64) bool { return offset <= starts[i] })
			if !slices.Equal(got[i], all) || last[i] < ends[p]-1 {
				t.Errorf("%s after %d has %v up to %d, want %v", user, starts[i], got[i], last[i], all)
			}
			page, err := r.service.Backward(t.Context(), []byte(user), p, math.MaxInt64, len(all), nil, math.MaxInt)
			if err != nil || !slices.Equal(offsets(page.Entries), all) {
				t.Errorf("the page of %s: %v, %v, want %v", user, offsets(page.Entries), err, all)
			}
		}
	})
}

// follow reads forward until it is up to date after done is closed.
func (r *real) follow(t *testing.T, user string, after int64, done <-chan struct{}) (got []int64, upto int64) {
	p := backplane.PartitionOf(user, realPartitions)
	for deadline := time.Now().Add(realDeadline); time.Now().Before(deadline); {
		finished := false
		select {
		case <-done:
			finished = true
		default:
		}
		f, err := r.service.Forward(t.Context(), []byte(user), p, after, 10, 1<<20)
		if err != nil || f.Gone >= 0 {
			t.Errorf("%s after %d: %+v, %v", user, after, f, err)
			return got, after
		}
		got = append(got, offsets(f.Entries)...)
		after = f.Examined
		if f.Live && finished {
			return got, after
		}
		if f.Live {
			select {
			case <-done:
			case <-time.After(10 * time.Millisecond): // it goes away for a moment
			}
		}
	}
	t.Errorf("%s does not come to the end", user)
	return got, after
}

// behind returns how many tails have not come to the ends.
func behind(tails *tail.Tails, ends []int64) (n int) {
	for p, end := range ends {
		if tails.Partition(backplane.Partition(p)).End() < end-1 {
			n++
		}
	}
	return n
}
