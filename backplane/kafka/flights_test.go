package kafka

import (
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// told is a Waiter that keeps what it is told and when.
type told struct {
	mu  sync.Mutex
	out []backplane.Outcome
	at  time.Time
}

func (w *told) Done(out backplane.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out, w.at = append(w.out, out), time.Now()
}

func (w *told) get() ([]backplane.Outcome, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out, w.at
}

// flightOf returns a flight with so many records that nothing carries.
func flightOf(id uint64, records int) *flight {
	f := &flight{bytes: int64(records) * 100}
	binary.BigEndian.PutUint64(f.id[:], id)
	for range records {
		f.records = append(f.records, new(record))
	}
	return f
}

func startFlights(t *testing.T, cfg ProducerConfig) *flights {
	table := newFlights(&cfg, newProducerCounts())
	var wg sync.WaitGroup
	wg.Go(table.run)
	t.Cleanup(func() {
		close(table.quit)
		wg.Wait()
	})
	return table
}

func enter(t *testing.T, table *flights, f *flight, w backplane.Waiter) {
	t.Helper()
	joined, code := table.enter(f, w)
	if joined || code != "" {
		t.Fatalf("enter: joined %v, code %q; want a new flight", joined, code)
	}
	table.handed()
}

var (
	timedOut = backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeTimeout}
	stored   = backplane.Outcome{Status: backplane.Stored, Time: 1234}
)

// Each who waits has its own time; a flight whose first callers were answered
// stays, so a later retry joins it and is told the real outcome.
func TestLateRetryJoinsUntilSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := startFlights(t, ProducerConfig{MaxRecords: 100, MaxBytes: 1 << 20, AckTimeout: 20 * time.Second})
		begin := time.Now()
		f := flightOf(1, 3)
		first, second, third := new(told), new(told), new(told)
		enter(t, table, f, first)
		time.Sleep(15 * time.Second)
		if joined, code := table.enter(flightOf(1, 3), second); !joined || code != "" {
			t.Fatalf("retry: joined %v, code %q", joined, code)
		}
		time.Sleep(10 * time.Second) // 25 s
		synctest.Wait()
		out, at := first.get()
		if len(out) != 1 || out[0] != timedOut || at.Sub(begin) != 20*time.Second {
			t.Fatalf("the first was told %+v after %v, want a timeout after 20 s", out, at.Sub(begin))
		}
		if out, _ := second.get(); len(out) != 0 {
			t.Fatalf("the second was told %+v too early", out)
		}
		time.Sleep(11 * time.Second) // 36 s
		synctest.Wait()
		if out, at := second.get(); len(out) != 1 || out[0] != timedOut || at.Sub(begin) != 35*time.Second {
			t.Fatalf("the second was told %+v after %v, want a timeout after 35 s", out, at.Sub(begin))
		}
		// Nobody waits any more, but the records are still with the client.
		if sends, records, bytes := table.load(); sends != 1 || records != 3 || bytes != 300 {
			t.Fatalf("load %d, %d, %d; want the flight to stay", sends, records, bytes)
		}
		if joined, _ := table.enter(flightOf(1, 3), third); !joined {
			t.Fatal("the third did not join")
		}
		table.land(f, stored)
		if out, _ := third.get(); len(out) != 1 || out[0] != stored {
			t.Fatalf("the third was told %+v, want stored", out)
		}
		if sends, records, bytes := table.load(); sends != 0 || records != 0 || bytes != 0 {
			t.Fatalf("load %d, %d, %d after landing", sends, records, bytes)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i, w := range []*told{first, second, third} {
			if out, _ := w.get(); len(out) != 1 {
				t.Errorf("caller %d was told %d times", i, len(out))
			}
		}
	})
}

// The timer goroutine sleeps for ever when nobody waits, and must wake for who
// comes next, whatever came and went before.
func TestTimerWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := startFlights(t, ProducerConfig{MaxRecords: 100, MaxBytes: 1 << 20, AckTimeout: 5 * time.Second})
		for round := range 20 {
			answered := flightOf(uint64(2*round), 1)
			enter(t, table, answered, new(told))
			time.Sleep(time.Duration(round%7) * time.Second)
			w := new(told)
			begin := time.Now()
			late := flightOf(uint64(2*round+1), 1)
			enter(t, table, late, w)
			table.land(answered, stored)
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if out, at := w.get(); len(out) != 1 || out[0] != timedOut || at.Sub(begin) != 5*time.Second {
				t.Fatalf("round %d: told %+v after %v, want a timeout after 5 s", round, out, at.Sub(begin))
			}
			table.land(late, stored)
		}
	})
}

func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := startFlights(t, ProducerConfig{MaxRecords: 10, MaxBytes: 900, AckTimeout: time.Second})
		enter(t, table, flightOf(1, 6), new(told))
		if _, code := table.enter(flightOf(2, 5), new(told)); code != backplane.CodeOverloaded {
			t.Errorf("11 records of 10: code %q", code)
		}
		if _, code := table.enter(flightOf(3, 4), new(told)); code != backplane.CodeOverloaded {
			t.Errorf("1000 bytes of 900: code %q", code)
		}
		enter(t, table, flightOf(4, 3), new(told))
		// Joining needs no place for records, but a place to wait.
		for i := range 10 {
			if joined, code := table.enter(flightOf(1, 6), new(told)); !joined {
				t.Fatalf("retry %d: code %q", i, code)
			}
		}
		if _, code := table.enter(flightOf(1, 6), new(told)); code != backplane.CodeOverloaded {
			t.Errorf("the 11th retry: code %q", code)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if joined, code := table.enter(flightOf(1, 6), new(told)); !joined {
			t.Errorf("a retry after the others were answered: code %q", code)
		}
	})
}

func TestCloseOfTable(t *testing.T) {
	table := newFlights(&ProducerConfig{MaxRecords: 10, MaxBytes: 1000, AckTimeout: time.Minute}, newProducerCounts())
	f := flightOf(1, 1)
	if _, code := table.enter(f, new(told)); code != "" {
		t.Fatal(code)
	}
	settled, empty := table.close()
	open := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return false
		default:
			return true
		}
	}
	if !open(settled) || !open(empty) {
		t.Fatal("settled or empty with a caller between enter and handed")
	}
	table.handed()
	if open(settled) || !open(empty) {
		t.Fatal("want settled, and not empty")
	}
	if _, code := table.enter(flightOf(2, 1), new(told)); code != backplane.CodeShutdown {
		t.Errorf("code %q, want shutting_down", code)
	}
	table.land(f, stored)
	if open(empty) {
		t.Fatal("want empty")
	}
}

// Waiters may keep state without a lock: they are called one at a time.
func TestWaitersAreCalledOneAtATime(t *testing.T) {
	table := startFlights(t, ProducerConfig{MaxRecords: 10_000, MaxBytes: 1 << 30, AckTimeout: time.Millisecond})
	w := new(unlocked)
	const sends = 2000
	var landing sync.WaitGroup
	for i := range sends {
		f := flightOf(uint64(i), 1)
		enter(t, table, f, w)
		if i%2 == 0 {
			landing.Go(func() { table.land(f, stored) })
		}
	}
	landing.Wait()
	deadline := time.Now().Add(30 * time.Second)
	for {
		table.answering.Lock()
		n := w.calls
		table.answering.Unlock()
		if n == sends {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d calls, want %d", n, sends)
		}
		time.Sleep(time.Millisecond)
	}
}

// unlocked is a Waiter that the race detector would report if two calls met.
type unlocked struct{ calls int }

func (w *unlocked) Done(backplane.Outcome) { w.calls++ }
