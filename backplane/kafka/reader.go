package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	// ErrOffsetGone is the error of an offset whose record the log does not have any
	// more: its time to be kept was over.
	ErrOffsetGone = errors.New("kafka: the log does not have the offset any more")

	// ErrOffsetAhead is the error of an offset beyond the end of the log.
	ErrOffsetAhead = errors.New("kafka: the log ends before the offset")
)

// Reader looks into the messages topic at any place, for as long as its caller
// wants to know something: it assigns nothing to itself and remembers no position.
//
// Any goroutine may call its methods, several at once; each waits for brokers, so
// none is for an event loop. What may pass (a leader that is being elected, a broker
// that does not answer) is tried again until the context ends, for at most
// OffsetTimeout without any progress. The errors that do not pass are
// ErrTopicReplaced, ErrOffsetGone, ErrOffsetAhead, ErrClosed, and what a broker
// refuses for good.
type Reader struct {
	// Static.
	client       *kgo.Client
	lookup       *lookup
	topic        string
	generation   uint32
	fetchBytes   int32
	decompressor kgo.Decompressor
}

// NewReader returns a Reader with a client of its own. It connects when it is first
// used.
func NewReader(cfg Config) (*Reader, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(cfg.clientOptions(nil)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: making the reader's client: %w", err)
	}
	return &Reader{
		client:       client,
		lookup:       newLookup(client, &cfg),
		topic:        cfg.Topic(),
		generation:   cfg.Generation,
		fetchBytes:   cfg.Consumer.FetchMaxPartitionBytes,
		decompressor: kgo.DefaultDecompressor(),
	}, nil
}

// Close ends the calls that are under way, with ErrClosed, and closes the client.
func (r *Reader) Close() { r.client.Close() }

// Bounds returns the offset of the first record that the log of a partition still
// has, and the offset that its next one gets: they are equal where it has none. That
// the topic was made anew is noticed within viewAge.
func (r *Reader) Bounds(ctx context.Context, p backplane.Partition) (first, end int64, err error) {
	err = r.ask(ctx, p, func(ctx context.Context, leader int32) error {
		var err error
		first, end, err = r.bounds(ctx, leader, p)
		return err
	})
	return first, end, err
}

// OffsetAt returns the offset of the first record of a partition with a log time of
// at least ms (Unix milliseconds), or the end as Bounds tells it where there is none.
func (r *Reader) OffsetAt(ctx context.Context, p backplane.Partition, ms int64) (offset int64, err error) {
	err = r.ask(ctx, p, func(ctx context.Context, leader int32) error {
		offsets, missing := r.lookup.offsets(ctx, leader, map[backplane.Partition]int64{p: max(ms, 0)})
		offset = offsets[p]
		return missing[p]
	})
	return offset, err
}

// Retention returns how long the topic keeps records before they are deleted, 0 for
// ever. Where its size is bounded as well, they may be deleted sooner.
func (r *Reader) Retention(ctx context.Context) (time.Duration, error) {
	var retention time.Duration
	err := r.lookup.try(ctx, func(ctx context.Context) error {
		configs, err := kadm.NewClient(r.client).DescribeTopicConfigs(ctx, r.topic)
		if err != nil {
			return err
		}
		config, err := configs.On(r.topic, nil)
		if err == nil {
			err = config.Err
		}
		if err != nil {
			return err
		}
		for _, c := range config.Configs {
			if c.Key == settingRetentionMs {
				ms, err := strconv.ParseInt(c.MaybeValue(), 10, 64)
				if err != nil {
					return err
				}
				retention = time.Duration(max(ms, 0)) * time.Millisecond
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("kafka: asking for the retention of %s: %w", r.topic, err)
	}
	return retention, nil
}

// ask calls f, which asks the leader of a partition for offsets, and names the partition in
// its error.
func (r *Reader) ask(ctx context.Context, p backplane.Partition, f func(ctx context.Context, leader int32) error) error {
	if err := r.lookup.has(p); err != nil {
		return err
	}
	age := viewAge
	err := r.lookup.try(ctx, func(ctx context.Context) error {
		v, err := r.lookup.current(ctx, age)
		if err != nil {
			return err
		}
		age = offsetPause // what is known of the leader may be what is wrong
		leader, err := v.leader(p)
		if err != nil {
			return err
		}
		return f(ctx, leader)
	})
	if err != nil {
		return fmt.Errorf("kafka: asking for offsets of partition %d of %s: %w", p, r.topic, err)
	}
	return nil
}

// bounds asks the leader of a partition for its bounds.
func (r *Reader) bounds(ctx context.Context, leader int32, p backplane.Partition) (first, end int64, err error) {
	got, missing := r.lookup.boundsOf(ctx, leader, map[backplane.Partition]int64{p: momentStart})
	return got[p].start, got[p].end, missing[p]
}
