package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/server/placement"
)

// Consumer reads partitions. kafka.Consumer is one.
type Consumer interface {
	backplane.Consumer
	Err() error
}

// holding is what the consumer does with a partition. A partition is added when the map
// gives the node to do with it, and removed in three steps when the map does so no more:
//
//	absent -> adding -> held -> closing -> emptying -> removing -> absent
//
// While it is closing or emptying it is held again if the map gives it back.
type holding uint8

const (
	absent   holding = iota
	adding           // the consumer is about to read it
	held             // it is read
	closing          // loops may still let its clients in, by a map that they loaded before
	emptying         // nobody is let in any more; it is read for the clients that are left
	removing         // no client is left; the consumer is about to read it no more
)

// holdings has the consumer read what the map gives the node to do. Its methods are
// called by the agent's goroutine.
type holdings struct {
	// Static.
	consumer Consumer
	current  *placement.Current          // what loops go by
	settle   func(context.Context) error // waits until every loop has seen the map in force
	since    func() (int64, bool)        // from when on a partition is read, in Unix milliseconds; false if that is not known yet
	start    func(func(context.Context)) // runs a function on a goroutine of its own
	report   func(func()) bool           // has the agent's goroutine run a function
	kept     func(p backplane.Partition) // is told what was emptying and is not to be any more
	log      *slog.Logger

	place *placement.Map // in force; nil before the first
	state []holding      // by partition

	// What is under way, one of each kind at a time.
	adds, settles, removes bool
}

// assign puts a map in force. It reports false, and has not, while partitions are being
// let go: by the new map the node may own them again, and a loop that saw it would let
// clients in until the consumer has come to stop reading. What they are sent before it
// reads again would come late, or never if it cannot read for longer than it goes back.
func (h *holdings) assign(m *placement.Map) bool {
	if h.removes {
		return false
	}
	if h.state == nil {
		h.state = make([]holding, m.N())
	}
	h.place = m
	for p, s := range h.state {
		p := backplane.Partition(p)
		if !h.wanted(p) {
			continue
		}
		switch s {
		case closing:
			h.state[p] = held
		case emptying:
			h.state[p] = held
			h.kept(p)
		}
	}
	h.current.Store(m)
	return true
}

// wanted reports whether a partition has to be read. One that the node owned before has
// not, unless clients of it are here, and then it is read already.
func (h *holdings) wanted(p backplane.Partition) bool {
	role := h.place.Role(p)
	return role == placement.Owner || role == placement.Next
}

// in returns the partitions in a state, in ascending order.
func (h *holdings) in(s holding, are func(backplane.Partition) bool) (list []backplane.Partition) {
	for p, state := range h.state {
		if p := backplane.Partition(p); state == s && are(p) {
			list = append(list, p)
		}
	}
	return list
}

func all(backplane.Partition) bool { return true }

// leaving returns the partitions whose clients have to be told where to go.
func (h *holdings) leaving() []backplane.Partition { return h.in(emptying, all) }

// released reports whether the node has let a partition go that it owned before.
func (h *holdings) released(p backplane.Partition) bool {
	return h.state[p] == absent && h.place.Role(p) == placement.Previous
}

// warm reports whether the node could own a partition that it is to own next.
func (h *holdings) warm(p backplane.Partition) bool {
	return h.state[p] == held && h.place.Role(p) == placement.Next && h.consumer.Reached(p)
}

// counts has how many partitions there are that the node has to do with.
type counts struct {
	owned   int // and served
	behind  int // owned, and still being read
	warming int // to be owned next
	warm    int // the same, and could be served
	leaving int // gone elsewhere, and not let go yet
}

func (h *holdings) count() (c counts) {
	for p, s := range h.state {
		p := backplane.Partition(p)
		reached := h.consumer.Reached(p)
		switch role := h.place.Role(p); {
		case role == placement.Owner && reached:
			c.owned++
		case role == placement.Owner:
			c.behind++
		case role == placement.Next && reached:
			c.warm++
		case role == placement.Next:
			c.warming++
		case s != absent:
			c.leaving++
		}
	}
	return c
}

// step begins what is to be done next.
func (h *holdings) step() {
	if h.place == nil {
		return
	}
	if list := h.in(absent, h.wanted); len(list) > 0 && !h.adds {
		if since, ok := h.since(); ok {
			h.add(list, since)
		}
	}
	if list := h.in(held, func(p backplane.Partition) bool { return !h.wanted(p) }); len(list) > 0 && !h.settles {
		h.closeTo(list)
	}
}

// add has the consumer read partitions from a log time on.
func (h *holdings) add(list []backplane.Partition, since int64) {
	h.set(list, adding)
	h.do(&h.adds, func(context.Context) error { return h.consumer.Add(list, since) }, func(err error) {
		if err != nil {
			h.set(list, absent)
			h.log.Warn("agent: partitions cannot be read yet", "partitions", len(list), "err", err)
			return
		}
		h.set(list, held)
	})
}

// readFrom returns the log time, in Unix milliseconds, from which on partitions are read of
// which nothing is known yet. It is so long before now that all duplicates of what comes are
// known. A node's own clock may be ahead of log time, and then it would begin behind records
// that are retried just now; beats have log time. ok is false while the node, which began at
// a time, has not heard any and soon will.
func readFrom(now, began time.Time, heard *beats.Watch) (since int64, ok bool) {
	since = now.UnixMilli()
	if latest := heard.Now(); latest > 0 {
		since = min(since, latest)
	} else if now.Sub(began) < hearPatience {
		return 0, false
	}
	return since - backplane.Rewind.Milliseconds(), true
}

// closeTo waits until no loop lets clients of partitions in any more. The map that says
// so is in force.
func (h *holdings) closeTo(list []backplane.Partition) {
	h.set(list, closing)
	h.do(&h.settles, h.settle, func(err error) {
		next := emptying
		if err != nil {
			next = held // and again
		}
		for _, p := range list {
			if h.state[p] == closing { // the map has not given it back meanwhile
				h.state[p] = next
			}
		}
	})
}

// letGo has the consumer stop reading partitions of which no client is left. Those that
// are to be read again by now stay, and while others are being let go all stay: they will
// be found empty again.
func (h *holdings) letGo(partitions []backplane.Partition) {
	if h.removes {
		return
	}
	var list []backplane.Partition
	for _, p := range partitions {
		if h.state[p] == emptying {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return
	}
	h.set(list, removing)
	h.do(&h.removes, func(context.Context) error {
		h.consumer.Remove(list) // waits for the dispatch workers
		return nil
	}, func(error) {
		h.set(list, absent)
		h.log.Info("agent: partitions are let go", "partitions", len(list))
	})
}

func (h *holdings) set(list []backplane.Partition, s holding) {
	for _, p := range list {
		h.state[p] = s
	}
}

// do runs something that waits, and then what follows from it. After a failure that comes
// somewhat later, so that what fails at once is not tried again and again without a
// pause.
func (h *holdings) do(underWay *bool, wait func(context.Context) error, then func(error)) {
	*underWay = true
	h.start(func(ctx context.Context) {
		err := wait(ctx)
		if err != nil {
			pause(ctx, retryPause)
		}
		h.report(func() {
			*underWay = false
			then(err)
		})
	})
}
