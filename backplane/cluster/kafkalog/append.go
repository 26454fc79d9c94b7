package kafkalog

import (
	"context"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// castagnoli is the polynomial of the checksum of batches (KIP-98).
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchOverhead is the length of a batch without its records, and recordOverhead
// bounds that of a record beyond its key and value.
const (
	batchOverhead  = 61
	recordOverhead = 32
)

// check returns an error if records are beyond what may be written.
func check(records []cluster.Record) error {
	if len(records) > maxRecords {
		return fmt.Errorf("kafkalog: %d records are more than %d", len(records), maxRecords)
	}
	bytes := 0
	for _, r := range records {
		switch {
		case r.Key == "":
			return fmt.Errorf("kafkalog: a record has no key")
		case len(r.Key) > maxKey:
			return fmt.Errorf("kafkalog: a key has %d bytes, more than %d", len(r.Key), maxKey)
		case len(r.Value) > maxValue:
			return fmt.Errorf("kafkalog: the value of %s has %d bytes, more than %d", r.Key, len(r.Value), maxValue)
		}
		bytes += len(r.Value)
	}
	if bytes > maxBytes {
		return fmt.Errorf("kafkalog: the records have %d bytes, more than %d", bytes, maxBytes)
	}
	return nil
}

// append writes records at the end of the log, in one batch: all of them or none. An
// error does not say that they were not written. The caller has checked them.
func (t *topic) append(ctx context.Context, answer time.Duration, records []cluster.Record) error {
	batch := appendBatch(nil, time.Now().UnixMilli(), records)
	if len(batch) > maxBatch {
		return fmt.Errorf("kafkalog: a batch of %d bytes is longer than %d", len(batch), maxBatch)
	}
	resp, err := t.request(ctx, func(p place) kmsg.Request {
		partition := kmsg.NewProduceRequestTopicPartition()
		partition.Records = batch
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic, topic.TopicID = t.name, p.id // which of them is sent depends on the broker
		topic.Partitions = append(topic.Partitions, partition)
		req := kmsg.NewPtrProduceRequest()
		req.TimeoutMillis = int32(answer.Milliseconds())
		req.Topics = append(req.Topics, topic)
		return req // its acks are the client's
	})
	if err != nil {
		return err
	}
	topics := resp.(*kmsg.ProduceResponse).Topics
	if len(topics) == 0 || len(topics[0].Partitions) == 0 {
		t.forget()
		return kerr.UnknownTopicOrPartition
	}
	if err := kerr.ErrorForCode(topics[0].Partitions[0].ErrorCode); err != nil {
		t.forget()
		return err
	}
	return nil
}

// appendBatch appends records as a batch of Kafka's message format 2 (KIP-98), not
// compressed. The broker stamps them anew where the topic says so.
func appendBatch(dst []byte, now int64, records []cluster.Record) []byte {
	var body []byte
	for i, r := range records {
		record := kmsg.Record{OffsetDelta: int32(i), Key: []byte(r.Key), Value: r.Value}
		// The length goes before what it counts, and is part of neither.
		withoutLength := record.AppendTo(nil)[1:] // a length of 0 takes one byte
		record.Length = int32(len(withoutLength))
		body = record.AppendTo(body)
	}
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1,
		Length:               int32(batchOverhead - 12 + len(body)), // what follows it: not the offset, not itself
		Magic:                2,
		LastOffsetDelta:      int32(len(records) - 1),
		FirstTimestamp:       now,
		MaxTimestamp:         now,
		ProducerID:           -1,
		ProducerEpoch:        -1,
		FirstSequence:        -1,
		NumRecords:           int32(len(records)),
		Records:              body,
	}
	start := len(dst)
	dst = batch.AppendTo(dst)
	// The checksum stands after the magic byte and covers all that comes behind it.
	const at = 17
	sum := crc32.Checksum(dst[start+at+4:], castagnoli)
	dst[start+at], dst[start+at+1], dst[start+at+2], dst[start+at+3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	return dst
}
