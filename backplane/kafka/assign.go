package kafka

import (
	"context"
	"errors"
	"fmt"

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

// AddEach implements backplane.Consumer. The error says why the offsets could not be
// told in OffsetTimeout; then none of the partitions is read.
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
	starts := make(map[backplane.Partition]int64, len(since))
	for p, time := range since {
		starts[p] = max(time, 0) // what is below is not a time for Kafka
	}
	starts, ends, err := c.bounds(starts)
	switch {
	case c.ctx.Err() != nil:
		return ErrClosed
	case err != nil:
		return fmt.Errorf("kafka: asking for the offsets of %s: %w", c.topic, err)
	}
	if !c.do(func() { c.assign(since, starts, ends) }) {
		return ErrClosed
	}
	return nil
}

// assign begins to read partitions. It runs on the poll goroutine.
func (c *Consumer) assign(since, starts, ends map[backplane.Partition]int64) {
	at := make(map[int32]kgo.Offset, len(since))
	for p, time := range since {
		if c.assigned[p].Load() != nil {
			continue
		}
		a := &assignment{
			partition: p,
			worker:    c.workers[int(p)%len(c.workers)],
			end:       ends[p],
			next:      starts[p],
			time:      time,
		}
		a.handed.Store(starts[p])
		a.logEnd.Store(ends[p])
		c.behind.Add(1)
		c.assigned[p].Store(a)
		a.begin()
		at[int32(p)] = kgo.NewOffset().At(starts[p])
	}
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

// bounds returns the offsets of partitions at a moment each, and their ends.
func (c *Consumer) bounds(at map[backplane.Partition]int64) (offsets, ends map[backplane.Partition]int64, err error) {
	latest := make(map[backplane.Partition]int64, len(at))
	for p := range at {
		latest[p] = momentEnd
	}
	err = c.lookup.try(c.ctx, func(ctx context.Context) error {
		if _, err := c.lookup.current(ctx, 0); err != nil {
			return err
		}
		var err error
		if offsets, err = c.lookup.offsets(ctx, at); err != nil {
			return err
		}
		// Asked for after the others, so that no end lies before its start.
		ends, err = c.lookup.offsets(ctx, latest)
		return err
	})
	if errors.Is(err, ErrTopicReplaced) {
		c.fatal.CompareAndSwap(nil, &err)
	}
	return offsets, ends, err
}
