package history_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/prometheus/client_golang/prometheus"
)

// describe tells an entry in one line.
func describe(e *history.Entry) string {
	return fmt.Sprintf("%s@%d %d %d with %s", e.User, e.Offset, e.Time, e.Expires, bytes.Join(e.Peers, []byte(",")))
}

// TestEntries: what each kind of record becomes.
func TestEntries(t *testing.T) {
	const p = 2
	alice, bob, other := userIn(p, 0), userIn(p, 1), userIn(5, 0)
	store := newMemory()
	w := newWriter(t, store)
	h := w.Handler(0)
	h.Begin(p, 0, start(t, w, p))

	own := message("own", alice, bob, other)
	in := message("in", other, alice)
	in.TTL = 500
	self := message("self", alice, alice)
	signal := message("signal", alice, bob)
	signal.Kind = backplane.KindSignal
	erase := message("erase", bob)
	erase.Kind = backplane.KindErase
	foreign := message("foreign", other, alice) // an erasure of somebody who does not live here
	foreign.Kind = backplane.KindErase
	for i, m := range []*backplane.Message{own, in, self, signal, erase, foreign} {
		hand(h, record(p, int64(i), int64(1000+i), m))
	}
	retry := record(p, 10, 1010, own)
	hand(h, retry)
	hand(h, &backplane.Record{Position: backplane.Position{Generation: generation, Partition: p, Offset: 11}, Time: 1011, Value: []byte("junk")})
	broken := record(p, 12, 1012, message("broken", alice, bob))
	broken.Value = append(broken.Value, 0xff)
	hand(h, broken)
	badList := record(p, 13, 1013, message("list", alice, bob))
	badList.Recipients = append(badList.Recipients, 0x80)
	hand(h, badList)
	empty := record(p, 14, 1014, message("empty", alice, bob))
	empty.Recipients = append(empty.Recipients, 0) // a user without an id
	hand(h, empty)
	nobody := record(p, 15, 1015, message("nobody", ""))
	hand(h, nobody)
	h.Tick()

	batches := store.written()
	if len(batches) != 1 {
		t.Fatalf("%d batches, want 1", len(batches))
	}
	b := &batches[0]
	if b.Partition != p || b.Lost != 0 || b.Applied.Offset != 15 || b.Applied.Time != 1015 {
		t.Errorf("the batch is of partition %d up to %+v, lost %d", b.Partition, b.Applied, b.Lost)
	}
	var got []string
	for i := range b.Entries {
		got = append(got, describe(&b.Entries[i]))
	}
	want := []string{
		fmt.Sprintf("%s@0 1000 0 with %s", bob, alice),
		fmt.Sprintf("%s@0 1000 0 with %s,%s", alice, bob, other),
		fmt.Sprintf("%s@1 1001 1501 with %s", alice, other),
		fmt.Sprintf("%s@2 1002 0 with %s", alice, alice),
	}
	if !slices.Equal(got, want) {
		t.Errorf("entries:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, m := range []*backplane.Message{own, own, in, self} {
		if !bytes.Equal(b.Entries[i].Value, backplane.AppendMessage(nil, m)) {
			t.Errorf("entry %d has another value", i)
		}
	}
	if len(b.Erasures) != 1 || string(b.Erasures[0].User) != bob || b.Erasures[0].Offset != 4 {
		t.Errorf("erasures: %v", b.Erasures)
	}
	metrics := gather(t, w)
	for name, want := range map[string]float64{"entries_total": 4, "erasures_total": 1, "batches_total": 1,
		"duplicates_total": 1, "bad_records_total": 5, "retries_total": 0, "lost_ranges_total": 0, "applied_time_seconds": 1.015} {
		if got := metrics["godwit_history_writer_"+name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// gather returns the values of all metrics.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

// TestWhenBatchesAreWritten: at a tick, or when a worker has gathered enough.
func TestWhenBatchesAreWritten(t *testing.T) {
	store := newMemory()
	w := newWriter(t, store)
	h := w.Handler(0)
	for p := range backplane.Partition(3) {
		h.Begin(p, 0, start(t, w, p))
	}
	h.Tick()
	if b := store.written(); len(b) != 0 {
		t.Errorf("%d batches of nothing", len(b))
	}

	// Only somebody else's records: the position moves all the same.
	signal := message("signal", userIn(0, 0))
	signal.Kind = backplane.KindSignal
	hand(h, record(0, 3, 100, signal))
	if b := store.written(); len(b) != 0 {
		t.Errorf("%d batches before the tick", len(b))
	}
	h.Tick()
	if b := store.written(); len(b) != 1 || len(b[0].Entries) != 0 || b[0].Applied.Offset != 3 {
		t.Errorf("a bare advance became %+v", b)
	}
	if a := w.Applied(0); a != (history.Applied{Offset: 3, Time: 100, Floor: -1}) {
		t.Errorf("the writer says %+v", a)
	}
	h.Tick()
	if b := store.written(); len(b) != 0 {
		t.Errorf("%d batches of nothing", len(b))
	}

	// Many entries: all partitions of the worker are written.
	hand(h, record(1, 0, 100, message("first", userIn(1, 0))))
	offset := int64(4)
	var batches []history.Batch
	for ; len(batches) == 0 && offset < 1e5; offset++ {
		hand(h, record(0, offset, 100, message(fmt.Sprint(offset), userIn(0, 0))))
		batches = store.written()
	}
	if len(batches) != 2 || len(batches[0].Entries)+len(batches[1].Entries) != int(offset-3) || offset > 5000 {
		t.Errorf("%d batches at offset %d", len(batches), offset)
	}

	// Many bytes.
	count := 0
	for batches = nil; len(batches) == 0 && count < 1000; count++ {
		m := message(fmt.Sprint("big", count), userIn(2, 0))
		m.Body = bytes.Repeat([]byte("x"), backplane.MaxBody)
		hand(h, record(2, int64(count), 100, m))
		batches = store.written()
	}
	if len(batches) != 1 || len(batches[0].Entries) != count || count < 2 || count > 100 {
		t.Errorf("%d batches after %d of the largest messages", len(batches), count)
	}
}

// TestRestart: a writer that takes over knows what is a duplicate of what was written
// before it, and writes nothing twice.
func TestRestart(t *testing.T) {
	store := newMemory()
	first := newWriter(t, store)
	if since := start(t, first, 0); since != 0 {
		t.Errorf("a new store is written from %d", since)
	}
	h := first.Handler(0)
	h.Begin(0, 0, 0)
	u := userIn(0, 0)
	m := message("m", u)
	const noon = int64(1_000_000_000)
	records := []*backplane.Record{
		record(0, 0, noon-90_000, message("old", u)), record(0, 1, noon, m), record(0, 2, noon+10_000, message("n", u)),
		record(0, 3, noon+40_000, m), // a retry
	}
	for _, r := range records[:3] {
		hand(h, r)
	}
	h.Tick()
	store.written()

	second := newWriter(t, store)
	if since, want := start(t, second, 0), noon+10_000-backplane.Rewind.Milliseconds(); since != want {
		t.Errorf("the next writer reads from %d, want %d", since, want)
	}
	h = second.Handler(0)
	h.Begin(0, 0, 0)
	for _, r := range records {
		hand(h, r)
	}
	h.Tick()
	b := store.written()
	if len(b) != 1 || len(b[0].Entries) != 0 || b[0].Applied.Offset != 3 {
		t.Errorf("after the restart it wrote %+v", b)
	}
}

// TestStartAsksOnce: partitions that start together ask the store once, and later ones
// again.
func TestStartAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newWriter(t, store)
		for p := range backplane.Partition(partitions) {
			start(t, w, p)
		}
		if store.asked != 1 {
			t.Errorf("asked %d times", store.asked)
		}
		store.applied[1] = history.Applied{Offset: 7, Time: 900_000, Floor: 2} // somebody else wrote
		time.Sleep(2 * time.Second)
		if since := start(t, w, 1); since != 900_000-120_000 || store.asked != 2 {
			t.Errorf("reads from %d, asked %d times", since, store.asked)
		}
		if a := w.Applied(1); a != store.applied[1] {
			t.Errorf("the writer says %+v", a)
		}
	})
}

// silent is a store that does not tell its positions while it is silent.
type silent struct {
	*memory
	silent bool
}

func (s *silent) Applied(ctx context.Context, g uint32, n int32) ([]history.Applied, error) {
	if s.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.memory.Applied(ctx, g, n)
}

// TestStartWithoutAnswer: partitions that start together wait once for a store that does
// not answer; a consumer group waits for them all.
func TestStartWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &silent{memory: newMemory()}
		w := newWriter(t, store)
		time.Sleep(time.Minute)
		store.silent = true
		began := time.Now()
		for p := range backplane.Partition(partitions) {
			if _, err := w.Start(p); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("partition %d: %v", p, err)
			}
		}
		if waited := time.Since(began); waited > 15*time.Second {
			t.Errorf("%d partitions waited for %v", partitions, waited)
		}
		store.silent = false
		time.Sleep(2 * time.Second)
		start(t, w, 0)
	})
}

// TestStoreDown: while the store fails, the worker waits, other workers go on, and then
// everything is written.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newWriter(t, store)
		h, other := w.Handler(0), w.Handler(1)
		h.Begin(0, 0, start(t, w, 0))
		other.Begin(1, 0, start(t, w, 1))
		store.fail = func(b *history.Batch) error {
			if b.Partition == 0 {
				return errors.New("down")
			}
			return nil
		}
		hand(h, record(0, 0, 100, message("a", userIn(0, 0))))
		done := make(chan struct{})
		go func() {
			h.Tick()
			close(done)
		}()
		hand(other, record(1, 0, 100, message("b", userIn(1, 0))))
		other.Tick()
		time.Sleep(time.Minute)
		select {
		case <-done:
			t.Error("the worker did not wait")
		default:
		}
		if w.Applied(0).Offset != -1 || w.Applied(1).Offset != 0 {
			t.Errorf("the writer says %+v and %+v", w.Applied(0), w.Applied(1))
		}
		if n := gather(t, w)["godwit_history_writer_retries_total"]; n < 12 || n > 30 {
			t.Errorf("%v attempts in a minute", n)
		}
		store.failWith(nil)
		<-done
		if len(store.entries[0]) != 1 || w.Applied(0).Offset != 0 {
			t.Error("it was not written when the store was back")
		}
	})
}

// slow is a store that is busy with each write for a while, and begins again when it is
// interrupted.
type slow struct {
	*memory
	busy time.Duration
}

func (s slow) Write(ctx context.Context, b *history.Batch) error {
	select {
	case <-time.After(s.busy):
		return s.memory.Write(ctx, b)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestStoreSlow: a batch that takes the store longer than an attempt may last is written
// all the same.
func TestStoreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slow{newMemory(), 10 * time.Minute}
		w := newWriter(t, store)
		h := w.Handler(0)
		h.Begin(0, 0, start(t, w, 0))
		hand(h, record(0, 0, 100, message("a", userIn(0, 0))))
		go h.Tick()
		time.Sleep(time.Hour)
		if w.Applied(0).Offset != 0 {
			t.Error("it was not written in an hour")
		}
		end, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = w.Close(end)
	})
}

func TestClose(t *testing.T) {
	store := newMemory()
	w := newWriter(t, store)
	h := w.Handler(0)
	h.Begin(0, 0, start(t, w, 0))
	hand(h, record(0, 0, 100, message("a", userIn(0, 0))))
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(store.entries[0]) != 1 {
		t.Error("Close did not write what was pending")
	}
	// Nothing of what comes now is written, or said to be.
	h.Begin(1, 5, 0)
	hand(h, record(0, 1, 100, message("b", userIn(0, 0))))
	h.Tick()
	h.End(0)
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(store.written()) != 1 || w.Applied(0).Offset != 0 {
		t.Error("a closed writer wrote")
	}
	if _, err := w.Start(0); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a closed writer says: %v", err)
	}
}

// TestCloseWhileDown: Close ends what waits for the store, in the time that it has.
func TestCloseWhileDown(t *testing.T) {
	for _, comesBack := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			w := newWriter(t, store)
			h := w.Handler(0)
			h.Begin(0, 0, start(t, w, 0))
			down := errors.New("down")
			store.failWith(down)
			hand(h, record(0, 0, 100, message("a", userIn(0, 0))))
			done := make(chan struct{})
			go func() {
				h.Tick()
				hand(h, record(0, 1, 100, message("late", userIn(0, 0)))) // is left to the next writer
				close(done)
			}()
			time.Sleep(10 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if comesBack {
				time.AfterFunc(20*time.Second, func() { store.failWith(nil) })
			}
			begun := time.Now()
			err := w.Close(ctx)
			<-done
			if comesBack && (err != nil || len(store.entries[0]) != 1 || w.Applied(0).Offset != 0) {
				t.Errorf("the store came back: %v, %d entries", err, len(store.entries[0]))
			}
			if !comesBack && (!errors.Is(err, down) || time.Since(begun) > time.Minute) {
				t.Errorf("after %v: %v", time.Since(begun), err)
			}
		})
	}
}

// TestLost: a log that begins late, and one that deletes what was not read yet.
func TestLost(t *testing.T) {
	store := newMemory()
	w := newWriter(t, store)
	h := w.Handler(0)
	h.Begin(0, 500, start(t, w, 0))
	h.Tick()
	b := store.written()
	if len(b) != 1 || b[0].Lost != 500 || b[0].Applied.Offset != 499 {
		t.Fatalf("a log that begins at 500 became %+v", b)
	}
	if n := gather(t, w)["godwit_history_writer_lost_ranges_total"]; n != 0 {
		t.Error("what was before history began counts as lost")
	}
	hand(h, record(0, 500, 100, message("a", userIn(0, 0))))
	h.Begin(0, 520, 100) // while one is not written yet
	hand(h, record(0, 520, 200, message("b", userIn(0, 0))))
	h.Tick()
	b = store.written()
	if len(b) != 1 || b[0].Lost != 520 || len(b[0].Entries) != 2 || b[0].Applied.Offset != 520 {
		t.Fatalf("what the log lost became %+v", b)
	}
	if a := w.Applied(0); a != (history.Applied{Offset: 520, Time: 200, Floor: 519}) {
		t.Errorf("the writer says %+v", a)
	}
	metrics := gather(t, w)
	if r, n := metrics["godwit_history_writer_lost_ranges_total"], metrics["godwit_history_writer_lost_records_total"]; r != 1 || n != 19 {
		t.Errorf("%v ranges of %v records are lost, want 1 of 19", r, n)
	}
	// A partition of which all records are old and gone, but applied, has lost nothing.
	next := newWriter(t, store)
	h = next.Handler(0)
	h.Begin(0, 521, start(t, next, 0))
	h.Tick()
	if b = store.written(); len(b) != 0 {
		t.Errorf("nothing was lost, but it wrote %+v", b)
	}
}

// TestDuplicatesAcrossBegin: a hole in the log leaves the known message ids, and a log
// that was cut off forgets them, as those who read it later do.
func TestDuplicatesAcrossBegin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		offset int64
		want   int
	}{{"hole", 5, 1}, {"next", 1, 1}, {"cut off", 0, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			store := newMemory()
			w := newWriter(t, store)
			h := w.Handler(0)
			h.Begin(0, 0, start(t, w, 0))
			m := message("m", userIn(0, 0))
			hand(h, record(0, 0, 1000, m))
			h.Begin(0, tt.offset, 1000)
			hand(h, record(0, 9, 2000, m))
			h.Tick()
			if n := len(store.entries[0]); n != tt.want {
				t.Errorf("%d entries, want %d", n, tt.want)
			}
		})
	}
}

// TestEnd: a partition that is given away is written first, and forgotten.
func TestEnd(t *testing.T) {
	store := newMemory()
	w := newWriter(t, store)
	h := w.Handler(0)
	h.End(0) // of one that was never begun
	h.Begin(0, 0, start(t, w, 0))
	m := message("m", userIn(0, 0))
	hand(h, record(0, 0, 1000, m))
	h.End(0)
	if b := store.written(); len(b) != 1 || len(b[0].Entries) != 1 {
		t.Errorf("wrote %+v", b)
	}
	hand(h, record(0, 1, 1000, message("stray", userIn(0, 0))))
	h.Tick()
	if b := store.written(); len(b) != 0 {
		t.Errorf("wrote what is not its own: %+v", b)
	}
	h.Begin(0, 0, start(t, w, 0))
	hand(h, record(0, 0, 1000, m))
	hand(h, record(0, 1, 1001, m))
	h.Tick()
	if b := store.written(); len(b) != 1 || len(b[0].Entries) != 0 {
		t.Errorf("wrote %+v", b)
	}
}

// TestOtherLog: a log that gives the offsets of the store to younger records is another.
func TestOtherLog(t *testing.T) {
	store := newMemory()
	store.applied[0] = history.Applied{Offset: 100, Time: 1_000_000, Floor: -1}
	w := newWriter(t, store)
	h := w.Handler(0)
	h.Begin(0, 95, start(t, w, 0))
	hand(h, record(0, 95, 1_000_000, message("a", userIn(0, 0))))
	if err := w.Lag(time.UnixMilli(1_000_000), 0); err != nil {
		t.Fatal(err)
	}
	hand(h, record(0, 96, 1_000_001, message("b", userIn(0, 0))))
	if err := w.Lag(time.UnixMilli(1_000_000), 0); !errors.Is(err, history.ErrOtherLog) {
		t.Errorf("the lag is %v", err)
	}
	if gather(t, w)["godwit_history_writer_other_log"] != 1 {
		t.Error("the metrics do not tell")
	}
}

// TestLag: history says when it may miss what the log deletes, all the while.
func TestLag(t *testing.T) {
	store := newMemory()
	w := newWriter(t, store)
	h := w.Handler(0)
	h.Begin(0, 0, start(t, w, 0))
	now := time.UnixMilli(1_000_000_000)
	const retention = 10 * time.Hour
	lag := func(what string, want bool) {
		t.Helper()
		if err := w.Lag(now, retention); (err != nil) != want {
			t.Errorf("%s: %v", what, err)
		}
		if err := w.Lag(now, 0); err != nil {
			t.Errorf("%s: a log that keeps all: %v", what, err)
		}
	}
	at := func(offset int64, age time.Duration) {
		hand(h, record(0, offset, now.Add(-age).UnixMilli(), message(fmt.Sprint(offset), userIn(0, 0))))
	}
	lag("nothing to do", false)
	at(0, 6*time.Hour)
	lag("an old record", true)
	h.Tick()
	lag("old records are being read", true)
	at(1, 5*time.Hour+time.Minute)
	h.Tick()
	lag("old records are being read", true)
	at(2, 4*time.Hour)
	h.Tick()
	lag("the old ones were written in the last second", false)
	h.Tick()
	lag("nothing to do", false)
	if v := gather(t, w)["godwit_history_writer_unapplied_time_seconds"]; v != 0 {
		t.Errorf("something is said to be unapplied: %v", v)
	}
	at(3, time.Hour)
	if v := gather(t, w)["godwit_history_writer_unapplied_time_seconds"]; v != 1_000_000-3600 {
		t.Errorf("the oldest is said to be of %v", v)
	}
}

// TestNewWriterFails: there is no Writer without positions.
func TestNewWriterFails(t *testing.T) {
	down := errors.New("down")
	if _, err := history.NewWriter(history.Config{Store: broken{err: down}, N: 1}); !errors.Is(err, down) {
		t.Errorf("the error is %v", err)
	}
}

type broken struct {
	history.Store
	err error
}

func (b broken) Applied(context.Context, uint32, int32) ([]history.Applied, error) { return nil, b.err }
