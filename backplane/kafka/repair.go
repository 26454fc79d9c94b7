package kafka

import (
	"context"
	"errors"
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
	c.mu.Lock()
	c.broken = append(c.broken, a)
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
		switch err := c.putBack(broken); {
		case errors.Is(err, ErrTopicReplaced):
			// There is no right place to go on from: the offsets of the topic that was
			// there mean nothing in the one that is. Err tells.
			c.log.Error("kafka: partitions stay unread", "topic", c.topic, "partitions", len(broken), "err", err)
		case err != nil:
			c.log.Warn("kafka: partitions could not be put back; trying again", "topic", c.topic, "partitions", len(broken), "err", err)
			c.mu.Lock()
			c.broken = append(c.broken, broken...)
			c.mu.Unlock()
			c.ringRepair()
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
// have that.
func (c *Consumer) putBack(broken []*assignment) error {
	if len(broken) == 0 {
		return nil
	}
	first := make(map[backplane.Partition]int64, len(broken))
	for _, a := range broken {
		first[a.partition] = momentStart
	}
	starts, ends, err := c.bounds(first)
	if err != nil {
		return err
	}
	c.do(func() {
		at := make(map[int32]kgo.Offset, len(broken))
		for _, a := range broken {
			if a.removed.Load() {
				continue
			}
			c.clamp(a, starts[a.partition], ends[a.partition])
			a.failed.Store(false)
			at[int32(a.partition)] = kgo.NewOffset().At(a.next)
		}
		if len(at) > 0 {
			c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.topic: at})
		}
	})
	return nil
}

// clamp moves a's next offset to where the log has one. Nothing is stepped over
// silently: it logs and counts, and records that are gone are gone for everyone.
func (c *Consumer) clamp(a *assignment, start, end int64) {
	switch {
	case a.next < start:
		c.counts.skipped.Add(float64(start - a.next))
		c.log.Error("kafka: records were deleted before they were read", "topic", c.topic, "partition", a.partition, "from", a.next, "to", start)
		a.next = start
	case a.next > end:
		c.log.Error("kafka: the log ends before what was read", "topic", c.topic, "partition", a.partition, "read_to", a.next, "end", end)
		a.next = end
	default:
		return
	}
	a.logEnd.Store(end)
	a.begin()
}
