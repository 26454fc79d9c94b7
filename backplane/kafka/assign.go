package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Add implements backplane.Consumer.
func (c *Consumer) Add(partitions []backplane.Partition, since int64) error {
	each := make(map[backplane.Partition]int64, len(partitions))
	for _, p := range partitions {
		each[p] = since
	}
	return c.AddEach(each)
}

// AddEach implements backplane.Consumer. Those that their leaders have told the offsets of
// are read at once. The others, if there are any after addPatience, are taken over by the
// repair goroutine: until they begin they count as failed. The error says why the topic
// could not be asked for in OffsetTimeout; then none of the partitions is read, unless it was
// made anew meanwhile.
//
// Calls of Add, AddEach and Remove that name the same partition must not overlap.
func (c *Consumer) AddEach(since map[backplane.Partition]int64) error {
	for p := range since {
		if err := c.lookup.has(p); err != nil {
			return err
		}
	}
	if len(since) == 0 {
		return nil
	}
	left := make(map[backplane.Partition]int64, len(since))
	for p, ms := range since {
		left[p] = max(ms, 0) // what is below is not a time for Kafka
	}
	missing, err := c.ask(left, func(found map[backplane.Partition]bounds) {
		c.do(func() { c.assign(since, found) })
	})
	switch {
	case c.ctx.Err() != nil:
		return ErrClosed
	case err != nil:
		return fmt.Errorf("kafka: asking for the offsets of %s: %w", c.topic, err)
	}
	if len(missing) > 0 && !c.do(func() { c.await(since, missing) }) {
		return ErrClosed
	}
	return nil
}

// errNotYet is the error of an attempt in which some leaders have not told what they were
// asked for.
var errNotYet = errors.New("kafka: some partitions have no leader that answers")

// ask asks for the bounds of partitions until all are found, or addPatience is over. It
// returns of which they are not.
func (c *Consumer) ask(at map[backplane.Partition]int64, found func(map[backplane.Partition]bounds)) (missing map[backplane.Partition]error, err error) {
	var deadline time.Time // zero before the topic is known to be there
	err = c.lookup.try(c.ctx, func(ctx context.Context) error {
		v, err := c.lookup.current(ctx, 0)
		switch {
		case err != nil && passes(err) && !deadline.IsZero() && !time.Now().Before(deadline):
			return nil // what was missing still is
		case err != nil:
			return err
		case deadline.IsZero():
			deadline = time.Now().Add(addPatience)
		}
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		missing = c.lookup.bounds(ctx, v, at, found)
		maps.DeleteFunc(at, func(p backplane.Partition, _ int64) bool { return missing[p] == nil })
		if len(at) > 0 && time.Now().Before(deadline) {
			return errNotYet
		}
		return nil
	})
	c.replaced(err)
	if err != nil && passes(err) && !deadline.IsZero() {
		err = nil // OffsetTimeout is over, and what was missing still is
	}
	return missing, err
}

// replaced notes it if an error says that the topic was made anew.
func (c *Consumer) replaced(err error) {
	if errors.Is(err, ErrTopicReplaced) {
		c.fatal.CompareAndSwap(nil, &err)
	}
}

// assign begins to read partitions. It runs on the poll goroutine.
func (c *Consumer) assign(since map[backplane.Partition]int64, found map[backplane.Partition]bounds) {
	at := make(map[int32]kgo.Offset, len(found))
	for p, b := range found {
		if a := c.assignment(p, since[p]); a != nil {
			a.place(b)
			at[int32(p)] = kgo.NewOffset().At(a.next)
		}
	}
	c.fetch(at)
}

// await leaves it to the repair goroutine to begin to read partitions. It runs on the poll
// goroutine.
func (c *Consumer) await(since map[backplane.Partition]int64, missing map[backplane.Partition]error) {
	var waiting []*assignment
	for p := range missing {
		if a := c.assignment(p, since[p]); a != nil {
			a.failed.Store(true)
			waiting = append(waiting, a)
		}
	}
	c.leave(waiting...)
}

// assignment makes an assignment that is not placed yet; nil if the partition has one. It
// runs on the poll goroutine.
func (c *Consumer) assignment(p backplane.Partition, since int64) *assignment {
	if c.assigned[p].Load() != nil {
		return nil
	}
	a := &assignment{partition: p, worker: c.workers[int(p)%len(c.workers)], next: unplaced, time: since}
	c.behind.Add(1)
	c.assigned[p].Store(a)
	return a
}

// place sets where the reading begins. It runs on the poll goroutine, which then has the
// client fetch.
func (a *assignment) place(b bounds) {
	a.next, a.end = b.start, b.end
	a.handed.Store(b.start)
	a.logEnd.Store(b.end)
	a.begin()
}

// fetch has the client fetch partitions from an offset on each. It runs on the poll
// goroutine.
func (c *Consumer) fetch(at map[int32]kgo.Offset) {
	if len(at) > 0 {
		c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.topic: at})
	}
}

// begin queues the call of Begin for where a is now. The worker makes it in its turn,
// after the records that were queued before.
func (a *assignment) begin() {
	a.worker.push(item{assignment: a, call: callBegin, upTo: a.next, since: a.time})
}

// Remove implements backplane.Consumer. When it returns, no Begin or Record call for
// the partitions is running either: it waits for one that is, so it must not be called
// by a Handler, or by anything that a Handler waits for. Partitions that are not
// read are ignored.
func (c *Consumer) Remove(partitions []backplane.Partition) {
	for _, a := range c.remove(partitions) {
		a.worker.await(a)
	}
}

// remove is Remove without waiting: it returns what was removed.
func (c *Consumer) remove(partitions []backplane.Partition) []*assignment {
	var removed []*assignment
	c.do(func() {
		var list []int32
		for _, p := range partitions {
			if p < 0 || int(p) >= len(c.assigned) {
				continue
			}
			a := c.assigned[p].Load()
			if a == nil {
				continue
			}
			a.removed.Store(true)
			c.caughtUp(a) // it counts no more
			c.assigned[p].Store(nil)
			a.worker.push(item{assignment: a, call: callEnd})
			removed = append(removed, a)
			list = append(list, int32(p))
		}
		c.stopFetching(list)
	})
	return removed
}

// stopFetching takes partitions from the client. It runs on the poll goroutine.
// What the client has buffered is dropped, for all partitions, and fetched again
// for those that stay.
func (c *Consumer) stopFetching(partitions []int32) {
	if len(partitions) > 0 {
		c.client.RemoveConsumePartitions(map[string][]int32{c.topic: partitions})
	}
}

// caughtUp notes that a has been handed out up to its end, or does not matter any
// more.
func (c *Consumer) caughtUp(a *assignment) {
	if a.caughtUp.CompareAndSwap(false, true) {
		c.behind.Add(-1)
	}
}
