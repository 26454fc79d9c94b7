package agent

import (
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/registry"
)

// mover tells the clients of partitions that have gone elsewhere, some at a time, and
// finds out of which partitions none is left. It walks the registry round by round, and
// only while there is a partition to empty. Its methods are called by the agent's
// goroutine.
type mover struct {
	// Static.
	registry *registry.Registry
	move     func([]registry.Handle) // must not keep the slice
	n        int32

	part   int                         // of the registry, where the round is
	round  map[backplane.Partition]int // the clients met in this round, by partition that is being emptied; nil between rounds
	budget float64                     // of clients that may be told now
	last   time.Time                   // of the last turn; zero if there was nothing to do
	walked int                         // clients met in this turn
	list   []registry.Handle           // scratch

	// Atomic.
	told atomic.Uint64
}

func newMover(r *registry.Registry, n int32, move func([]registry.Handle)) *mover {
	return &mover{registry: r, move: move, n: n}
}

// turn goes on for a while, if the last turn is long enough ago. leaving are the
// partitions to empty, of which every loop has seen that they have gone; perSecond is how
// many clients may be told in a second. It returns the partitions that were found to be
// empty.
func (m *mover) turn(now time.Time, leaving []backplane.Partition, perSecond int) (empty []backplane.Partition) {
	if len(leaving) == 0 {
		m.round, m.last = nil, time.Time{}
		return nil
	}
	elapsed := turn
	if !m.last.IsZero() {
		if elapsed = now.Sub(m.last); elapsed < turn {
			return nil
		}
	}
	m.last = now
	m.budget = min(m.budget+elapsed.Seconds()*float64(perSecond), float64(perSecond))
	if m.round == nil {
		m.begin(leaving)
	}
	for m.walked = 0; m.walked < walkClients; m.part++ {
		if m.part == registry.Stripes {
			return m.end()
		}
		if !m.walk() {
			return nil // the rest of the part is for the next turn
		}
	}
	return nil
}

// keep takes a partition out of those that are being emptied. When it is one of them
// again, what was met of it before says nothing: clients may have come since then to
// where the round was already.
func (m *mover) keep(p backplane.Partition) { delete(m.round, p) }

func (m *mover) begin(leaving []backplane.Partition) {
	m.part = 0
	m.round = make(map[backplane.Partition]int, len(leaving))
	for _, p := range leaving {
		m.round[p] = 0
	}
}

func (m *mover) end() (empty []backplane.Partition) {
	for p, clients := range m.round {
		if clients == 0 {
			empty = append(empty, p)
		}
	}
	m.round = nil
	return empty
}

// walk tells the clients of a part, as far as the budget goes. It reports whether it has
// told all.
func (m *mover) walk() bool {
	m.list = m.list[:0]
	m.registry.Walk(m.part, func(user string, h registry.Handle) {
		m.walked++
		p := backplane.PartitionOf(user, m.n)
		if clients, ok := m.round[p]; ok {
			m.round[p] = clients + 1
			m.list = append(m.list, h)
		}
	})
	most := min(len(m.list), int(m.budget))
	if most > 0 {
		m.budget -= float64(most)
		m.told.Add(uint64(most))
		m.move(m.list[:most])
	}
	return most == len(m.list)
}
