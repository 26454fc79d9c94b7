package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Add implements backplane.Consumer. A partition that is read already is left as
// it is. The error says why the offsets could not be told in OffsetTimeout; then
// none of the partitions is read.
//
// Calls of Add and Remove that name the same partition must not overlap.
func (c *Consumer) Add(partitions []backplane.Partition, since int64) error {
	for _, p := range partitions {
		if p < 0 || int(p) >= len(c.assigned) {
			return fmt.Errorf("kafka: partition %d of %s: the topic has %d", p, c.topic, len(c.assigned))
		}
	}
	if len(partitions) == 0 {
		return nil
	}
	starts, ends, err := c.bounds(partitions, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return c.admin.ListOffsetsAfterMilli(ctx, max(since, 0), c.topic)
	})
	switch {
	case c.ctx.Err() != nil:
		return ErrClosed
	case err != nil:
		return fmt.Errorf("kafka: asking for the offsets of %s: %w", c.topic, err)
	}
	if !c.do(func() { c.assign(partitions, starts, ends) }) {
		return ErrClosed
	}
	return nil
}

// assign begins to read partitions. It runs on the poll goroutine.
func (c *Consumer) assign(partitions []backplane.Partition, starts, ends kadm.ListedOffsets) {
	at := make(map[int32]kgo.Offset, len(partitions))
	for _, p := range partitions {
		if c.assigned[p].Load() != nil {
			continue
		}
		start, _ := starts.Lookup(c.topic, int32(p))
		end, _ := ends.Lookup(c.topic, int32(p))
		a := &assignment{
			partition: p,
			worker:    c.workers[int(p)%len(c.workers)],
			end:       end.Offset,
			next:      start.Offset,
		}
		a.handed.Store(start.Offset)
		a.logEnd.Store(end.Offset)
		c.behind.Add(1)
		if start.Offset >= end.Offset {
			c.caughtUp(a)
		}
		c.assigned[p].Store(a)
		at[int32(p)] = kgo.NewOffset().At(start.Offset)
	}
	if len(at) > 0 {
		c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.topic: at})
	}
}

// Remove implements backplane.Consumer. When it returns, no Record call for the
// partitions is running either: it waits for one that is, so it must not be called
// by a Handler, or by anything that a Handler waits for. Partitions that are not
// read are ignored.
func (c *Consumer) Remove(partitions []backplane.Partition) {
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
			removed = append(removed, a)
			list = append(list, int32(p))
		}
		c.stopFetching(list)
	})
	for _, a := range removed {
		a.worker.await(a)
	}
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

// bounds returns where to begin with partitions, by listStarts, and where they
// end. It asks again for OffsetTimeout while what is missing may still come: a
// leader that is being elected, a broker that starts, a topic that was just made.
func (c *Consumer) bounds(partitions []backplane.Partition, listStarts func(context.Context) (kadm.ListedOffsets, error)) (starts, ends kadm.ListedOffsets, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.OffsetTimeout)
	defer cancel()
	for {
		starts, ends, err = c.askBounds(ctx, partitions, listStarts)
		if err == nil || errors.Is(err, ErrTopicReplaced) {
			return starts, ends, err
		}
		if ke, ok := errors.AsType[*kerr.Error](err); ok && !ke.Retriable {
			return nil, nil, err
		}
		select {
		case <-time.After(offsetPause):
		case <-ctx.Done():
			return nil, nil, err
		}
	}
}

func (c *Consumer) askBounds(ctx context.Context, partitions []backplane.Partition, listStarts func(context.Context) (kadm.ListedOffsets, error)) (starts, ends kadm.ListedOffsets, err error) {
	if err := c.checkTopic(ctx); err != nil {
		return nil, nil, err
	}
	if starts, err = listStarts(ctx); err != nil {
		return nil, nil, err
	}
	// Asked for after the starts, so that no end lies before its start.
	if ends, err = c.admin.ListEndOffsets(ctx, c.topic); err != nil {
		return nil, nil, err
	}
	if err := c.missing(starts, partitions); err != nil {
		return nil, nil, err
	}
	return starts, ends, c.missing(ends, partitions)
}

// checkTopic returns ErrTopicReplaced if the topic is not the one that the
// consumer has read from the beginning, by the id that Kafka gives to each.
func (c *Consumer) checkTopic(ctx context.Context) error {
	topics, err := c.admin.ListTopics(ctx, c.topic)
	if err != nil {
		return err
	}
	topic, ok := topics[c.topic]
	switch {
	case !ok:
		return kerr.UnknownTopicOrPartition
	case topic.Err != nil:
		return topic.Err
	}
	c.mu.Lock()
	if c.topicID == (kadm.TopicID{}) {
		c.topicID = topic.ID
	}
	same := c.topicID == topic.ID
	c.mu.Unlock()
	if !same {
		err := fmt.Errorf("%w: %s", ErrTopicReplaced, c.topic)
		c.fatal.CompareAndSwap(nil, &err)
		return err
	}
	return nil
}

// missing returns why offsets do not tell of all partitions, nil if they do.
func (c *Consumer) missing(offsets kadm.ListedOffsets, partitions []backplane.Partition) error {
	for _, p := range partitions {
		o, ok := offsets.Lookup(c.topic, int32(p))
		if !ok {
			o, ok = offsets.Lookup(c.topic, -1) // the error of the topic as a whole
		}
		switch {
		case !ok:
			return kerr.UnknownTopicOrPartition
		case o.Err != nil:
			return o.Err
		case o.Offset < 0:
			return fmt.Errorf("kafka: partition %d of %s has no offset", p, c.topic)
		}
	}
	return nil
}
