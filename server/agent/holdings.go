package agent

import (
	"context"
	"log/slog"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/placement"
)

// Consumer reads partitions. kafka.Consumer is one.
type Consumer interface {
	backplane.Consumer
	Err() error
}

// holding is what the consumer does with a partition.
type holding uint8

const (
	absent holding = iota
	adding
	held
	removing
)

// holdings has the consumer read what the map gives the node to do. Its methods are
// called by the agent's goroutine.
type holdings struct {
	// Static.
	consumer Consumer
	settle   func(context.Context) error // waits until every loop has seen the map in force
	since    func() int64                // from when on a partition is read, in Unix milliseconds
	start    func(func())                // runs a function on a goroutine of its own
	report   func(func())                // has the agent's goroutine run a function
	log      *slog.Logger

	place *placement.Map // in force; nil before the first
	state []holding      // by partition
	// seen is the version of the last map that every loop is known to have seen.
	seen uint64
	busy bool // something is under way
}

// assign takes the map that was put in force.
func (h *holdings) assign(m *placement.Map) {
	if h.state == nil {
		h.state = make([]holding, m.N())
	}
	h.place = m
}

// leaving reports whether a partition is read only for the clients that are left of it,
// who have to be told where to go.
func (h *holdings) leaving(p backplane.Partition) bool {
	if h.state[p] != held {
		return false
	}
	role := h.place.Role(p)
	return role == placement.None || role == placement.Previous
}

// anyLeaving reports whether there is such a partition.
func (h *holdings) anyLeaving() bool {
	for p := range h.state {
		if h.leaving(backplane.Partition(p)) {
			return true
		}
	}
	return false
}

// released reports whether the node has let a partition go that it owned before.
func (h *holdings) released(p backplane.Partition) bool {
	return h.state[p] == absent && h.place.Role(p) == placement.Previous
}

// warm reports whether the node could own a partition that it is to own next.
func (h *holdings) warm(p backplane.Partition) bool {
	return h.state[p] == held && h.place.Role(p) == placement.Next && h.consumer.Reached(p)
}

// behind counts the partitions that the node owns and cannot serve yet.
func (h *holdings) behind() (n int) {
	for p := range h.state {
		if h.place.Role(backplane.Partition(p)) == placement.Owner && !h.consumer.Reached(backplane.Partition(p)) {
			n++
		}
	}
	return n
}

// letGo has the consumer stop reading partitions of which no client is left. Those that
// the node has a role in by now stay.
func (h *holdings) letGo(partitions []backplane.Partition) {
	var list []backplane.Partition
	for _, p := range partitions {
		if h.leaving(p) {
			h.state[p] = removing
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return
	}
	h.do(func() error {
		h.consumer.Remove(list) // waits for the dispatch workers
		return nil
	}, func(error) {
		h.set(list, absent)
		h.log.Info("agent: partitions are let go", "partitions", len(list))
	})
}

// step begins what is to be done next, if nothing is under way.
func (h *holdings) step(ctx context.Context) {
	if h.busy || h.place == nil {
		return
	}
	var list []backplane.Partition
	for p, s := range h.state {
		if s == absent && h.wanted(backplane.Partition(p)) {
			list = append(list, backplane.Partition(p))
		}
	}
	if len(list) > 0 {
		h.set(list, adding)
		h.do(func() error { return h.consumer.Add(list, h.since()) }, func(err error) {
			if err != nil {
				h.set(list, absent)
				h.log.Warn("agent: partitions cannot be read yet", "partitions", len(list), "err", err)
				return
			}
			h.set(list, held)
		})
		return
	}
	if version := h.place.Version(); h.seen < version && h.anyLeaving() {
		h.do(func() error { return h.settle(ctx) }, func(err error) {
			if err == nil {
				h.seen = version
			}
		})
	}
}

// wanted reports whether a partition has to be read. One that the node owned before has
// not, unless clients of it are here, and then it is read already.
func (h *holdings) wanted(p backplane.Partition) bool {
	role := h.place.Role(p)
	return role == placement.Owner || role == placement.Next
}

func (h *holdings) set(list []backplane.Partition, s holding) {
	for _, p := range list {
		h.state[p] = s
	}
}

// do runs something that waits, and then what follows from it.
func (h *holdings) do(wait func() error, then func(error)) {
	h.busy = true
	h.start(func() {
		err := wait()
		h.report(func() {
			h.busy = false
			then(err)
		})
	})
}
