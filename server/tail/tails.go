package tail

import (
	"sync"
	"unsafe"

	"github.com/godwit-im/godwit/backplane"
)

// Tails are the tails of all partitions of a node. A worker writes to those whose
// number modulo the number of workers is its own, and has that part of the budget.
// Any goroutine may call any method.
type Tails struct {
	// Static.
	generation uint32
	tails      []Tail
	workers    []Worker
}

// NewTails returns the tails of n partitions, which workers workers fill. budget is
// how many bytes of memory they may take, all together; with 0 nothing is kept, and
// every record takes the floor along.
//
// Erasures are kept even over budget; limits.go bounds them.
func NewTails(generation uint32, n int32, workers int, budget int64) *Tails {
	ts := &Tails{generation: generation, tails: make([]Tail, n), workers: make([]Worker, workers)}
	for i := range ts.tails {
		ts.tails[i].init()
	}
	for i := range ts.workers {
		w := &ts.workers[i]
		w.tails, w.budget = ts.tails, budget/int64(workers)
	}
	return ts
}

// Partition returns the tail of a partition, for reading: the writer is its worker.
func (ts *Tails) Partition(p backplane.Partition) *Tail { return &ts.tails[p] }

// N returns the number of partitions.
func (ts *Tails) N() int32 { return int32(len(ts.tails)) }

// Worker returns that through which worker i writes.
func (ts *Tails) Worker(i int) *Worker { return &ts.workers[i] }

// End returns the position of the last record of p that its worker has looked at,
// or, before the first, of the record before it.
//
// A session that joins registers first and reads End after that, and the worker asks the
// registry after it has written here. So a record at or below the End that a session
// has read may or may not reach it, and the session ignores it; a record beyond that
// finds the session registered.
func (ts *Tails) End(p backplane.Partition) backplane.Position {
	return backplane.Position{Generation: ts.generation, Partition: p, Offset: ts.tails[p].End()}
}

// Drop gives up everything of a partition that the node does not read any more,
// the erasures too. It is called when the last Record call for it has returned.
func (ts *Tails) Drop(p backplane.Partition) { ts.workers[int(p)%len(ts.workers)].drop(p) }

// Bytes returns the memory that all tails take for what they keep.
func (ts *Tails) Bytes() (n int64) {
	for i := range ts.workers {
		w := &ts.workers[i]
		w.mu.Lock()
		n += w.used()
		w.mu.Unlock()
	}
	return n
}

// Worker writes the tails of one dispatch worker's partitions. Its exported methods
// are called on that worker's goroutine.
//
// It gives up records in the order in which they came, whatever partition they are
// of: then all tails reach equally far back in time, and a busy partition takes
// the room that idle ones don't need. Before a record is added, room is made for it.
// What a ring or a table takes when it grows is made up for right after.
type Worker struct {
	// Static.
	tails  []Tail // of all partitions
	budget int64

	mu sync.Mutex // Drop comes from elsewhere; taken before Tail.mu
	workerContent
}

// workerContent is what Worker.mu guards.
type workerContent struct {
	kept  int64 // the Bytes of the worker's tails
	order ring[turn]
}

// turn is a record in the order of arrival. The tail may have given it up by itself;
// then its number is no longer the tail's first.
type turn struct {
	partition backplane.Partition
	number    uint32
}

const turnSize = int64(unsafe.Sizeof(turn{}))

// Begin is Tail.Begin for a partition.
func (w *Worker) Begin(p backplane.Partition, offset, since int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &w.tails[p]
	before := t.Bytes()
	t.Begin(offset, since)
	w.kept += t.Bytes() - before
}

// Append is Tail.Append for the record's partition. If the record is larger than the
// budget, it and all before it are given up.
func (w *Worker) Append(r *backplane.Record, m *backplane.Message) {
	t := &w.tails[r.Partition]
	if !t.wants(r) {
		w.Pass(r)
		return
	}
	need := cost(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if need > w.budget {
		before := t.Bytes()
		t.lose(r.Offset)
		w.kept += t.Bytes() - before
		return
	}
	w.fit(need)
	before := t.Bytes()
	number := t.keep(r, m)
	w.kept += t.Bytes() - before
	w.order.push(turn{r.Partition, number})
	w.fit(0)
}

// cost returns the memory that a record takes, in bytes, while no ring grows.
func cost(r *backplane.Record) int64 {
	n := recordSize + turnSize + int64(len(r.Recipients)) + int64(len(r.Value))
	rest := r.Recipients
	for {
		_, after, ok := backplane.NextRecipient(rest)
		if !ok {
			return n
		}
		n += linkSize
		rest = after
	}
}

// Pass is Tail.Pass for a record.
func (w *Worker) Pass(r *backplane.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &w.tails[r.Partition]
	before := t.Bytes()
	t.Pass(r.Offset, r.Time)
	w.kept += t.Bytes() - before
}

// Erase is Tail.Erase for a record of backplane.KindErase.
func (w *Worker) Erase(r *backplane.Record, m *backplane.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &w.tails[r.Partition]
	before := t.Bytes()
	t.Erase(m.From, r.Offset)
	w.kept += t.Bytes() - before
	w.fit(0)
}

// fit gives up records until there is room for need bytes, or none is left.
func (w *Worker) fit(need int64) {
	for w.used()+need > w.budget && w.order.len() > 0 {
		w.evict()
	}
}

// evict takes the first turn.
func (w *Worker) evict() {
	first := *w.order.at(w.order.first)
	w.order.pop()
	t := &w.tails[first.partition]
	t.mu.Lock()
	defer t.mu.Unlock()
	freed, _ := t.evict(first.number)
	w.kept -= freed
}

// used returns the memory that the worker's tails take. w.mu is held.
func (w *Worker) used() int64 { return w.kept + w.order.bytes() }

// drop gives up everything of a partition. The turns of its records stay until it is
// theirs: they are counted, and there are no more of them than of records that fit.
func (w *Worker) drop(p backplane.Partition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &w.tails[p]
	before := t.Bytes()
	t.clear()
	w.kept += t.Bytes() - before
}
