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

// Read answers a query from the records after floor up to end, which are those of the
// moment of the answer. The query's generation and partition are not looked at.
//
// It takes time for the records of the user that it returns or leaves out, and, if the
// bound that it starts from is not the offset of one of them, for those
// beyond that bound. The values of the entries are shared with the tail: they stay
// as they are, must not be written to, and are kept in memory by the page.
func (t *Tail) Read(q *history.Query) (p history.Page, floor, end int64) {
	hash := hashUser(q.User)
	t.mu.Lock()
	defer t.mu.Unlock()
	floor, end = t.floor.Load(), t.end.Load()
	place := t.find(hash, q.User)
	if place < 0 {
		return history.Page{}, floor, end
	}
	w := walk{content: &t.content, head: t.users.heads[place], q: q}
	return w.page(), floor, end
}

// walk is a walk along the links of one user for a query.
type walk struct {
	*content
	head
	q       *history.Query
	message backplane.Message // parsed to tell the peers of a record
}

func (w *walk) page() (p history.Page) {
	q, size := w.q, 0
	at, ok := w.start()
	for ; ok; at, ok = w.step(at) {
		r := w.record(at)
		if r.offset <= q.After || r.offset >= q.Before {
			break
		}
		if len(p.Entries) >= q.Limit || len(p.Entries) > 0 && size >= q.Bytes {
			p.More = true
			break
		}
		value := r.data[r.value:len(r.data):len(r.data)]
		if r.expires > 0 && q.Now >= r.expires || len(q.Peer) > 0 && !w.concerns(value, q.Peer) {
			continue
		}
		if p.Entries == nil {
			p.Entries = make([]history.Entry, 0, min(q.Limit, firstEntries))
		}
		p.Entries = append(p.Entries, history.Entry{
			User: q.User, Offset: r.offset, Time: r.time, Value: value, Expires: r.expires,
		})
		size += len(value)
	}
	return p
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
