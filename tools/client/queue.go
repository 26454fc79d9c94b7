package client

import "sync/atomic"

// queue holds the calls of the callbacks until their goroutine has time for them. Run's
// goroutine puts them in, one other takes them out; it is bounded by queueEvents and
// queueBytes, and whoever puts into a full one waits.
type queue struct {
	// Static.
	calls chan call
	room  chan struct{} // a doorbell: bytes has become less

	// Atomic.
	bytes atomic.Int64
}

type call struct {
	run  func()
	size int
}

func newQueue() *queue {
	return &queue{calls: make(chan call, queueEvents), room: make(chan struct{}, 1)}
}

// put adds a call that keeps about size bytes of memory.
func (q *queue) put(size int, run func()) {
	for {
		held := q.bytes.Load()
		if held == 0 || held+int64(size) <= queueBytes {
			break
		}
		<-q.room
	}
	q.bytes.Add(int64(size))
	q.calls <- call{run, size}
}

// close ends run once it has made all calls.
func (q *queue) close() { close(q.calls) }

// run makes the calls. A call counts until it has returned.
func (q *queue) run() {
	for c := range q.calls {
		c.run()
		q.bytes.Add(int64(-c.size))
		select {
		case q.room <- struct{}{}:
		default:
		}
	}
}
