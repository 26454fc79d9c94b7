package kafkalog

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The moments that a ListOffsets request names by a number below 0.
const (
	momentEnd   int64 = -1 // the offset that the next record gets
	momentStart int64 = -2 // the offset of the first record that is still there
)

// piece is what one fetch brought.
type piece struct {
	records []*kgo.Record
	next    int64 // the offset to go on from; no record before it is missing
	start   int64 // where the log begins
	settled int64 // up to where the log is settled: no transaction before it is open
}

// errOutOfRange is the error of a fetch from an offset that the log does not have.
var errOutOfRange = errors.New("kafkalog: the log does not have the offset")

// fetch asks the leader for what it has from an offset on, and waits a while for
// something. With committed, it leaves out what is not committed.
func (t *topic) fetch(ctx context.Context, from int64, committed bool) (piece, error) {
	isolation := kgo.ReadUncommitted()
	if committed {
		isolation = kgo.ReadCommitted()
	}
	resp, err := t.request(ctx, func(p place) kmsg.Request {
		partition := kmsg.NewFetchRequestTopicPartition()
		partition.FetchOffset = from
		partition.PartitionMaxBytes = fetchBytes
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic, topic.TopicID = t.name, p.id // which of them is sent depends on the broker
		topic.Partitions = append(topic.Partitions, partition)
		req := kmsg.NewPtrFetchRequest()
		req.ReplicaID = -1    // a consumer
		req.SessionEpoch = -1 // no fetch session (KIP-227)
		req.MaxWaitMillis = int32(fetchWait.Milliseconds())
		req.MinBytes = 1
		req.MaxBytes = fetchBytes
		if committed {
			req.IsolationLevel = 1
		}
		req.Topics = append(req.Topics, topic)
		return req
	})
	if err != nil {
		return piece{}, err
	}
	answer, err := answerOf(resp.(*kmsg.FetchResponse))
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange):
		return piece{}, errOutOfRange
	case err != nil:
		t.forget()
		return piece{}, err
	}
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: from, IsolationLevel: isolation, Topic: t.name,
	}, answer, t.decompressor, nil)
	if got.Err != nil && len(got.Records) == 0 {
		return piece{}, got.Err
	}
	p := piece{records: got.Records, next: next, start: got.LogStartOffset, settled: got.HighWatermark}
	if committed {
		p.settled = got.LastStableOffset
	}
	return p, nil
}

// answerOf returns the part of an answer that is about the partition.
func answerOf(resp *kmsg.FetchResponse) (*kmsg.FetchResponseTopicPartition, error) {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) == 0 || len(resp.Topics[0].Partitions) == 0 {
		return nil, kerr.UnknownTopicOrPartition
	}
	answer := &resp.Topics[0].Partitions[0]
	return answer, kerr.ErrorForCode(answer.ErrorCode)
}

// offset asks for the offset at a moment.
func (t *topic) offset(ctx context.Context, moment int64) (int64, error) {
	resp, err := t.request(ctx, func(place) kmsg.Request {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Timestamp = moment
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = t.name
		topic.Partitions = append(topic.Partitions, partition)
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		req.Topics = append(req.Topics, topic)
		return req
	})
	if err != nil {
		return 0, err
	}
	topics := resp.(*kmsg.ListOffsetsResponse).Topics
	if len(topics) == 0 || len(topics[0].Partitions) == 0 {
		t.forget()
		return 0, kerr.UnknownTopicOrPartition
	}
	answer := &topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		t.forget()
		return 0, err
	}
	return answer.Offset, nil
}
