package ring

import (
	"math/bits"
	"sync/atomic"
)

// Mailbox is a bounded queue for many producers and one consumer, after Dmitry
// Vyukov's bounded MPMC queue. Each slot has a sequence number that says whose
// turn it is: a producer claims a position by one compare-and-swap on tail,
// writes the value, and publishes it by the slot's sequence; the consumer needs
// no atomic read-modify-write at all. A channel would take its lock for each
// value, and the workers that fill a loop's mailbox would queue up at it.
//
// What is not obvious: a producer that has claimed a position and not yet
// published hides the values behind it, so Pop can report nothing while Len is
// positive. That is harmless with a doorbell that is rung after the publishing:
// the hidden producer rings too.
//
// The bound is in values and in weight (bytes, say). Producers that may wait use
// Push; those that must not use TryPush.
type Mailbox[T any] struct {
	// Static after construction.
	slots     []slot[T]
	mask      uint64
	maxWeight int64
	space     chan struct{}

	_       [64]byte
	tail    atomic.Uint64 // the next position to claim; producers
	_       [56]byte
	head    atomic.Uint64 // the next position to pop; written by the consumer
	_       [56]byte
	weight  atomic.Int64 // of all that is in the queue
	waiting atomic.Int32 // producers that wait, or are about to
}

type slot[T any] struct {
	sequence atomic.Uint64
	weight   int64
	value    T
}

// NewMailbox returns a mailbox for at least capacity values (the next power of
// two) and a total weight of maxWeight. A value is refused when the weight
// already reaches the maximum, so one value may go beyond it, and a value
// heavier than the maximum still passes.
func NewMailbox[T any](capacity int, maxWeight int64) *Mailbox[T] {
	if capacity < 1 || maxWeight < 1 {
		panic("ring: a mailbox needs a capacity and a maximum weight")
	}
	n := uint64(1) << bits.Len64(uint64(capacity-1))
	m := &Mailbox[T]{
		slots:     make([]slot[T], n),
		mask:      n - 1,
		maxWeight: maxWeight,
		space:     make(chan struct{}, 1),
	}
	for i := range m.slots {
		m.slots[i].sequence.Store(uint64(i))
	}
	return m
}

// TryPush appends v and reports whether there was room. Any goroutine may call
// it; it never waits.
func (m *Mailbox[T]) TryPush(v T, weight int64) bool {
	if m.weight.Load() >= m.maxWeight {
		return false
	}
	pos := m.tail.Load()
	for {
		s := &m.slots[pos&m.mask]
		switch seq := s.sequence.Load(); {
		case seq == pos:
			if !m.tail.CompareAndSwap(pos, pos+1) {
				pos = m.tail.Load()
				continue
			}
			m.weight.Add(weight)
			s.value, s.weight = v, weight
			s.sequence.Store(pos + 1)
			return true
		case seq < pos:
			return false // the consumer has not yet freed the slot
		default:
			pos = m.tail.Load() // another producer was faster
		}
	}
}

// Push appends v, waiting for room. It reports false, with nothing appended,
// when stop is closed before there is room. Any goroutine may call it, except
// one that the consumer waits for.
func (m *Mailbox[T]) Push(v T, weight int64, stop <-chan struct{}) bool {
	if m.TryPush(v, weight) {
		return true
	}
	m.waiting.Add(1)
	defer m.waiting.Add(-1)
	for {
		// Try again after announcing the wait. Without that: we find the queue full,
		// the consumer empties it and sees nobody waiting, we announce ourselves and
		// sleep, and no Pop comes any more that would wake us.
		if m.TryPush(v, weight) {
			// Room for one may be room for more, and one token wakes only one.
			m.wake()
			return true
		}
		select {
		case <-m.space:
		case <-stop:
			return false
		}
	}
}

// Pop removes the oldest value. Only the consumer may call it.
func (m *Mailbox[T]) Pop() (v T, ok bool) {
	pos := m.head.Load()
	s := &m.slots[pos&m.mask]
	if s.sequence.Load() != pos+1 {
		return v, false
	}
	v = s.value
	weight := s.weight
	var zero T
	s.value = zero // so that the queue does not keep it alive
	m.head.Store(pos + 1)
	s.sequence.Store(pos + m.mask + 1)
	m.weight.Add(-weight)
	m.wake()
	return v, true
}

// wake lets one waiting producer try again, if there is any.
func (m *Mailbox[T]) wake() {
	if m.waiting.Load() == 0 {
		return
	}
	select {
	case m.space <- struct{}{}:
	default: // a token is there already
	}
}

// Len returns the number of values, those being pushed included. Any goroutine may call it.
func (m *Mailbox[T]) Len() int {
	head := m.head.Load() // first: it never passes the tail that is read after it
	return int(m.tail.Load() - head)
}

// Cap returns the number of values that fit.
func (m *Mailbox[T]) Cap() int { return len(m.slots) }

// Weight returns the total weight of the values. Any goroutine may call it.
func (m *Mailbox[T]) Weight() int64 { return m.weight.Load() }
