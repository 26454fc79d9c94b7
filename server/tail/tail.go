package tail

import (
	"bytes"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/godwit-im/godwit/backplane"
)

// Tail is the recent records of one partition.
//
// Its writer calls Begin, Append, Pass, Erase and Evict, one call at a time; offsets
// go up from call to call, except that Begin may set them back. All other methods may
// be called from any goroutine.
type Tail struct {
	// Owned by the writer. known is the log time from which on the duplicates of a
	// record are known, in Unix milliseconds.
	known int64

	// Written by the writer and read without mu. Whoever holds mu sees a floor and
	// bytes that go with the content, and no end ahead of it.
	floor atomic.Int64
	end   atomic.Int64
	bytes atomic.Int64

	mu sync.Mutex
	content
}

// content is what Tail.mu guards.
type content struct {
	records ring[record]
	links   ring[link]
	users   index
	data    int64 // the bytes of all record.data

	// erased has the offset of each user's last erasure; nil if there is none.
	erased      map[string]int64
	erasedBytes int64
	erasedFrom  int64 // see ErasuresFrom
}

// record is a record that is kept.
type record struct {
	offset  int64
	time    int64 // log time
	expires int64 // when it is hidden; 0 is never
	// data is the list of the recipients, then the value. It is never written to, so
	// that readers may keep it.
	data  []byte
	value uint32 // where in data the value begins
	link  uint32 // the link of the first recipient; those of the others follow
}

// link is a user of a record. The links of a user form a list by age, whose ends
// point to themselves. Where prev is a link that is gone, the list has been cut there.
type link struct {
	hash       uint32 // of the user
	record     uint32
	prev, next uint32
}

const (
	recordSize = int64(unsafe.Sizeof(record{}))
	linkSize   = int64(unsafe.Sizeof(link{}))
)

// NewTail returns the tail of a partition of which nothing has been read: it has no
// record, and its end and floor are -1.
func NewTail() *Tail {
	t := new(Tail)
	t.init()
	return t
}

func (t *Tail) init() {
	t.floor.Store(-1)
	t.end.Store(-1)
	t.erasedFrom = math.MaxInt64
}

// End returns the offset of the last record that has been looked at. What of it is
// to be kept was in the tail before End told.
func (t *Tail) End() int64 { return t.end.Load() }

// Floor returns the offset after which the tail knows all records up to its end. It
// moves before a record is given up.
func (t *Tail) Floor() int64 { return t.floor.Load() }

// Bytes returns the memory that the tail takes for what it keeps.
func (t *Tail) Bytes() int64 { return t.bytes.Load() }

// Begin tells that reading begins, or begins again elsewhere, at offset, the first
// record whose log time is at least since (Unix milliseconds); see
// backplane.Handler. Everything that was kept is forgotten, except for the erasures
// that stand before offset.
//
// The duplicates of a record are known if all records of the duplicate window before it
// have been read. So records with a log time less than backplane.DuplicateWindow after
// since are not kept, and take the floor along with them.
func (t *Tail) Begin(offset, since int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for user, at := range t.erased {
		if at >= offset {
			t.unmark(user)
		}
	}
	t.erasedFrom = min(t.erasedFrom, offset)
	t.known = since + backplane.DuplicateWindow.Milliseconds()
	t.forget(offset - 1)
}

// Append adds a record, with what its value says. It must not be a duplicate, and
// its kind must be backplane.KindMessage. Append copies what it keeps.
func (t *Tail) Append(r *backplane.Record, m *backplane.Message) {
	if !t.wants(r) {
		t.Pass(r.Offset, r.Time)
		return
	}
	t.keep(r, m)
}

// wants reports whether a record is to be kept: its duplicates are known, and it
// concerns somebody.
func (t *Tail) wants(r *backplane.Record) bool {
	_, _, ok := backplane.NextRecipient(r.Recipients)
	return ok && r.Time >= t.known
}

// keep adds a record that the tail wants, and returns its number.
func (t *Tail) keep(r *backplane.Record, m *backplane.Message) uint32 {
	data := slices.Concat(r.Recipients, r.Value) // outside the lock: it may have to wait for memory
	var expires int64
	if m.TTL > 0 {
		expires = r.Time + m.TTL
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	number := t.records.next
	t.records.push(record{
		offset: r.Offset, time: r.Time, expires: expires,
		data: data, value: uint32(len(r.Recipients)), link: t.links.next,
	})
	t.data += int64(cap(data))
	rest := r.Recipients
	for {
		user, after, ok := backplane.NextRecipient(rest)
		if !ok {
			break
		}
		t.link(number, user)
		rest = after
	}
	t.end.Store(r.Offset)
	t.settle()
	return number
}

// link adds a record to a user's list.
func (t *content) link(number uint32, user []byte) {
	hash, at := hashUser(user), t.links.next
	l := link{hash: hash, record: number, prev: at, next: at}
	place := t.find(hash, user)
	if place < 0 {
		t.users.insert(head{hash: hash, oldest: at, newest: at})
	} else {
		h := &t.users.heads[place]
		newest := t.links.at(h.newest)
		// A user who is listed twice has the record once. The second link only
		// keeps the order of the links that of the recipients.
		if newest.record != number {
			l.prev, newest.next, h.newest = h.newest, at, at
		}
	}
	t.links.push(l)
}

// find returns the place of a user in t.users, -1 if the user has no record.
func (t *content) find(hash uint32, user []byte) int {
	place := t.users.seek(int(hash), hash)
	for place >= 0 && !bytes.Equal(t.user(t.users.heads[place].newest), user) {
		place = t.users.seek(place+1, hash)
	}
	return place
}

// user returns whose link that is.
func (t *content) user(at uint32) []byte {
	r := t.records.at(t.links.at(at).record)
	user, rest, _ := backplane.NextRecipient(r.data[:r.value])
	for ; at != r.link; at-- {
		user, rest, _ = backplane.NextRecipient(rest)
	}
	return user
}

// Pass tells that a record, with its log time in Unix milliseconds, has been looked
// at and is not kept: a duplicate, a signal, or no message at all.
func (t *Tail) Pass(offset, time int64) {
	if time < t.known {
		t.lose(offset)
		return
	}
	t.end.Store(offset)
}

// lose tells that a record that may be to be kept is not. So the floor is there.
func (t *Tail) lose(offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(offset)
}

// forget gives up all records; the tail goes on after offset.
func (t *Tail) forget(offset int64) {
	t.floor.Store(offset)
	t.records.clear()
	t.links.clear()
	t.users = index{}
	t.data = 0
	t.end.Store(offset)
	t.settle()
}

// clear gives up everything, the erasures too, and stays where it is.
func (t *Tail) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erased, t.erasedBytes, t.erasedFrom = nil, 0, math.MaxInt64
	t.forget(t.end.Load())
}

// Evict gives up the oldest record, and returns how many bytes that freed. ok is
// false if there was none.
func (t *Tail) Evict() (freed int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evict(t.records.first)
}

// evict gives up the oldest record if it has that number. t.mu is held.
func (t *Tail) evict(number uint32) (freed int64, ok bool) {
	if t.records.len() == 0 || t.records.first != number {
		return 0, false
	}
	before := t.bytes.Load()
	r := t.records.at(number)
	t.floor.Store(r.offset)
	t.data -= int64(cap(r.data))
	t.records.pop()
	for t.links.len() > 0 && t.links.at(t.links.first).record == number {
		t.unlink(t.links.first)
		t.links.pop()
	}
	t.settle()
	return before - t.bytes.Load(), true
}

// unlink takes the oldest link of all out of its user's list.
func (t *content) unlink(at uint32) {
	l := t.links.at(at)
	for place := t.users.seek(int(l.hash), l.hash); place >= 0; place = t.users.seek(place+1, l.hash) {
		h := &t.users.heads[place]
		if h.oldest != at {
			continue
		}
		if h.newest == at {
			t.users.remove(place)
		} else {
			h.oldest = l.next
		}
		return
	}
	// No list has it: its user has erased the records, or is listed twice.
}

// settle counts the bytes anew. t.mu is held.
func (t *Tail) settle() {
	t.bytes.Store(t.records.bytes() + t.links.bytes() + t.users.bytes() + t.data + t.erasedBytes)
}
