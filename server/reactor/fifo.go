package reactor

// fifo is a queue that keeps its array. Only its owner may use it.
type fifo[T any] struct {
	items []T
	first int // of items that is in the queue
}

func (q *fifo[T]) len() int { return len(q.items) - q.first }

func (q *fifo[T]) push(item T) { q.items = append(q.items, item) }

// peek returns the first item; there is one.
func (q *fifo[T]) peek() T { return q.items[q.first] }

// pop takes the first item; there is one.
func (q *fifo[T]) pop() T {
	var none T
	item := q.items[q.first]
	q.items[q.first] = none
	q.first++
	if 2*q.first >= len(q.items) {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	return item
}
