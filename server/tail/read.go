package tail

import (
	"bytes"
	"slices"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// Newest returns the offset of the newest record that a user has in the tail, hidden by
// its time or not, or -1.
//
// A user who has everything up to an offset has missed nothing if Newest returns no
// more than that and then Floor does not either. In the other order a record could
// be given up between the two.
func (t *Tail) Newest(user []byte) int64 {
	hash := hashUser(user)
	t.mu.Lock()
	defer t.mu.Unlock()
	place := t.find(hash, user)
	if place < 0 {
		return -1
	}
	return t.record(t.users.heads[place].newest).offset
}

// Read answers a query from the records after floor up to end, which were the tail's at one
// moment of the call. The query's generation and partition are not looked at.
//
// It takes time for the records of the user that it returns or leaves out, and, if the
// bound that it starts from is not the offset of one of them, for those
// beyond that bound. However many it leaves out, the writer can go on in between. The
// values of the entries are shared with the tail: they stay as they are, must not be
// written to, and are kept in memory by the page.
func (t *Tail) Read(q *history.Query) (p history.Page, floor, end int64) {
	w := walk{q: *q, hash: hashUser(q.User)}
	for n := min(q.Limit, mostLooked-1) + 1; ; n = min(2*n, mostLooked) {
		known := len(w.page.Entries)
		more, ok := w.look(t, n)
		if !ok {
			w = walk{q: *q, hash: w.hash}
			continue
		}
		if w.choose(known); !more || w.page.More {
			return w.page, w.floor, w.end
		}
	}
}

// walk is a walk along the links of one user for a query.
type walk struct {
	q          history.Query // for what has not been looked at yet
	hash       uint32
	page       history.Page
	size       int   // the bytes of its values
	floor, end int64 // what it answers for
	erased     int64 // the user's last erasure
	looked     bool

	// During a look.
	*content
	head

	message backplane.Message // parsed to tell the peers of a record
}

// look adds the next n records to the page, all in the query's bounds, and reports
// whether there may be more. It is not ok if what has happened since the last look leaves
// no range for which the page would be an answer: then the walk has to begin again.
func (w *walk) look(t *Tail, n int) (more, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	floor, end, erased := t.floor.Load(), t.end.Load(), t.erasedUpTo(w.q.User)
	switch {
	case !w.looked:
		w.looked, w.floor, w.end, w.erased = true, floor, end, erased
	case erased != w.erased || end < w.end:
		return false, false
	case w.q.Backward:
		if w.floor = min(floor, w.q.Before-1); w.floor != floor {
			return false, true // the rest has been given up
		}
	case floor > w.q.After:
		return false, false
	default:
		w.end = end
	}
	place := t.find(w.hash, w.q.User)
	if place < 0 {
		return false, true
	}
	w.content, w.head = &t.content, t.users.heads[place]
	for at, ok := w.start(); ok; at, ok = w.step(at) {
		r := w.record(at)
		if r.offset <= w.q.After || r.offset >= w.q.Before {
			break
		}
		if n == 0 {
			return true, true
		}
		n--
		if w.q.Backward {
			w.q.Before = r.offset
		} else {
			w.q.After = r.offset
		}
		if w.page.Entries == nil {
			w.page.Entries = make([]history.Entry, 0, min(w.q.Limit, firstEntries))
		}
		w.page.Entries = append(w.page.Entries, history.Entry{
			User: w.q.User, Offset: r.offset, Time: r.time, Value: r.data[r.value:len(r.data):len(r.data)], Expires: r.expires,
		})
	}
	return false, true
}

// choose leaves the entries from a number on out that are hidden, or not wanted, or too many.
func (w *walk) choose(from int) {
	q, all := &w.q, w.page.Entries
	kept := all[:from]
	for i := range all[from:] {
		e := &all[from+i]
		if len(kept) >= q.Limit || len(kept) > 0 && w.size >= q.Bytes {
			w.page.More = true
			break
		}
		if e.Expires > 0 && q.Now >= e.Expires || len(q.Peer) > 0 && !w.concerns(e.Value, q.Peer) {
			continue
		}
		kept = append(kept, *e)
		w.size += len(e.Value)
	}
	clear(all[len(kept):])
	w.page.Entries = kept
}

// firstEntries is the room for entries that a page starts with.
const firstEntries = 16

// start returns the first link within the query's bounds, in its order.
func (w *walk) start() (at uint32, ok bool) {
	if w.q.Backward {
		return w.lastBefore(w.q.Before)
	}
	return w.firstAfter(w.q.After)
}

// step returns the link that follows one, in the query's order.
func (w *walk) step(at uint32) (uint32, bool) {
	if w.q.Backward {
		return w.prev(at)
	}
	return w.next(at)
}

// firstAfter returns the user's first link after an offset. Readers go on from the
// last record of the page before, so that record is looked for first. Without it, the
// walk is along what comes after the offset, which the reader will read anyway.
func (w *walk) firstAfter(offset int64) (at uint32, ok bool) {
	switch {
	case w.record(w.oldest).offset > offset:
		return w.oldest, true
	case w.record(w.newest).offset <= offset:
		return 0, false
	}
	if at, ok := w.linkAt(offset); ok {
		return w.next(at)
	}
	at = w.newest
	for {
		prev, ok := w.prev(at)
		if !ok || w.record(prev).offset <= offset {
			return at, true
		}
		at = prev
	}
}

// lastBefore returns the user's last link before an offset, in the manner of firstAfter.
func (w *walk) lastBefore(offset int64) (at uint32, ok bool) {
	switch {
	case w.record(w.newest).offset < offset:
		return w.newest, true
	case w.record(w.oldest).offset >= offset:
		return 0, false
	}
	if at, ok := w.linkAt(offset); ok {
		return w.prev(at)
	}
	at, ok = w.newest, true
	for ok && w.record(at).offset >= offset {
		at, ok = w.prev(at)
	}
	return at, ok
}

// linkAt returns the user's link of the record at an offset. The offset is between
// those of the oldest and the newest link of the user's list: of records before the
// list, which were erased, it could find links as well.
func (w *walk) linkAt(offset int64) (at uint32, ok bool) {
	from, n := w.records.first, w.records.len()
	low, high := 0, n // the record is among low to high-1
	for low < high {
		middle := int(uint(low+high) / 2)
		if w.records.at(from+uint32(middle)).offset < offset {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == n {
		return 0, false
	}
	r := w.records.at(from + uint32(low))
	if r.offset != offset {
		return 0, false
	}
	at = r.link
	for rest := r.data[:r.value]; ; at++ {
		user, after, ok := backplane.NextRecipient(rest)
		if !ok || bytes.Equal(user, w.q.User) {
			return at, ok
		}
		rest = after
	}
}

// record returns the record of a link.
func (t *content) record(at uint32) *record { return t.records.at(t.links.at(at).record) }

// next returns the link of the user's next record.
func (t *content) next(at uint32) (uint32, bool) {
	next := t.links.at(at).next
	return next, next != at
}

// prev returns the link of the user's record before.
func (t *content) prev(at uint32) (uint32, bool) {
	prev := t.links.at(at).prev
	return prev, prev != at && t.links.has(prev)
}

// concerns reports whether a message in the user's timeline belongs to the
// conversation with a peer: whether peer is a recipient of what the user sent, or the
// sender of anything else.
func (w *walk) concerns(value, peer []byte) bool {
	m := &w.message
	if backplane.ParseMessage(value, m) != nil {
		return false
	}
	if !bytes.Equal(m.From, w.q.User) {
		return bytes.Equal(m.From, peer)
	}
	return slices.ContainsFunc(m.To, func(to []byte) bool { return bytes.Equal(to, peer) })
}
