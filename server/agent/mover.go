package agent

import (
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
	move     func([]registry.Handle)
	n        int32

	part   int                            // of the registry, where the round is
	round  map[backplane.Partition]int    // the clients met in this round, by partition that is being emptied
	budget float64                        // of clients that may be told now
	last   time.Time                      // when the budget was filled
	list   []registry.Handle              // scratch
	wanted func(backplane.Partition) bool // scratch: whether a partition is being emptied in this round
}

func newMover(r *registry.Registry, n int32, move func([]registry.Handle)) *mover {
	m := &mover{registry: r, move: move, n: n}
	m.wanted = func(p backplane.Partition) bool {
		_, ok := m.round[p]
		return ok
	}
	return m
}

// turn goes on for a while. leaving are the partitions to empty, of which every loop has
// seen that they have gone; perSecond is how many clients may be told in a second. It
// returns the partitions that were found to be empty.
func (m *mover) turn(now time.Time, leaving []backplane.Partition, perSecond int) (empty []backplane.Partition) {
	if len(leaving) == 0 {
		m.round, m.part = nil, 0
		return nil
	}
	if m.round == nil {
		m.begin(leaving)
		m.last, m.budget = now, 0
	}
	m.budget = min(m.budget+now.Sub(m.last).Seconds()*float64(perSecond), float64(perSecond))
	m.last = now
	for range walkParts {
		if m.part == registry.Stripes {
			for p, clients := range m.round {
				if clients == 0 {
					empty = append(empty, p)
				}
			}
			m.begin(leaving)
			return empty
		}
		if !m.walk() {
			return nil // the rest of the part is for the next turn
		}
		m.part++
	}
	return nil
}

func (m *mover) begin(leaving []backplane.Partition) {
	m.part = 0
	m.round = make(map[backplane.Partition]int, len(leaving))
	for _, p := range leaving {
		m.round[p] = 0
	}
}

// walk tells the clients of a part, as far as the budget goes. It reports whether it has
// told all.
func (m *mover) walk() bool {
	m.list = m.list[:0]
	m.registry.Walk(m.part, func(user string, h registry.Handle) {
		if p := backplane.PartitionOf(user, m.n); m.wanted(p) {
			m.round[p]++
			m.list = append(m.list, h)
		}
	})
	most := min(len(m.list), int(m.budget))
	if most > 0 {
		m.budget -= float64(most)
		m.move(m.list[:most])
	}
	return most == len(m.list)
}
