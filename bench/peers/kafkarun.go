package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/bench/peers/control"
)

const (
	headerRecipients = backplane.HeaderRecipients
	headerSession    = backplane.HeaderSession
)

// kafkaRun is what the messages of one command share.
type kafkaRun struct {
	// Static.
	spec     control.Kafka
	producer *kgo.Client
	consumer *kgo.Client
	users    []user
	poll     int
	began    time.Time
	messages sync.Pool
	bell     chan struct{} // rung when the producing goroutine waits, and may go on

	// Owned by the producing goroutine.
	sent    int64
	numbers []uint64 // the next record's number, by partition

	// Owned by the goroutine of the promises, and by the producing one between phases.
	acks histogram

	// Owned by the consuming goroutine, and by the producing one between phases.
	arrivals histogram
	expected []uint64 // the next record's number, by partition

	// Atomic.
	ackedCount   atomic.Int64
	arrivedCount atomic.Int64
	seenCount    atomic.Int64 // records, of whichever user
	wakeAt       atomic.Int64 // ring the bell when so many messages are through
	failed       atomic.Pointer[error]
}

func newKafkaRun(k control.Kafka, producer, consumer *kgo.Client) *kafkaRun {
	r := &kafkaRun{
		spec:     k,
		producer: producer,
		consumer: consumer,
		users:    makeUsers(k.Partitions),
		poll:     pollRecords(),
		began:    time.Now(),
		bell:     make(chan struct{}, 1),
		numbers:  make([]uint64, k.Partitions),
		expected: make([]uint64, k.Partitions),
	}
	r.wakeAt.Store(math.MaxInt64)
	r.messages.New = func() any {
		m := &message{run: r, value: make([]byte, k.Size)}
		copy(m.value, payload(k.Size))
		m.promise = m.acked
		return m
	}
	return r
}

// fail keeps the first error.
func (r *kafkaRun) fail(err error) {
	if r.failed.CompareAndSwap(nil, &err) {
		r.ring()
	}
}

func (r *kafkaRun) err() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// through returns how many messages are acknowledged and have arrived.
func (r *kafkaRun) through() int64 { return min(r.ackedCount.Load(), r.arrivedCount.Load()) }

// progress wakes the producing goroutine if it waits for what has just happened.
func (r *kafkaRun) progress() {
	if r.through() >= r.wakeAt.Load() {
		r.ring()
	}
}

func (r *kafkaRun) ring() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// await waits until so many messages are through.
func (r *kafkaRun) await(ctx context.Context, count int64) error {
	r.wakeAt.Store(count)
	defer r.wakeAt.Store(math.MaxInt64)
	stalled := time.NewTicker(stallTimeout)
	defer stalled.Stop()
	// The mark is set before the count is looked at: whoever passes it sees the mark,
	// or is seen here.
	for last := int64(-1); ; {
		through := r.through()
		if err := r.err(); err != nil || through >= count {
			return err
		}
		select {
		case <-r.bell:
		case <-ctx.Done():
			return ctx.Err()
		case <-stalled.C:
			if through == last {
				return fmt.Errorf("%d of %d messages came through in %v, and no more", through, count, stallTimeout)
			}
			last = through
		}
	}
}

// phase produces messages for some time, waits until all are through, and returns
// what they took.
func (r *kafkaRun) phase(ctx context.Context, length time.Duration) (control.KafkaResult, error) {
	var result control.KafkaResult
	r.acks.reset()
	r.arrivals.reset()
	first, records := r.sent, r.records()
	cpu, err := control.CPU()
	if err != nil {
		return result, err
	}
	start := time.Now()
	if r.spec.Rate > 0 {
		err = r.paced(ctx, length)
	} else {
		err = r.saturate(ctx, length)
	}
	if err == nil {
		err = r.await(ctx, r.sent)
	}
	if err == nil {
		err = await(ctx, func() (bool, int64) { // the senders' copies come by themselves
			seen := r.seenCount.Load()
			return seen >= r.records() || r.err() != nil, seen
		})
	}
	if err = errors.Join(err, r.err()); err != nil {
		return result, err
	}
	took := time.Since(start)
	after, err := control.CPU()
	if err != nil {
		return result, err
	}
	n := r.sent - first
	each := float64((after - cpu).Nanoseconds()) / 1e3 / float64(n)
	return control.KafkaResult{
		Messages:   n,
		Records:    r.records() - records,
		PerSecond:  float64(n) / took.Seconds(),
		CPU:        each,
		CPUOfKafka: each,
		P50:        r.arrivals.quantile(0.5) / 1e3,
		P99:        r.arrivals.quantile(0.99) / 1e3,
		AckP50:     r.acks.quantile(0.5) / 1e3,
		AckP99:     r.acks.quantile(0.99) / 1e3,
	}, nil
}

func (r *kafkaRun) records() int64 {
	var sum uint64
	for _, n := range r.numbers {
		sum += n
	}
	return int64(sum)
}

// saturate keeps as many messages on their way as the window allows. When it is
// full it waits until a quarter is free, not for every message.
func (r *kafkaRun) saturate(ctx context.Context, length time.Duration) error {
	window := int64(r.spec.Window)
	for end := time.Since(r.began) + length; ; {
		now := time.Since(r.began)
		if now >= end {
			return nil
		}
		if r.sent-r.through() >= window {
			if err := r.await(ctx, r.sent-window+(window+3)/4); err != nil {
				return err
			}
			continue
		}
		r.produce(now)
	}
}

// paced produces at a rate, whatever becomes of the messages: each is due at its
// own time, and its latency begins there.
func (r *kafkaRun) paced(ctx context.Context, length time.Duration) error {
	p, err := newPacer(r.spec.Rate)
	if err != nil {
		return err
	}
	defer p.close()
	start := time.Since(r.began)
	due := int64(length.Seconds() * float64(r.spec.Rate))
	for n := int64(0); n < max(due, 1); {
		ready, err := p.wait()
		if err != nil {
			return err
		}
		for ; ready > 0 && n < max(due, 1); ready-- {
			n++
			r.produce(start + p.after(n))
		}
		if err := r.err(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
