package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The classes of errors of a partition, as the metrics name them.
const (
	classRange     = "offset_out_of_range" // the log does not have the offset any more, or not yet
	classDataLoss  = "data_loss"           // the log was cut off behind what was read
	classTopic     = "unknown_topic"       // the topic was deleted or made anew, or a broker does not know it yet
	classForbidden = "forbidden"           // the brokers refuse this consumer
	classOther     = "other"
)

// fail looks into the error of a partition. It runs on the poll goroutine.
//
// The client deals with what passes by itself (leaders that move, brokers that
// start) and does not tell. What it tells, it does not put right, and after some
// errors it never fetches the partition again. So the partition is taken from the
// client, whatever the error, and given back by the repair goroutine.
func (c *Consumer) fail(a *assignment, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	if loss, ok := errors.AsType[*kgo.ErrDataLoss](err); ok {
		// The client has already set itself back to where the log now ends.
		c.counts.errors.WithLabelValues(classDataLoss).Inc()
		c.log.Error("kafka: the log lost records that had been read", "topic", c.topic, "partition", a.partition, "read_to", loss.ConsumedTo, "reset_to", loss.ResetTo)
		a.next = loss.ResetTo
		a.begin()
		return
	}
	class := classOf(err)
	c.counts.errors.WithLabelValues(class).Inc()
	c.log.Error("kafka: a partition cannot be read", "topic", c.topic, "partition", a.partition, "offset", a.next, "class", class, "err", err)
	a.failed.Store(true)
	c.stopFetching([]int32{int32(a.partition)})
	c.leave(a)
}

// leave leaves assignments that have failed to the repair goroutine.
func (c *Consumer) leave(failed ...*assignment) {
	if len(failed) == 0 {
		return
	}
	c.mu.Lock()
	c.broken = append(c.broken, failed...)
	c.mu.Unlock()
	c.ringRepair()
}

func classOf(err error) string {
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange):
		return classRange
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
		return classTopic
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.SaslAuthenticationFailed):
		return classForbidden
	}
	return classOther
}

func (c *Consumer) ringRepair() {
	select {
	case c.bell <- struct{}{}:
	default:
	}
}

// repair is the repair goroutine: it gives failed partitions back to the client,
// all that there are at once, and then pauses.
func (c *Consumer) repair() {
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	var told time.Time // when it was last logged that some stay unread
	for {
		select {
		case <-c.bell:
		case <-c.ctx.Done():
			return
		}
		c.mu.Lock()
		broken := c.broken
		c.broken = nil
		c.mu.Unlock()
		switch left, err := c.putBack(broken); {
		case errors.Is(err, ErrTopicReplaced):
			// There is no right place to go on from: the offsets of the topic that was
			// there mean nothing in the one that is. Err tells.
			c.log.Error("kafka: partitions stay unread", "topic", c.topic, "partitions", len(broken), "err", err)
		case len(left) > 0:
			if time.Since(told) >= complainEvery {
				told = time.Now()
				c.log.Warn("kafka: partitions cannot be read yet; trying again", "topic", c.topic, "partitions", len(left), "first", left[0].partition, "err", err)
			}
			c.leave(left...)
		}
		pause.Reset(repairPause)
		select {
		case <-pause.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// putBack begins to fetch failed partitions again, each from the offset after
// the last record that was queued, or where the log begins or ends if it does not
// have that; and those for the first time that had no leader when they were added. It
// returns those for which that has not worked yet, and why.
func (c *Consumer) putBack(broken []*assignment) (left []*assignment, err error) {
	broken = slices.DeleteFunc(broken, func(a *assignment) bool { return a.removed.Load() })
	if len(broken) == 0 {
		return nil, nil
	}
	at := make(map[backplane.Partition]int64, len(broken))
	by := make(map[backplane.Partition]*assignment, len(broken))
	for _, a := range broken {
		by[a.partition] = a
		// Whoever has failed is the repair goroutine's until it is put back.
		if at[a.partition] = momentStart; a.next == unplaced {
			at[a.partition] = max(a.time, 0)
		}
	}
	var missing map[backplane.Partition]error
	err = c.lookup.try(c.ctx, func(ctx context.Context) error {
		v, err := c.lookup.current(ctx, 0)
		if err != nil {
			return err
		}
		missing = c.lookup.bounds(ctx, v, at, func(found map[backplane.Partition]bounds) {
			c.do(func() { c.goOn(by, found) })
		})
		return nil
	})
	if err != nil {
		c.replaced(err)
		return broken, err
	}
	for _, a := range broken {
		if why := missing[a.partition]; why != nil {
			left, err = append(left, a), why
		}
	}
	return left, err
}

// goOn begins to fetch failed partitions. It runs on the poll goroutine.
func (c *Consumer) goOn(by map[backplane.Partition]*assignment, found map[backplane.Partition]bounds) {
	at := make(map[int32]kgo.Offset, len(found))
	for p, b := range found {
		a := by[p]
		if a.removed.Load() {
			continue
		}
		if a.next == unplaced {
			a.place(b)
		} else {
			c.clamp(a, b)
		}
		a.failed.Store(false)
		at[int32(p)] = kgo.NewOffset().At(a.next)
	}
	c.fetch(at)
}

// clamp moves a's next offset to where the log has one. Nothing is stepped over
// silently: it logs and counts, and records that are gone are gone for everyone.
func (c *Consumer) clamp(a *assignment, b bounds) {
	switch {
	case a.next < b.start:
		c.counts.skipped.Add(float64(b.start - a.next))
		c.log.Error("kafka: records were deleted before they were read", "topic", c.topic, "partition", a.partition, "from", a.next, "to", b.start)
		a.next = b.start
	case a.next > b.end:
		c.log.Error("kafka: the log ends before what was read", "topic", c.topic, "partition", a.partition, "read_to", a.next, "end", b.end)
		a.next = b.end
	default:
		return
	}
	a.logEnd.Store(b.end)
	a.begin()
}
