package check

import (
	"encoding/binary"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// none is the number of no message.
const none = ^uint32(0)

// message is what is known of a message. Everything else refers to it by its number.
type message struct {
	id     event.MessageID
	head   uint64 // the hash of what the sender said, but for the body
	body   uint64 // the hash of the body's sum
	send   uint32 // the line of the first send; 0: nobody sent it
	answer uint32 // the line of the ack, or else of the latest answer
	seen   uint32 // the first line of a delivery, page or log that has it
	acked  uint32 // the millisecond of the run in which it was acked, rounded up
	device uint32 // the number of the device that sent it
	flags  uint8
}

const (
	hasAck     = 1 << iota // some attempt was stored
	hasUnknown             // some attempt has an unknown outcome, or none
	isSignal
	isMortal // it has a ttl
)

func (m *message) has(flag uint8) bool { return m.flags&flag != 0 }

// must reports whether the message has to be in every timeline that it belongs to at the
// end of the run.
func (m *message) must() bool { return m.flags&(hasAck|isSignal|isMortal) == hasAck }

// rejected reports whether every attempt to send the message was rejected.
func (m *message) rejected() bool { return m.send != 0 && m.flags&(hasAck|hasUnknown) == 0 }

// messages numbers messages by their ids, from 0. It holds them in slabs, which never move
// as it grows, and finds them by a table of open addressing that has only numbers in it:
// an id is a cryptographic hash, so that its first bytes are a good place to look.
type messages struct {
	slabs [][]message
	n     uint32
	table []uint32 // number+1; a power of two, at most three quarters in use
}

const slab = 1 << 12 // messages

// at returns a message. The pointer stays good.
func (ms *messages) at(n uint32) *message { return &ms.slabs[n/slab][n%slab] }

// find returns the number of a message, which it gives it if it has none.
func (ms *messages) find(id event.MessageID) uint32 {
	if int(ms.n)*4 >= len(ms.table)*3 {
		ms.grow()
	}
	at := ms.place(id)
	if ms.table[at] != 0 {
		return ms.table[at] - 1
	}
	if ms.n%slab == 0 {
		ms.slabs = append(ms.slabs, make([]message, slab))
	}
	n := ms.n
	ms.n++
	ms.at(n).id = id
	ms.table[at] = ms.n
	return n
}

// place returns where in the table an id is, or would be.
func (ms *messages) place(id event.MessageID) uint64 {
	mask := uint64(len(ms.table) - 1)
	at := binary.LittleEndian.Uint64(id[:]) & mask
	for ms.table[at] != 0 && ms.at(ms.table[at]-1).id != id {
		at = (at + 1) & mask
	}
	return at
}

func (ms *messages) grow() {
	ms.table = make([]uint32, max(slab, 2*len(ms.table)))
	for n := range ms.n {
		ms.table[ms.place(ms.at(n).id)] = n + 1
	}
}
