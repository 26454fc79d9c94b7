package timeline

import (
	"context"
	"sync"
	"time"
)

// shared is the answer to a question that many readers ask. It is asked once at a time,
// on a goroutine of its own, so that whoever asked first may leave.
type shared[T any] struct {
	// Static.
	service *Service
	ask     func(context.Context) (T, error)

	mu sync.Mutex
	sharedState[T]
}

// sharedState is what shared.mu guards.
type sharedState[T any] struct {
	value T // the last that there was; it stays when a later question fails
	last  question
	asked chan struct{} // closed when the question that is being asked is answered; else nil
	next  question      // that one
}

// question is one asking.
type question struct {
	number uint64 // of the askings, from 1
	begun  time.Time
	err    error
}

// get returns the answer to a question that was begun at most age ago, or after
// get was called. With an error it returns the last value that there was.
func (s *shared[T]) get(ctx context.Context, age time.Duration) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, oldest := max(s.last.number, s.next.number), time.Now().Add(-age)
	for {
		if q := s.last; q.number > known || q.number > 0 && age > 0 && !q.begun.Before(oldest) {
			return s.value, q.err
		}
		if s.asked == nil {
			s.begin()
		}
		asked := s.asked
		s.mu.Unlock()
		select {
		case <-asked:
			s.mu.Lock()
		case <-ctx.Done():
			s.mu.Lock()
			return s.value, context.Cause(ctx)
		}
	}
}

// known returns the last value that there was.
func (s *shared[T]) known() T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value
}

// begin starts asking. s.mu is held.
func (s *shared[T]) begin() {
	asked := make(chan struct{})
	s.asked = asked
	s.next = question{number: s.last.number + 1, begun: time.Now()}
	if !s.service.start(func() { s.answer(asked) }) {
		s.next.err = ErrClosed
		s.settle()
	}
}

// answer asks.
func (s *shared[T]) answer(asked chan struct{}) {
	ctx, cancel := context.WithTimeout(s.service.ctx, s.service.cfg.Timeout)
	defer cancel()
	value, err := s.ask(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.service.counters.Failed.Add(1)
		s.next.err = err
	} else {
		s.value = value
	}
	s.settle()
}

// settle makes the question that was asked the last one. s.mu is held.
func (s *shared[T]) settle() {
	s.last, s.next = s.next, question{}
	close(s.asked)
	s.asked = nil
}
