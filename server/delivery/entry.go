package delivery

import (
	"sync"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/registry"
)

// Entry is what a loop takes out of its mailbox: a frame for connections of that
// loop, or news of positions. Whoever takes it calls Done.
type Entry struct {
	Frame   *Frame // nil for positions; the entry holds one reference
	Targets *Targets
}

// Targets says for whom an entry is. The loop that takes the entry owns it.
type Targets struct {
	// Handles are the connections; the first Self of them are the sender's own.
	Handles []registry.Handle
	Self    int
	// Positions says how far partitions have come: every record up to there, as
	// far as it concerns this loop, is in the mailbox before this entry. Shared
	// between loops; nobody writes to it.
	Positions []backplane.Position
	// Lost says that Positions are none of those: reading goes on behind them, and what was
	// not read before has not been delivered to anybody.
	Lost bool
}

var targets = sync.Pool{New: func() any { return new(Targets) }}

// keepHandles bounds the capacity of the handle lists that are kept for use
// again: one user with very many connections must not leave large lists behind.
const keepHandles = 1024

// Done gives the entry's frame and lists back.
func (e Entry) Done() {
	if e.Frame != nil {
		e.Frame.Release()
	}
	t := e.Targets
	if cap(t.Handles) > keepHandles {
		t.Handles = nil
	}
	t.Handles, t.Self, t.Positions, t.Lost = t.Handles[:0], 0, nil, false
	targets.Put(t)
}

// Loops is where entries go: the reactor.
type Loops interface {
	// Deliver puts e into the mailbox of a loop, with the weight of its bytes. It
	// waits while the mailbox is full. If the loops stop meanwhile, the entry is
	// dropped, which loses nothing: the log has it. Only dispatch workers call it.
	Deliver(loop int, e Entry, weight int64)
	// Len returns how many loops there are.
	Len() int
}
