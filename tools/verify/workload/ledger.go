package workload

import (
	"math/bits"
	"slices"
	"sync"
)

// ledger knows which devices still lack which messages. It holds a message from its first
// send until it is stored and everywhere, or will not be retried, so that it stays small
// in a run of hours. Any goroutine may call it.
type ledger struct {
	devices int // of each user; static

	mu     sync.Mutex
	open   map[messageID]*account
	unseen int64 // of the stored ones, the devices that lack them
}

type messageID [16]byte

// account is a message that is not everywhere yet.
type account struct {
	people  []int  // the sender and the recipients
	missing uint64 // bit i*devices+j: the j-th device of people[i] lacks it
	stored  bool
}

func newLedger(devices int) *ledger {
	return &ledger{devices: devices, open: make(map[messageID]*account)}
}

// begin notes a message before it is sent for the first time.
func (l *ledger) begin(id messageID, sender int, to []int) {
	people := append([]int{sender}, to...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[id] = &account{people: people, missing: ^uint64(0) >> (64 - len(people)*l.devices)}
}

// stored notes that a message is stored.
func (l *ledger) stored(id messageID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.open[id]; a != nil && !a.stored {
		a.stored = true
		l.unseen += int64(bits.OnesCount64(a.missing))
		l.settle(id, a)
	}
}

// drop forgets a message that nobody will know to be stored.
func (l *ledger) drop(id messageID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.open[id]; a != nil && !a.stored {
		delete(l.open, id)
	}
}

// seen notes that a device of a user has a message.
func (l *ledger) seen(id messageID, user, device int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.open[id]; a != nil {
		l.found(id, a, user, device)
	}
}

// anew notes that the view of a device begins anew: it need not have what was sent before.
func (l *ledger) anew(user, device int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, a := range l.open {
		l.found(id, a, user, device)
	}
}

// found takes a device off those that lack a message. mu is held.
func (l *ledger) found(id messageID, a *account, user, device int) {
	i := slices.Index(a.people, user)
	if i < 0 {
		return
	}
	bit := uint64(1) << (i*l.devices + device)
	if a.missing&bit == 0 {
		return
	}
	a.missing &^= bit
	if a.stored {
		l.unseen--
		l.settle(id, a)
	}
}

// settle forgets a message that is stored and everywhere. mu is held.
func (l *ledger) settle(id messageID, a *account) {
	if a.missing == 0 {
		delete(l.open, id)
	}
}

// lacking returns the sum, over the stored messages, of the devices that lack them.
func (l *ledger) lacking() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unseen
}
