package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// kafkaLoop is the floor of a message's way through Kafka: one producer and one
// consumer of franz-go in this process.
type kafkaLoop struct{ cfg config }

func startKafkaLoop(cfg config) (control.Peer, error) { return &kafkaLoop{cfg}, nil }

func (l *kafkaLoop) Ready() control.Ready { return control.Ready{PID: os.Getpid()} }

func (l *kafkaLoop) Conns() int { return 0 }

func (l *kafkaLoop) Close() error { return nil }

// Run implements control.KafkaRunner.
func (l *kafkaLoop) Run(ctx context.Context, k control.Kafka) (control.KafkaResult, error) {
	var r control.KafkaResult
	consumer, err := newConsumerClient(k)
	if err != nil {
		return r, err
	}
	defer consumer.Close()
	if err := assign(ctx, consumer, k); err != nil {
		return r, err
	}
	producer, err := newProducerClient(k)
	if err != nil {
		return r, err
	}
	defer producer.Close()

	run := newKafkaRun(k, producer, consumer)
	ctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { run.consume(ctx) })
	defer reading.Wait()
	defer stop()

	// Connections, the producer's id and pools come with the first messages.
	length := time.Duration(k.Seconds * float64(time.Second))
	if _, err := run.phase(ctx, max(length/10, 500*time.Millisecond)); err != nil {
		return r, err
	}
	r, err = run.phase(ctx, length)
	if err != nil || !k.Echo {
		return r, err
	}
	if r.CPUOfEcho, err = echoFloor(ctx, l.cfg, k, r.Messages); err != nil {
		return r, err
	}
	r.CPU = r.CPUOfKafka + r.CPUOfEcho
	return r, nil
}

// message is a message on its way to the log, with its records. It is pooled.
type message struct {
	run     *kafkaRun
	due     int64 // nanoseconds since the run began
	left    int   // records that are not acknowledged; owned by the promises
	value   []byte
	records [2]kgo.Record
	headers [2][2]kgo.RecordHeader
	tags    [2][8]byte
	promise func(*kgo.Record, error) // acked, bound once
}

// A record's value begins with the time at which its message was due, in
// nanoseconds since the run began. In place of a session's id it has a tag: its
// number within its partition, and in the lowest bit whether it is the one for the
// recipient, whose arrival is the message's.
func tag(number uint64, recipient bool) uint64 {
	if recipient {
		return number<<1 | 1
	}
	return number << 1
}

// produce hands the records of a message to the client. It is called by the
// goroutine of phase.
func (r *kafkaRun) produce(due time.Duration) {
	m := r.messages.Get().(*message)
	m.due, m.left = int64(due), r.spec.RecordsPerMessage
	binary.BigEndian.PutUint64(m.value, uint64(due))
	sender, recipient := pair(r.users, r.spec.RecordsPerMessage == 2)
	r.sent++
	// With one record only the recipient's partition gets it.
	if r.spec.RecordsPerMessage == 2 {
		r.hand(m, 1, sender, false)
	}
	r.hand(m, 0, recipient, true)
}

// hand hands one record to the client.
func (r *kafkaRun) hand(m *message, i int, to *user, recipient bool) {
	number := r.numbers[to.partition]
	r.numbers[to.partition]++
	binary.BigEndian.PutUint64(m.tags[i][:], tag(number, recipient))
	m.headers[i] = [2]kgo.RecordHeader{
		{Key: headerRecipients, Value: to.header},
		{Key: headerSession, Value: m.tags[i][:]},
	}
	m.records[i] = kgo.Record{Partition: to.partition, Value: m.value, Headers: m.headers[i][:]}
	r.producer.TryProduce(context.Background(), &m.records[i], m.promise)
}

// acked is the promise of a record, and is called by the producer's one goroutine
// for promises.
func (m *message) acked(_ *kgo.Record, err error) {
	r := m.run
	if err != nil {
		r.fail(fmt.Errorf("producing: %w", err))
	}
	if m.left--; m.left > 0 {
		return
	}
	r.acks.record(int64(time.Since(r.began)) - m.due)
	r.messages.Put(m)
	r.ackedCount.Add(1)
	r.progress()
}

// consume polls until ctx ends.
func (r *kafkaRun) consume(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := r.consumer.PollRecords(ctx, r.poll)
		if ctx.Err() != nil {
			return
		}
		now := int64(time.Since(r.began))
		var arrived, seen int64
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if f.Err != nil {
				r.fail(fmt.Errorf("consuming partition %d: %w", f.Partition, f.Err))
			}
			seen += int64(len(f.Records))
			for _, record := range f.Records {
				if r.arrive(record, now) {
					arrived++
				}
			}
		})
		r.seenCount.Add(seen)
		r.arrivedCount.Add(arrived)
		r.progress()
	}
}

// arrive takes note of a record and reports whether it is a message's arrival.
func (r *kafkaRun) arrive(record *kgo.Record, now int64) bool {
	var recipients, session []byte
	for i := range record.Headers {
		switch record.Headers[i].Key {
		case headerRecipients:
			recipients = record.Headers[i].Value
		case headerSession:
			session = record.Headers[i].Value
		}
	}
	if len(recipients) == 0 || len(session) != 8 || len(record.Value) != r.spec.Size {
		r.fail(errors.New("a record that nobody here produced: the topic is not for this alone"))
		return false
	}
	t := binary.BigEndian.Uint64(session)
	if want := r.expected[record.Partition]; t>>1 != want {
		r.fail(fmt.Errorf("partition %d: record %d came where %d was due: lost or doubled", record.Partition, t>>1, want))
	}
	r.expected[record.Partition] = t>>1 + 1
	if t&1 == 0 {
		return false
	}
	r.arrivals.record(now - int64(binary.BigEndian.Uint64(record.Value)))
	return true
}
