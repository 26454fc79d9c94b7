package report

import (
	"iter"
	"time"
)

// queue is a first in, first out list of things with the times when they are due, which
// never go back.
type queue[T any] struct {
	list []due[T]
	head int // the first of list that is in the queue
}

type due[T any] struct {
	at   time.Duration
	what T
}

func (q *queue[T]) push(at time.Duration, what T) {
	q.list = append(q.list, due[T]{at, what})
}

// due takes out what is due. More may be pushed meanwhile, for later.
func (q *queue[T]) due(now time.Duration) iter.Seq[T] {
	return func(yield func(T) bool) {
		for q.head < len(q.list) && q.list[q.head].at <= now {
			what := q.list[q.head].what
			q.head++
			if q.head > len(q.list)/2 {
				q.list = append(q.list[:0], q.list[q.head:]...)
				q.head = 0
			}
			if !yield(what) {
				return
			}
		}
	}
}
