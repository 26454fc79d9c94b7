package check

import (
	"encoding/binary"
	"iter"
)

// tape is a sequence of entries, of which there may be a hundred million in a run. It is
// read from begin to end only, so that each entry can be written as its difference from
// the one before: three or four bytes.
type tape struct {
	b       []byte
	msg     uint32 // of the last entry that is about a message
	line    uint32 // of the last entry
	entries int
}

// entry is an entry of a tape.
type entry struct {
	op   op
	n    uint32 // a message's number or an amount, as the op says
	line uint32 // of the file
}

// op says what an entry is.
type op uint8

const (
	// opMessage: message n was sent by or to the user, delivered to the device, is on
	// the page, or is in the log, as the tape says.
	opMessage op = iota
	// opAgain: a record of the log that is a duplicate by the protocol's rule.
	opAgain
	// opBegin: the device's view of its timeline begins anew.
	opBegin
	// opBack: the latest n deliveries will come again.
	opBack
	// opGap: the server has said that it dropped up to n deliveries at this place.
	opGap
	// opPage: a page begins; n is a set of pageFlags.
	opPage

	opBits = 3
)

// The flags of a page.
const (
	pageReading = 1 << iota // of the reading at the end
	pagePeer                // of one conversation only
)

func (t *tape) add(o op, n, line uint32) {
	value := uint64(n)
	if o <= opAgain {
		delta := int64(n) - int64(t.msg)
		value = uint64(delta<<1) ^ uint64(delta>>63)
		t.msg = n
	}
	t.b = binary.AppendUvarint(t.b, value<<opBits|uint64(o))
	t.b = binary.AppendUvarint(t.b, uint64(line-t.line)) // lines only grow
	t.line = line
	t.entries++
}

// all returns the entries.
func (t *tape) all() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		var msg, line uint32
		for at := 0; at < len(t.b); {
			value, n := binary.Uvarint(t.b[at:])
			at += n
			delta, n := binary.Uvarint(t.b[at:])
			at += n
			line += uint32(delta)
			e := entry{op: op(value & (1<<opBits - 1)), line: line}
			value >>= opBits
			if e.op <= opAgain {
				msg += uint32(int64(value>>1) ^ -int64(value&1))
				e.n = msg
			} else {
				e.n = uint32(value)
			}
			if !yield(e) {
				return
			}
		}
	}
}
