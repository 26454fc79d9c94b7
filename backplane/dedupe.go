package backplane

import "time"

// DuplicateWindow is W: a record is a duplicate when a record with its message id
// stands before it in the partition with a log time at most W earlier. Every
// reader (a node, history, a replay) uses the same rule, so all of them agree on
// which record is the message. SDKs resend for less than W.
const DuplicateWindow = 60 * time.Second

// Rewind is how far before now a reader begins, so that it knows the message ids
// of the window before any record that it serves.
const Rewind = 2 * DuplicateWindow

// Dedupe applies the duplicate rule to the records of one partition, given to it in
// offset order. One goroutine owns it.
//
// The rule asks for any earlier record, duplicate or not, so the window of an id
// starts again with each retry. If only the first record counted, a reader that
// begins at the second would call it the message while others call it a duplicate.
//
// For each id it is enough to know the latest log time: an earlier record lies
// within W of the new one exactly if the latest of them does. An id is kept until
// a record 2W later than its latest comes. That is exact as long as no log time
// lies more than W before one that stands ahead of it in the partition: a record
// that could be a duplicate of time t has a time of at most t+W, so it comes before
// any of more than t+2W. Brokers that set the log time never go back; where
// producers set it, their clocks must agree within W.
//
// Ids are forgotten in the order in which they were last seen, as records come, so
// memory is that of the ids of the last 2W, about 80 bytes each. Forget is for an owner
// with less room than that.
type Dedupe struct {
	// Owned by the one goroutine. The slots in use form a list from the id seen
	// longest ago to the one seen last; the others form a list of their own by next.
	index  map[MessageID]int32
	slots  []dedupeSlot
	oldest int32
	latest int32
	free   int32
}

type dedupeSlot struct {
	id         MessageID
	time       int64 // the latest log time of id
	prev, next int32 // noSlot at the ends
}

const (
	noSlot = -1

	// shrinkFloor is the number of slots below which memory is not given back.
	shrinkFloor = 1024
)

// NewDedupe returns a Dedupe that remembers nothing yet.
func NewDedupe() *Dedupe {
	return &Dedupe{
		index:  make(map[MessageID]int32),
		oldest: noSlot, latest: noSlot, free: noSlot,
	}
}

// Seen takes the next record of the partition, with its message id and log time in
// Unix milliseconds, and reports whether it is a duplicate.
func (d *Dedupe) Seen(id MessageID, logTime int64) bool {
	const w = int64(DuplicateWindow / time.Millisecond)
	d.expire(logTime - 2*w)
	if at, ok := d.index[id]; ok {
		s := &d.slots[at]
		duplicate := s.time >= logTime-w
		s.time = max(s.time, logTime)
		d.unlink(at)
		d.link(at)
		return duplicate
	}
	at := d.free
	if at != noSlot {
		d.free = d.slots[at].next
	} else {
		at = int32(len(d.slots))
		d.slots = append(d.slots, dedupeSlot{})
	}
	d.slots[at] = dedupeSlot{id: id, time: logTime}
	d.index[id] = at
	d.link(at)
	return false
}

// Len returns how many ids are remembered.
func (d *Dedupe) Len() int { return len(d.index) }

// Forget forgets the n ids that were seen longest ago, or all if there are fewer, and
// returns how many that was. A retry of one of them is not recognised any more.
func (d *Dedupe) Forget(n int) int {
	n = min(n, len(d.index))
	for range n {
		d.forget(d.oldest)
	}
	return n
}

// expire forgets ids whose latest log time lies before a time. It stops at the
// first that does not: those behind it were seen later, so they are at most W older.
func (d *Dedupe) expire(before int64) {
	for d.oldest != noSlot && d.slots[d.oldest].time < before {
		d.forget(d.oldest)
	}
	if len(d.slots) > shrinkFloor && len(d.index) < len(d.slots)/4 {
		d.shrink()
	}
}

// shrink moves what is left after a burst into memory of its size. Neither slices
// nor maps shrink by themselves.
func (d *Dedupe) shrink() {
	slots := make([]dedupeSlot, 0, len(d.index))
	for at := d.oldest; at != noSlot; at = d.slots[at].next {
		slots = append(slots, d.slots[at])
	}
	n := len(slots)
	*d = Dedupe{
		index: make(map[MessageID]int32, n), slots: slots,
		oldest: noSlot, latest: noSlot, free: noSlot,
	}
	for at := range slots {
		d.index[slots[at].id] = int32(at)
		d.link(int32(at))
	}
}

// link puts a slot at the end of those seen last.
func (d *Dedupe) link(at int32) {
	d.slots[at].prev, d.slots[at].next = d.latest, noSlot
	if d.latest == noSlot {
		d.oldest = at
	} else {
		d.slots[d.latest].next = at
	}
	d.latest = at
}

// unlink takes a slot out of the list.
func (d *Dedupe) unlink(at int32) {
	s := d.slots[at]
	if s.prev == noSlot {
		d.oldest = s.next
	} else {
		d.slots[s.prev].next = s.next
	}
	if s.next == noSlot {
		d.latest = s.prev
	} else {
		d.slots[s.next].prev = s.prev
	}
}

// forget drops the id in a slot.
func (d *Dedupe) forget(at int32) {
	d.unlink(at)
	delete(d.index, d.slots[at].id)
	d.slots[at].next = d.free
	d.free = at
}
