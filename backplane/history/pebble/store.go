package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// Store is a history.Store in a folder of the local disk.
type Store struct {
	// Static.
	dir     string
	reserve uint64
	log     *slog.Logger
	fs      vfs.FS // the disk itself
	db      *pebble.DB
	lock    *pebble.Lock
	health  *health

	// oldest is the oldest day that entries are written to: those before it were trimmed.
	oldest atomic.Uint32

	mu sync.RWMutex
	storeState

	// calls counts the calls that use db. Calls begin only while mu is held.
	calls sync.WaitGroup
}

// storeState is what Store.mu guards.
type storeState struct {
	closed     bool
	partitions map[place]*partition
}

// partition is what the store knows of a partition of a generation.
type partition struct {
	// turn has a value while somebody writes the partition. It guards what follows.
	turn chan struct{}
	// day is the one that entries are written to now, if written is set.
	day     day
	written bool    // whether there is a key of the day
	offsets rangeOf // what it says

	applied atomic.Pointer[history.Applied] // written by whoever has the turn
}

func newPartition(a history.Applied, d day) *partition {
	p := &partition{turn: make(chan struct{}, 1), day: d}
	p.applied.Store(&a)
	return p
}

var _ history.Store = (*Store)(nil)

// nothing is how far a partition has come before anything is applied.
var nothing = history.Applied{Offset: -1, Floor: -1}

// partition returns what the store knows of a partition.
func (s *Store) partition(at place) *partition {
	s.mu.RLock()
	p := s.partitions[at]
	s.mu.RUnlock()
	if p != nil {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p = s.partitions[at]; p == nil {
		p = newPartition(nothing, 0)
		s.partitions[at] = p
	}
	return p
}

// begin counts a call that uses the database; done ends it.
func (s *Store) begin() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return history.ErrClosed
	}
	if err := s.health.readable(); err != nil {
		return err
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) done() { s.calls.Done() }

// guard makes an error of a panic in the call that defers it, and of what Pebble says.
func (s *Store) guard(err *error) {
	if r := recover(); r != nil {
		s.health.fail(fmt.Errorf("%w: panic: %v", errEngine, r))
		*err = s.health.readable() // the first reason
		return
	}
	*err = s.explain(*err)
}

// explain makes an error of damage of what tells of damage.
func (s *Store) explain(err error) error {
	if errors.Is(err, errKey) || errors.Is(err, errValue) || pebble.IsCorruptionError(err) {
		return corrupt(s.dir, err)
	}
	return err
}

// Applied implements history.Store. It does not read the disk.
func (s *Store) Applied(_ context.Context, generation uint32, n int32) ([]history.Applied, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.done()
	all := make([]history.Applied, n)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for p := range all {
		all[p] = nothing
		if known := s.partitions[place{generation, backplane.Partition(p)}]; known != nil {
			all[p] = *known.applied.Load()
		}
	}
	return all, nil
}

// Close implements history.Store. When the disk does not let what is under way come to
// an end, it returns an error, and the folder stays locked until the process ends.
// What was written before is safe in either case.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()

	trouble, err := s.health.usable()
	if err != nil {
		return err
	}
	finished := make(chan error, 1)
	go func() {
		s.calls.Wait()
		finished <- errors.Join(s.db.Close(), s.lock.Close())
	}()
	select {
	case err := <-finished:
		return err
	case <-trouble:
		return s.health.reason()
	case <-time.After(closePatience):
		return errors.New("pebble: the store could not be closed: the disk does not answer")
	}
}
