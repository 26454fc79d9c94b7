package reactor

// wheel is a loop's timing wheel: for each slot at most one deadline, in whole
// seconds. Setting and clearing cost the same however many there are, and need no
// memory beyond 12 bytes a slot. A deadline further away than the wheel has
// buckets is passed over once each turn.
type wheel struct {
	now     uint32 // everything at or before it has fired
	buckets [wheelBuckets]int32
	nodes   []wheelNode // by slot
	due     []int32     // scratch
}

// wheelNode links the slots of a bucket. Links hold slot+1, so that 0 is none.
type wheelNode struct {
	at         uint32 // 0 when there is no deadline
	next, prev int32  // prev is 0 for the first
}

// wheelBuckets is how many seconds one turn takes: longer than the common deadlines.
const wheelBuckets = 512

// at returns the deadline of a slot, 0 when there is none.
func (w *wheel) at(slot int) uint32 {
	if slot >= len(w.nodes) {
		return 0
	}
	return w.nodes[slot].at
}

// set gives a slot a deadline in place of the one that it has. What is due already
// fires with the next advance.
func (w *wheel) set(slot int, at uint32) {
	for slot >= len(w.nodes) {
		w.nodes = append(w.nodes, wheelNode{})
	}
	w.clear(slot)
	at = max(at, w.now+1)
	n := &w.nodes[slot]
	head := &w.buckets[at%wheelBuckets]
	n.at, n.next, n.prev = at, *head, 0
	if *head != 0 {
		w.nodes[*head-1].prev = int32(slot + 1)
	}
	*head = int32(slot + 1)
}

// clear takes a slot's deadline away.
func (w *wheel) clear(slot int) {
	if slot >= len(w.nodes) || w.nodes[slot].at == 0 {
		return
	}
	n := w.nodes[slot]
	if n.next != 0 {
		w.nodes[n.next-1].prev = n.prev
	}
	if n.prev != 0 {
		w.nodes[n.prev-1].next = n.next
	} else {
		w.buckets[n.at%wheelBuckets] = n.next
	}
	w.nodes[slot] = wheelNode{}
}

// advance moves to now and calls fire for each slot whose deadline has come, after
// clearing it. fire may set and clear any slot.
func (w *wheel) advance(now uint32, fire func(slot int)) {
	if now-w.now > wheelBuckets {
		w.now = now - wheelBuckets // the first call, or a long pause: one whole turn
	}
	for w.now < now {
		w.now++
		// All that is due is taken off first, since fire may change this very bucket.
		// set cannot put anything back in here: it takes a later second.
		w.due = w.due[:0]
		for i := w.buckets[w.now%wheelBuckets]; i != 0; {
			slot := int(i - 1)
			i = w.nodes[slot].next
			if w.nodes[slot].at <= now {
				w.clear(slot)
				w.due = append(w.due, int32(slot))
			}
		}
		for _, slot := range w.due {
			fire(int(slot))
		}
	}
}
