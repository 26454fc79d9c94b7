package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A scan asks for one piece of the log after the other, by itself. A client that
// consumes would do that too, and read ahead: but it needs a goroutine for each
// broker and some milliseconds to begin, shares one fetch among partitions that
// different callers read at different paces, and does not tell of an offset that is
// gone before it has looked for another. Here a scan that nobody waits for costs
// nothing, has one piece in memory, and ends when its caller does.

// Scan calls f with the records of a partition from one offset up to another, the
// second exclusive, in order, until f returns false. The record and its slices are
// f's only during the call. Scan holds one fetch in memory at a time, which is
// FetchMaxPartitionBytes before it is decompressed, or a single larger batch.
//
// It is done when it has reached to, whether or not there is a record before it. Up
// to there the log must have been: beyond its end as Bounds or a Consumer told it,
// Scan waits for records, and returns an error when none come.
//
// The error is ErrOffsetGone if the log begins after an offset that Scan has come to:
// at its start, or because records were deleted meanwhile. Records before that one
// have been handed out.
func (r *Reader) Scan(ctx context.Context, p backplane.Partition, from, to int64, f func(*backplane.Record) bool) error {
	if err := r.lookup.has(p); err != nil {
		return err
	}
	var record backplane.Record
	for next := from; next < to; {
		var got piece
		age := leaderAge
		err := r.lookup.try(ctx, func(ctx context.Context) error {
			var err error
			got, err = r.fetch(ctx, p, next, age)
			age = offsetPause // what is known of the leader may be what is wrong
			return err
		})
		if err != nil {
			return fmt.Errorf("kafka: reading partition %d of %s at offset %d: %w", p, r.topic, next, err)
		}
		for _, kr := range got.records {
			if kr.Offset >= to {
				return nil
			}
			fillRecord(&record, backplane.Position{Generation: r.generation, Partition: p, Offset: kr.Offset}, kr)
			if !f(&record) {
				return nil
			}
		}
		next = got.next
	}
	return nil
}

// piece is what one fetch brought.
type piece struct {
	records []*kgo.Record
	next    int64 // the offset to go on from; no record before it is missing
}

// errNothingYet is the error of a fetch that brought nothing, although the offset is
// in the log or at its end. The broker may be short of time, or a new leader may not
// know yet how far its replicas are.
var errNothingYet = errors.New("kafka: the log has no record there yet")

// fetch asks the leader of a partition for what it has from an offset on. age is how
// old what is known of the leader may be.
func (r *Reader) fetch(ctx context.Context, p backplane.Partition, from int64, age time.Duration) (piece, error) {
	v, err := r.lookup.current(ctx, age)
	if err != nil {
		return piece{}, err
	}
	leader, err := v.leader(p)
	if err != nil {
		return piece{}, err
	}
	resp, err := r.client.Broker(int(leader)).Request(ctx, r.fetchRequest(p, from, v.id))
	if err != nil {
		return piece{}, err
	}
	answer, err := answerOf(resp.(*kmsg.FetchResponse), p)
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange):
		return piece{}, r.outOfRange(ctx, leader, p, from)
	case err != nil:
		return piece{}, err
	}
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, Topic: r.topic, Partition: int32(p)},
		answer, r.decompressor, nil)
	switch {
	case got.Err != nil && len(got.Records) == 0:
		return piece{}, got.Err
	case next == from:
		return piece{}, errNothingYet
	}
	return piece{got.Records, next}, nil
}

// fetchRequest asks for one partition, outside of any fetch session (KIP-227), and not
// to wait: all fetches of the client to a broker pass through one connection, in
// order.
func (r *Reader) fetchRequest(p backplane.Partition, from int64, id [16]byte) *kmsg.FetchRequest {
	partition := kmsg.NewFetchRequestTopicPartition()
	partition.Partition = int32(p)
	partition.FetchOffset = from
	partition.PartitionMaxBytes = r.fetchBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = r.topic, id // which of them is sent depends on the broker
	topic.Partitions = append(topic.Partitions, partition)
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1    // a consumer
	req.SessionEpoch = -1 // no session
	req.MaxBytes = r.fetchBytes
	req.Topics = append(req.Topics, topic)
	return req
}

// answerOf returns the part of an answer that is about a partition.
func answerOf(resp *kmsg.FetchResponse, p backplane.Partition) (*kmsg.FetchResponseTopicPartition, error) {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if a := &resp.Topics[i].Partitions[j]; a.Partition == int32(p) {
				return a, kerr.ErrorForCode(a.ErrorCode)
			}
		}
	}
	return nil, kerr.UnknownTopicOrPartition
}

// outOfRange returns on which side of the log an offset is.
func (r *Reader) outOfRange(ctx context.Context, leader int32, p backplane.Partition, offset int64) error {
	first, end, err := r.bounds(ctx, leader, p)
	switch {
	case err != nil:
		return err
	case offset < first:
		return fmt.Errorf("%w: it begins at %d", ErrOffsetGone, first)
	case offset > end:
		return fmt.Errorf("%w: the end is %d", ErrOffsetAhead, end)
	}
	return errNothingYet // it was a leader that is behind
}
