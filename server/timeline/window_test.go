package timeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// sizes writes messages from one user to another, with bodies of one size.
func (w *world) sizes(from, to string, n, size int) {
	for range n {
		w.send(w.message(from, backplane.KindMessage, 0, size, to), 0, everywhere)
	}
}

// reader reads forward by itself, and says what it found.
func (w *world) reader(t *testing.T, user string, after int64, pause time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() {
		got := []int64{}
		from := after
		p := backplane.PartitionOf(user, w.n)
		for {
			f, err := w.service.Forward(t.Context(), []byte(user), p, after, 3, 1<<20)
			if err != nil {
				done <- err
				return
			}
			got = append(got, offsets(f.Entries)...)
			if f.Live {
				break
			}
			after = f.Examined
			time.Sleep(pause)
		}
		if want := w.timeline(user, from, math.MaxInt64, ""); !slices.Equal(got, want) {
			done <- fmt.Errorf("%s after %d has %v, want %v", user, from, got, want)
			return
		}
		done <- nil
	}()
	return done
}

// TestOneScanForAll: a thousand devices that were away come at once.
func TestOneScanForAll(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		w.scans = DefaultScanBytes
		w.start()
		var users []string
		for i := range 20 {
			users = append(users, w.user(0, i))
		}
		for i := range 600 {
			w.say(users[i%20], users[i/7%20])
		}
		w.consume(0, math.MaxInt)
		w.apply(0, 100)
		var all []<-chan error
		for i := range 1000 {
			all = append(all, w.reader(t, users[i%20], int64(100+i%500), time.Millisecond))
		}
		for _, done := range all {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		c := w.service.Counters()
		if n := c.Scans.Load(); n != 1 {
			t.Errorf("%d scans", n)
		}
		if n := c.Scanned.Load(); n != 600 {
			t.Errorf("%d records scanned, of 600 in the log", n)
		}
		if n := c.Asked.Load(); n > 2 {
			t.Errorf("the store was asked %d times how far it is", n)
		}
	})
}

// TestWindowSlides: what was missed is many times what a window holds, and readers are not
// equally fast. All get everything, and the memory is bounded.
func TestWindowSlides(t *testing.T) {
	in(t, false, none, func(t *testing.T, w *world) {
		alice, bob := w.user(0, 0), w.user(0, 1)
		for range 100 {
			w.sizes(alice, bob, 1, 20_000)
			w.sizes(bob, bob, 2, 100)
		}
		w.consume(0, math.MaxInt)
		var all []<-chan error
		for i, pause := range []time.Duration{0, time.Millisecond, 300 * time.Millisecond, 2 * time.Second} {
			all = append(all, w.reader(t, bob, int64(20*i), pause), w.reader(t, alice, -1, pause))
		}
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			for _, done := range all {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}()
		c := w.service.Counters()
		for most := w.scans/scans + 64<<10; ; {
			if n := c.Bytes.Load(); n > most {
				t.Errorf("the window takes %d bytes", n)
			}
			select {
			case <-finished:
				if c.Evicted.Load() == 0 {
					t.Error("the window held everything")
				}
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

// TestWindowPassesOver: nobody waits for a reader who finds nothing.
func TestWindowPassesOver(t *testing.T) {
	in(t, false, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		w.sizes(alice, alice, 100, 20_000)
		w.consume(0, math.MaxInt)
		began := time.Now()
		if got := w.all(t, w.user(0, 1), -1); len(got) > 0 {
			t.Errorf("%v", got)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it had to wait for %v", took)
		}
	})
}

// TestWindowJumps: a reader far ahead does not wait for what lies between to be read.
func TestWindowJumps(t *testing.T) {
	in(t, false, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		// The first fill the window, so that it stops there.
		w.sizes(alice, alice, 20, 30_000)
		for range windowJump + 1000 {
			w.log.skip(0)
		}
		time.Sleep(5 * time.Minute)
		w.say(alice, alice)
		w.consume(0, math.MaxInt)
		if _, err := w.service.Forward(t.Context(), []byte(alice), 0, -1, 1, 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := w.service.Counters().Scanned.Load()
		if err := <-w.reader(t, alice, windowJump+500, 0); err != nil {
			t.Error(err)
		}
		if n := w.service.Counters().Scanned.Load() - before; n > 2 {
			t.Errorf("%d records were read on the way to the last one", n)
		}
	})
}

// TestWindowGoes: a window is kept for a moment after its last reader, and no longer.
func TestWindowGoes(t *testing.T) {
	in(t, false, none, func(t *testing.T, w *world) {
		w.say(w.user(0, 0), w.user(0, 1))
		w.consume(0, math.MaxInt)
		c := w.service.Counters()
		for i, pause := range []time.Duration{windowIdle / 2, 2 * windowIdle, 2 * windowIdle} {
			if err := <-w.reader(t, w.user(0, 1), -1, 0); err != nil {
				t.Error(err)
			}
			if n := c.Windows.Load(); n != 1 {
				t.Errorf("%d windows", n)
			}
			if got, want := c.Restarts.Load(), []uint64{1, 1, 2}[i]; got != want {
				t.Errorf("read %d began a window for the %dth time, want %d", i, got, want)
			}
			time.Sleep(pause)
		}
		if c.Windows.Load() != 0 || c.Bytes.Load() != 0 {
			t.Errorf("%d windows of %d bytes are left", c.Windows.Load(), c.Bytes.Load())
		}
	})
}

// TestWindowsShareMemory: many partitions are read from the log at once.
func TestWindowsShareMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 24
		w := newWorld(n, false, none, MinScanBytes)
		defer w.close()
		for p := range backplane.Partition(n) {
			w.sizes(w.user(p, 0), w.user(p, 1), 8, 20_000)
		}
		w.start()
		w.settle()
		var all []<-chan error
		for p := range backplane.Partition(n) {
			all = append(all, w.reader(t, w.user(p, 0), -1, 100*time.Millisecond), w.reader(t, w.user(p, 1), 3, 50*time.Millisecond))
		}
		for _, done := range all {
			if err := <-done; err != nil {
				t.Error(err)
			}
			if b := w.service.Counters().Bytes.Load(); b > w.scans {
				t.Errorf("windows take %d bytes of %d", b, w.scans)
			}
		}
		if w.service.Counters().Emptied.Load() == 0 {
			t.Error("there was room for all")
		}
	})
}

// TestLogFails: readers get an error that they may retry, in bounded time, and go on when
// the log is back.
func TestLogFails(t *testing.T) {
	for name, broken := range map[string]func(l *memoryLog){
		"down":       func(l *memoryLog) { l.set(down, 0) },
		"hangs":      func(l *memoryLog) { l.set(hangs, 0) },
		"at once":    func(l *memoryLog) { l.set(fine, 1) },
		"after some": func(l *memoryLog) { l.set(fine, 30) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, false, none, func(t *testing.T, w *world) {
				alice := w.user(0, 0)
				w.sizes(alice, alice, 100, 10_000)
				w.consume(0, math.MaxInt)
				broken(w.log)
				began := time.Now()
				err := <-w.reader(t, alice, -1, 0)
				if name != "after some" { // it gets on, if slowly
					if e, ok := errors.AsType[*Error](err); !ok || e.Code != LogUnavailable || !e.Retryable() {
						t.Errorf("error %v", err)
					}
				}
				if took := time.Since(began); took > 2*DefaultTimeout {
					t.Errorf("it took %v", took)
				}
				w.log.set(fine, 0)
				time.Sleep(DefaultTimeout)
				if err := <-w.reader(t, alice, -1, 0); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestLogIsCutDuringScan: what the window has is still served; then the rest is told as
// gone, and reading goes on behind it.
func TestLogIsCutDuringScan(t *testing.T) {
	in(t, false, none, func(t *testing.T, w *world) {
		alice := w.user(0, 0)
		for range 60 {
			w.sizes(alice, alice, 1, 20_000)
			time.Sleep(10 * time.Second)
		}
		w.consume(0, math.MaxInt)
		read := func(after int64) Forwarded {
			t.Helper()
			f, err := w.service.Forward(t.Context(), []byte(alice), 0, after, 100, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		f := read(-1)
		if len(f.Entries) == 0 || f.Examined > 20 {
			t.Fatalf("the window has %v", offsets(f.Entries))
		}
		synctest.Wait() // the scan is open, and the window is full
		w.log.cut(0, 40)
		got := offsets(f.Entries)
		for f.Gone < 0 {
			f = read(f.Examined)
			got = append(got, offsets(f.Entries)...)
		}
		// Six records a minute: those of the first are not told from duplicates.
		if f.Gone != 45 || len(f.Entries) == 0 || f.Entries[0].Offset != 46 {
			t.Errorf("gone up to %d, then %v", f.Gone, offsets(f.Entries))
		}
		for i, offset := range got[:len(got)-len(f.Entries)] {
			if offset != int64(i) {
				t.Errorf("%v before that", got)
			}
		}
		for !f.Live {
			f = read(f.Examined)
			got = append(got, offsets(f.Entries)...)
		}
		if got[len(got)-1] != 59 {
			t.Errorf("the last of %v is not the last", got)
		}
	})
}

// TestClose ends those who wait.
func TestClose(t *testing.T) {
	in(t, true, none, func(t *testing.T, w *world) {
		w.say(w.user(0, 0), w.user(0, 1))
		w.consume(0, math.MaxInt)
		w.log.set(hangs, 0)
		errs := make(chan error, 3)
		go func() {
			_, err := w.service.Forward(context.Background(), []byte(w.user(0, 0)), 0, -1, 1, 1)
			errs <- err
		}()
		go func() {
			_, err := w.service.Backward(context.Background(), []byte(w.user(0, 0)), 0, math.MaxInt64, 1, nil, 1)
			errs <- err
		}()
		go func() {
			_, err := w.service.Resolve(context.Background(), []byte(w.user(0, 0)), 0, 99)
			errs <- err
		}()
		synctest.Wait()
		w.service.Close()
		for range 3 {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("error %v", err)
			}
		}
		if _, err := w.service.Forward(context.Background(), []byte(w.user(0, 0)), 0, -1, 1, 1); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: error %v", err)
		}
	})
}
