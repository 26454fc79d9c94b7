package cassandra_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/history/cassandra"
	"github.com/godwit-im/godwit/backplane/history/cassandratest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// refused makes sure that every call fails with a temporary error while it is given
// no time limit of its own.
func refused(t *testing.T, s *cassandra.Store) {
	t.Helper()
	errs := make([]error, 4)
	var wg sync.WaitGroup
	wg.Go(func() { _, errs[0] = s.Read(t.Context(), newest()) })
	wg.Go(func() { _, errs[1] = s.Applied(t.Context(), generation, partitions) })
	wg.Go(func() { errs[2] = s.Write(t.Context(), batch(1000, t0, entry(1000, t0))) })
	wg.Go(func() { errs[3] = s.Trim(t.Context(), t0) })
	wg.Wait()
	for i, err := range errs {
		var temporary interface{ Temporary() bool }
		if !errors.As(err, &temporary) || !temporary.Temporary() {
			t.Errorf("%s: %v, want a temporary error", []string{"Read", "Applied", "Write", "Trim"}[i], err)
		}
	}
}

// eventually calls f until it succeeds.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", patience, err)
		}
	}
}

// TestNodeFails pauses, kills and starts a node: calls fail in the time that they have,
// and afterwards all that is applied is there.
func TestNodeFails(t *testing.T) {
	t.Parallel()
	node := cassandratest.Private(t)
	cfg := node.Config(t)
	cfg.Timeout = 4 * time.Second // which this test waits for, twice
	s := open(t, cfg)
	write(t, s, batch(1, t0, entry(1, t0)))
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	other := open(t, cfg)
	node.Pause()
	refused(t, s)
	if _, err := s.Read(ended, newest()); !errors.Is(err, context.Canceled) {
		t.Errorf("Read with a context that has ended: %v", err)
	}
	var temporary *cassandra.Error
	if _, err := cassandra.Open(ended, cfg); !errors.As(err, &temporary) || !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a context that has ended: %v", err)
	}
	if _, err := cassandra.Open(t.Context(), cfg); !errors.As(err, &temporary) {
		t.Errorf("Open of a node that does not answer: %v", err)
	}
	node.Resume()
	other.Close() // while it reconnects
	eventually(t, func() error { return s.Write(t.Context(), batch(2, t0, entry(2, t0))) })
	expect(t, "after the pause", offsets(t, s, newest()), []int64{2, 1})

	node.Kill()
	refused(t, s)
	if _, err := cassandra.Open(t.Context(), cfg); !errors.As(err, &temporary) {
		t.Errorf("Open of a node that is not there: %v", err)
	}
	node.Start(t)
	eventually(t, func() error { _, err := s.Read(t.Context(), newest()); return err })
	// The one node may have lost what it had not yet marked in its commit log, so a
	// writer asks how far it has come. What is applied is there.
	switch at := applied(t, s).Offset; at {
	case 1:
		expect(t, "after the kill", offsets(t, s, newest()), []int64{1})
	case 2:
		expect(t, "after the kill", offsets(t, s, newest()), []int64{2, 1})
	default:
		t.Errorf("after the kill, the position is %d, want 1 or 2", at)
	}
	write(t, s, batch(2, t0, entry(2, t0)))
	write(t, s, batch(3, t0, entry(3, t0)))
	expect(t, "at the end", offsets(t, s, newest()), []int64{3, 2, 1})
}
