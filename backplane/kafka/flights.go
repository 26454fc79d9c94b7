package kafka

import (
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// flights is the table of the sends that are on their way to the log, by message
// id, and of everyone who waits for one. It knows nothing of Kafka.
//
// A flight stays in the table until its last record is settled, however long that
// takes: a retry must find it, or it would write the message again, and what is
// admitted must cover what the client holds. Those who wait for it come and go:
// each has a deadline of its own, and is answered by whichever comes first, the
// outcome or the deadline.
//
// All deadlines are the same time after the wait begins, so a list in order of
// arrival is in order of deadlines. One goroutine sleeps until the first; nothing
// else has a timer.
type flights struct {
	// Static.
	timeout    time.Duration
	maxRecords int
	maxBytes   int64
	counts     *producerCounts
	bell       chan struct{} // rung when the timer goroutine sleeps and has a reason not to
	quit       chan struct{}

	// answering is held while Waiters are called, so that they are called one at a
	// time although a promise and the timer may have answers at once. It is never
	// taken with mu held.
	answering sync.Mutex

	mu sync.Mutex // guards what follows, and the waiting structs
	flightsState
}

type flightsState struct {
	byID        map[backplane.MessageID]*flight
	records     int   // of all flights
	bytes       int64 // of all flights
	joined      int   // those who wait beyond the first of each flight
	first, last *waiting
	armed       bool // the timer goroutine sleeps until some deadline
	closed      bool
	entering    int           // callers between enter and handed
	empty       chan struct{} // closed when closed, and no flight is left
	settled     chan struct{} // closed when closed, and no caller is entering
}

// waiting is someone who waits for a flight.
type waiting struct {
	waiter   backplane.Waiter
	flight   *flight
	deadline time.Time
	joined   bool
	// prev and next link all who wait, in order of deadlines.
	prev, next *waiting
	// sibling links those who wait for one flight, in the same order.
	sibling *waiting
}

var waitings = sync.Pool{New: func() any { return new(waiting) }}

func newFlights(cfg *ProducerConfig, counts *producerCounts) *flights {
	return &flights{
		timeout:    cfg.AckTimeout,
		maxRecords: cfg.MaxRecords,
		maxBytes:   cfg.MaxBytes,
		counts:     counts,
		bell:       make(chan struct{}, 1),
		quit:       make(chan struct{}),
		flightsState: flightsState{
			byID:    make(map[backplane.MessageID]*flight),
			empty:   make(chan struct{}),
			settled: make(chan struct{}),
		},
	}
}

// enter makes w wait for the flight of f's message. If there is one in the table,
// w joins it and f is not used. Otherwise all records of f are admitted, f is
// entered, and the caller hands its records on and then calls handed. A code
// other than "" is a rejection.
func (t *flights) enter(f *flight, w backplane.Waiter) (joined bool, code backplane.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false, backplane.CodeShutdown
	}
	if there := t.byID[f.id]; there != nil {
		if t.joined >= t.maxRecords {
			return false, backplane.CodeOverloaded
		}
		t.joined++
		t.wait(there, w, true)
		return true, ""
	}
	if t.records+len(f.records) > t.maxRecords || t.bytes+f.bytes > t.maxBytes {
		return false, backplane.CodeOverloaded
	}
	t.records += len(f.records)
	t.bytes += f.bytes
	t.byID[f.id] = f
	t.entering++
	t.wait(f, w, false)
	return false, ""
}

// handed says that the caller of enter has handed on all records of its flight.
func (t *flights) handed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entering--
	if t.closed && t.entering == 0 {
		close(t.settled)
	}
}

// land takes f out of the table and answers all who wait for it.
func (t *flights) land(f *flight, out backplane.Outcome) {
	t.mu.Lock()
	delete(t.byID, f.id)
	t.records -= len(f.records)
	t.bytes -= f.bytes
	list := f.waiting
	f.waiting, f.lastWaiting = nil, nil
	for n := list; n != nil; n = n.sibling {
		t.unlink(n)
	}
	if t.closed && len(t.byID) == 0 {
		close(t.empty)
	}
	t.mu.Unlock()
	t.answer(list, out)
}

// run is the timer goroutine. It returns when quit is closed.
func (t *flights) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		var wake <-chan time.Time
		if deadline, ok := t.nextDeadline(); ok {
			timer.Reset(time.Until(deadline))
			wake = timer.C
		}
		select {
		case <-wake:
			t.expire(time.Now())
		case <-t.bell:
		case <-t.quit:
			return
		}
	}
}

// nextDeadline returns the first deadline, and notes whether the timer goroutine
// will sleep until one: whoever waits next need not wake it then, because no
// later deadline is earlier.
func (t *flights) nextDeadline() (deadline time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = t.first != nil
	if !t.armed {
		return time.Time{}, false
	}
	return t.first.deadline, true
}

// expire answers those whose deadline is not after now.
func (t *flights) expire(now time.Time) {
	var list, last *waiting
	t.mu.Lock()
	for n := t.first; n != nil && !n.deadline.After(now); n = t.first {
		t.unlink(n)
		// Both lists are in order of deadlines, so n is the first of its flight.
		f := n.flight
		f.waiting = n.sibling
		if f.waiting == nil {
			f.lastWaiting = nil
		}
		n.sibling = nil
		if last == nil {
			list = n
		} else {
			last.sibling = n
		}
		last = n
	}
	t.mu.Unlock()
	t.answer(list, backplane.Outcome{Status: backplane.Unknown, Code: backplane.CodeTimeout})
}

// close refuses everyone from now on. It returns a channel that is closed when
// everything that was admitted has been handed on, and one that is closed when no
// flight is left.
func (t *flights) close() (settled, empty <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		if t.entering == 0 {
			close(t.settled)
		}
		if len(t.byID) == 0 {
			close(t.empty)
		}
	}
	return t.settled, t.empty
}

// load returns what is in the table: sends, records and bytes.
func (t *flights) load() (sends, records int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID), t.records, t.bytes
}

// wait puts w at the end of both lists. It is called with mu held.
func (t *flights) wait(f *flight, w backplane.Waiter, joined bool) {
	n := waitings.Get().(*waiting)
	*n = waiting{waiter: w, flight: f, deadline: time.Now().Add(t.timeout), joined: joined, prev: t.last}
	if t.last == nil {
		t.first = n
		if !t.armed {
			select {
			case t.bell <- struct{}{}:
			default:
			}
		}
	} else {
		t.last.next = n
	}
	t.last = n
	if f.lastWaiting == nil {
		f.waiting = n
	} else {
		f.lastWaiting.sibling = n
	}
	f.lastWaiting = n
}

// unlink takes n out of the list of all who wait. It is called with mu held.
func (t *flights) unlink(n *waiting) {
	if n.prev == nil {
		t.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		t.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
	if n.joined {
		t.joined--
	}
}

// answer tells out to a list of those who waited, linked as siblings.
func (t *flights) answer(list *waiting, out backplane.Outcome) {
	if list == nil {
		return
	}
	t.answering.Lock()
	defer t.answering.Unlock()
	for n := list; n != nil; {
		w, next := n.waiter, n.sibling
		*n = waiting{}
		waitings.Put(n)
		t.counts.outcome(out)
		w.Done(out)
		n = next
	}
}
