package timeline

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// memoryStore is a history store in memory, for one generation.
type memoryStore struct {
	mu         sync.Mutex
	trouble    trouble
	partitions map[backplane.Partition]*memoryTimelines
	// beforeRead and afterRead are called once, after a read has begun and before it returns.
	beforeRead, afterRead func()
}

type memoryTimelines struct {
	applied history.Applied
	entries map[int64][]history.Entry
	erased  map[string]int64
}

func newMemoryStore() *memoryStore {
	return &memoryStore{partitions: make(map[backplane.Partition]*memoryTimelines)}
}

func (s *memoryStore) set(t trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = t
}

func (s *memoryStore) meet(ctx context.Context) error {
	s.mu.Lock()
	t := s.trouble
	s.mu.Unlock()
	return t.meet(ctx)
}

// partition returns the timelines of a partition. s.mu is held.
func (s *memoryStore) partition(p backplane.Partition) *memoryTimelines {
	t := s.partitions[p]
	if t == nil {
		t = &memoryTimelines{
			applied: history.Applied{Offset: -1, Floor: -1},
			entries: make(map[int64][]history.Entry), erased: make(map[string]int64),
		}
		s.partitions[p] = t
	}
	return t
}

func (s *memoryStore) position(p backplane.Partition) history.Applied {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.partition(p).applied
}

func (s *memoryStore) Write(ctx context.Context, b *history.Batch) error {
	if err := s.meet(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.partition(b.Partition)
	for _, e := range b.Entries {
		if !slices.ContainsFunc(t.entries[e.Offset], func(has history.Entry) bool { return bytes.Equal(has.User, e.User) }) {
			e.User = bytes.Clone(e.User)
			t.entries[e.Offset] = append(t.entries[e.Offset], e)
		}
	}
	for _, e := range b.Erasures {
		t.erased[string(e.User)] = max(t.erased[string(e.User)], e.Offset)
	}
	t.applied.Floor = max(t.applied.Floor, b.Lost-1)
	if b.Applied.Offset > t.applied.Offset {
		t.applied.Offset, t.applied.Time = b.Applied.Offset, b.Applied.Time
	}
	return nil
}

func (s *memoryStore) Read(ctx context.Context, q *history.Query) (page history.Page, err error) {
	if err := s.meet(ctx); err != nil {
		return page, err
	}
	s.mu.Lock()
	before, after := s.beforeRead, s.afterRead
	s.beforeRead, s.afterRead = nil, nil
	s.mu.Unlock()
	if before != nil {
		before()
	}
	if after != nil {
		defer after()
	}
	s.mu.Lock()
	defer s.mu.Unlock() // before after is called
	t := s.partition(q.Partition)
	erased, ok := t.erased[string(q.User)]
	if !ok {
		erased = -1
	}
	var offsets []int64
	for offset := range t.entries {
		if offset > max(q.After, erased) && offset < q.Before && offset <= t.applied.Offset {
			offsets = append(offsets, offset)
		}
	}
	slices.Sort(offsets)
	if q.Backward {
		slices.Reverse(offsets)
	}
	size := 0
	for _, offset := range offsets {
		for _, e := range t.entries[offset] {
			concerns := len(q.Peer) == 0 || slices.ContainsFunc(e.Peers, func(p []byte) bool { return bytes.Equal(p, q.Peer) })
			if !bytes.Equal(e.User, q.User) || !concerns || e.Expires > 0 && q.Now >= e.Expires {
				continue
			}
			if len(page.Entries) >= q.Limit || len(page.Entries) > 0 && size >= q.Bytes {
				page.More = true
				return page, nil
			}
			e.Peers = nil
			page.Entries = append(page.Entries, e)
			size += len(e.Value)
		}
	}
	return page, nil
}

func (s *memoryStore) Applied(ctx context.Context, _ uint32, n int32) ([]history.Applied, error) {
	if err := s.meet(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	applied := make([]history.Applied, n)
	for p := range applied {
		applied[p] = s.partition(backplane.Partition(p)).applied
	}
	return applied, nil
}

// trim removes a partition's entries up to an offset.
func (s *memoryStore) trim(p backplane.Partition, floor int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.partition(p)
	t.applied.Floor = max(t.applied.Floor, floor)
	for offset := range t.entries {
		if offset <= floor {
			delete(t.entries, offset)
		}
	}
}

func (s *memoryStore) Trim(context.Context, int64) error { return nil }

func (s *memoryStore) Reset(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.partitions)
	return nil
}

func (s *memoryStore) Close() error { return nil }
