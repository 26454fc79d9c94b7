package kafka

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kgo"
)

// worker calls one Handler. It has a queue, into which the poll goroutine puts
// the records of its partitions, and a goroutine that takes them out.
type worker struct {
	// Static.
	consumer   *Consumer
	id         int
	handler    backplane.Handler
	partitions map[string][]int32 // all partitions of this worker, assigned or not
	bell       chan struct{}      // rung when the queue has something
	quit       chan struct{}

	// Owned by the worker's goroutine.
	record backplane.Record // what Record is called with

	// current is the assignment whose records are being handed out.
	current atomic.Pointer[assignment]
	// idle is signalled when current was an assignment that is being removed.
	idle   sync.Cond
	idleMu sync.Mutex

	// clientPaused is whether the client has been told to pause; guarded by
	// Consumer.pausing.
	clientPaused bool

	mu sync.Mutex
	workerQueue
}

// workerQueue is what worker.mu guards.
type workerQueue struct {
	items   []item
	head    int   // items before it are done
	records int   // queued, and being handed out
	bytes   int64 // of those
	paused  bool  // whether the partitions should be paused
}

// item is what a worker has to do next for one assignment: call Record for a
// poll's records, or Begin, or End.
type item struct {
	assignment *assignment
	call       call
	records    []*kgo.Record
	bytes      int64
	upTo       int64 // the offset that the assignment has reached after it; not of callEnd
	since      int64 // of callBegin
}

type call uint8

const (
	callRecord call = iota
	callBegin
	callEnd
)

func newWorker(c *Consumer, id, workers int, partitions int32, h backplane.Handler) *worker {
	w := &worker{
		consumer:   c,
		id:         id,
		handler:    h,
		partitions: make(map[string][]int32),
		bell:       make(chan struct{}, 1),
		quit:       make(chan struct{}),
	}
	w.idle.L = &w.idleMu
	for p := int32(id); p < partitions; p += int32(workers) {
		w.partitions[c.topic] = append(w.partitions[c.topic], p)
	}
	return w
}

// push queues an item. It is called by the poll goroutine, which calls settlePause
// when it has pushed all items of a poll.
func (w *worker) push(it item) {
	for _, r := range it.records {
		it.bytes += recordBytes(r)
	}
	w.mu.Lock()
	w.items = append(w.items, it)
	w.records += len(it.records)
	w.bytes += it.bytes
	if w.records > w.consumer.cfg.QueueRecords || w.bytes > w.consumer.cfg.QueueBytes {
		w.paused = true
	}
	w.mu.Unlock()
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// pop returns the first item of the queue. It stays counted until done.
func (w *worker) pop() (it item, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == len(w.items) {
		w.items, w.head = w.items[:0], 0
		return it, false
	}
	it = w.items[w.head]
	w.items[w.head] = item{} // it pins a fetch
	w.head++
	if w.head > len(w.items)/2 && w.head > 64 {
		n := copy(w.items, w.items[w.head:])
		clear(w.items[n:])
		w.items, w.head = w.items[:n], 0
	}
	return it, true
}

// done takes an item out of the counts, and resumes the partitions when the
// queue is down to half of its marks.
func (w *worker) done(it item) {
	w.mu.Lock()
	w.records -= len(it.records)
	w.bytes -= it.bytes
	resume := w.paused && w.records <= w.consumer.cfg.QueueRecords/2 && w.bytes <= w.consumer.cfg.QueueBytes/2
	if resume {
		w.paused = false
	}
	w.mu.Unlock()
	if resume {
		w.settlePause()
	}
}

// load returns how many records are queued and whether the partitions are paused.
func (w *worker) load() (records int, paused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records, w.paused
}

// settlePause makes the client's state follow w.paused. The poll goroutine raises
// that flag and the worker lowers it, each then calls settlePause, and whoever
// comes last finds the flag's last value: telling the client outside of a common
// lock, the worker's "resume" could come before the poll goroutine's "pause", and
// the partitions would stay paused with an empty queue.
func (w *worker) settlePause() {
	c := w.consumer
	c.pausing.Lock()
	defer c.pausing.Unlock()
	switch _, paused := w.load(); {
	case paused == w.clientPaused:
	case paused:
		w.clientPaused = true
		c.counts.pauses.Inc()
		c.client.PauseFetchPartitions(w.partitions)
	default:
		w.clientPaused = false
		c.client.ResumeFetchPartitions(w.partitions)
	}
}

// run is the worker's goroutine.
func (w *worker) run() {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	for {
		select {
		case <-w.bell:
		case <-tick.C:
			w.handler.Tick()
		case <-w.quit:
			return
		}
		for {
			it, ok := w.pop()
			if !ok {
				break
			}
			w.do(it)
			w.done(it)
			select {
			case <-tick.C:
				w.handler.Tick()
			default:
			}
		}
	}
}

// do makes the calls of an item. Once the assignment is removed, that is End at
// most.
func (w *worker) do(it item) {
	a := it.assignment
	if it.call == callEnd {
		if a.begun {
			w.handler.End(a.partition)
		}
		return
	}
	// Remove sets removed and then looks at current; here current is set before
	// removed is looked at. So either we see that it is removed, or Remove sees that
	// it must wait.
	w.current.Store(a)
	if w.handOut(a, it) {
		a.handed.Store(it.upTo)
		if it.upTo >= a.end {
			w.consumer.caughtUp(a)
		}
	}
	w.current.Store(nil)
	if a.removed.Load() {
		w.idleMu.Lock()
		w.idle.Broadcast()
		w.idleMu.Unlock()
	}
}

// handOut calls Begin, or Record for each record, until the assignment is removed.
// It reports whether it came to the item's end.
func (w *worker) handOut(a *assignment, it item) bool {
	if it.call == callBegin {
		if a.removed.Load() {
			return false
		}
		a.begun = true
		w.handler.Begin(a.partition, it.upTo, it.since)
		return true
	}
	n := 0
	for ; n < len(it.records) && !a.removed.Load(); n++ {
		r := it.records[n]
		fillRecord(&w.record, backplane.Position{Generation: w.consumer.generation, Partition: a.partition, Offset: r.Offset}, r)
		w.handler.Record(&w.record)
		a.handed.Store(r.Offset + 1)
	}
	w.record = backplane.Record{} // it pins a fetch
	w.consumer.counts.records.Add(float64(n))
	return n == len(it.records)
}

// await returns when no Begin or Record call for a, which has been removed, is running.
func (w *worker) await(a *assignment) {
	w.idleMu.Lock()
	defer w.idleMu.Unlock()
	for w.current.Load() == a {
		w.idle.Wait()
	}
}

// fillRecord makes record tell of r, which stands at a position.
func fillRecord(record *backplane.Record, at backplane.Position, r *kgo.Record) {
	*record = backplane.Record{Position: at, Time: r.Timestamp.UnixMilli(), Value: r.Value}
	for i := range r.Headers {
		switch r.Headers[i].Key {
		case backplane.HeaderRecipients:
			record.Recipients = r.Headers[i].Value
		case backplane.HeaderSession:
			record.Session = backplane.ParseSession(r.Headers[i].Value)
		}
	}
}

// recordBytes returns how much a record counts for in a queue: its value and
// headers, and what the client keeps for it beside them.
func recordBytes(r *kgo.Record) int64 {
	const overhead = 256 // kgo.Record and its slice of headers, rounded up
	n := overhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return int64(n)
}
