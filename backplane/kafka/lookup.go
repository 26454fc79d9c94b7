package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The moments that a ListOffsets request names by a number below 0. All others are
// log times in Unix milliseconds.
const (
	momentEnd   int64 = -1 // the offset that the next record gets
	momentStart int64 = -2 // the offset of the first record that is still there
)

// lookup asks the brokers for what is not records: offsets, leaders, and whether the
// topic is still the one that was there at first. Any goroutine may use it.
type lookup struct {
	// Static.
	client     *kgo.Client
	topic      string
	partitions int32
	timeout    time.Duration
	turn       chan struct{} // has a value while somebody asks for metadata

	mu   sync.Mutex
	view *view // guarded by mu: what was learned last, nil before the first time
}

// view is what metadata tell of the topic. It is not changed once it is made.
type view struct {
	id      [16]byte // what Kafka gives to each topic that is made
	leaders []int32  // of each partition; -1 where there is none
	asked   time.Time
}

func newLookup(client *kgo.Client, cfg *Config) *lookup {
	return &lookup{
		client:     client,
		topic:      cfg.Topic(),
		partitions: cfg.Partitions,
		timeout:    cfg.Consumer.OffsetTimeout,
		turn:       make(chan struct{}, 1),
	}
}

// try calls f, and again for at most the timeout while what is wrong may pass: a
// leader that is being elected, a broker that starts or hangs, a topic that was just
// made.
func (l *lookup) try(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	var why error // of the last attempt that came to its end
	for {
		err := once(ctx, f)
		if err != nil && why != nil && ctx.Err() != nil {
			err = why // the time was over in the middle of an attempt
		}
		why = err
		switch {
		case err == nil || !passes(err):
			return err
		case l.client.Context().Err() != nil: // the client gives several errors for it
			return ErrClosed
		}
		select {
		case <-time.After(offsetPause):
		case <-ctx.Done():
			return err
		}
	}
}

// once calls f with a part of the time that there is.
func once(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return f(ctx)
}

// passes reports whether an error may be gone when the same is asked again.
func passes(err error) bool {
	for _, settled := range []error{ErrTopicReplaced, ErrOffsetGone, ErrOffsetAhead, ErrClosed} {
		if errors.Is(err, settled) {
			return false
		}
	}
	ke, ok := errors.AsType[*kerr.Error](err)
	return !ok || ke.Retriable
}

// has returns an error if the topic should have no partition p.
func (l *lookup) has(p backplane.Partition) error {
	if p < 0 || int32(p) >= l.partitions {
		return fmt.Errorf("kafka: partition %d of %s: the topic has %d", p, l.topic, l.partitions)
	}
	return nil
}

// current returns a view that is not older than age. The error is ErrTopicReplaced if
// the topic is not the one that was there at first.
func (l *lookup) current(ctx context.Context, age time.Duration) (*view, error) {
	known := func() *view {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.view != nil && time.Since(l.view.asked) < age {
			return l.view
		}
		return nil
	}
	if v := known(); v != nil {
		return v, nil
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v := known(); v != nil { // who had the turn before us asked
		return v, nil
	}
	v, err := l.ask(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.view != nil && l.view.id != v.id {
		return nil, fmt.Errorf("%w: %s", ErrTopicReplaced, l.topic)
	}
	l.view = v
	return v, nil
}

// ask asks for metadata.
func (l *lookup) ask(ctx context.Context) (*view, error) {
	v := &view{leaders: make([]int32, l.partitions), asked: time.Now()}
	for p := range v.leaders {
		v.leaders[p] = -1
	}
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &l.topic
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, l.client)
	switch {
	case err != nil:
		return nil, err
	case len(resp.Topics) != 1:
		return nil, kerr.UnknownTopicOrPartition
	}
	t := &resp.Topics[0]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return nil, err
	}
	v.id = t.TopicID
	for _, p := range t.Partitions {
		if p.Partition >= 0 && p.Partition < l.partitions && p.ErrorCode == 0 {
			v.leaders[p.Partition] = p.Leader
		}
	}
	return v, nil
}

// leader returns the broker that leads a partition.
func (v *view) leader(p backplane.Partition) (int32, error) {
	if v.leaders[p] < 0 {
		return -1, kerr.LeaderNotAvailable
	}
	return v.leaders[p], nil
}

// bounds is where the reading of a partition begins, and where its log ended after that.
type bounds struct{ start, end int64 }

// bounds asks the leaders of partitions for where each begins at a moment and for its end.
// It calls found with what one leader tells, on a goroutine of that leader's own, and
// returns, when all have answered or ctx has ended, why it has found nothing of the rest. A
// leader that hangs, or a partition without one, does not hold the others up.
func (l *lookup) bounds(ctx context.Context, v *view, at map[backplane.Partition]int64, found func(map[backplane.Partition]bounds)) (missing map[backplane.Partition]error) {
	missing = make(map[backplane.Partition]error)
	byLeader := make(map[int32]map[backplane.Partition]int64)
	for p, moment := range at {
		leader, err := v.leader(p)
		if err != nil {
			missing[p] = err
			continue
		}
		if byLeader[leader] == nil {
			byLeader[leader] = make(map[backplane.Partition]int64)
		}
		byLeader[leader][p] = moment
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for leader, at := range byLeader {
		asking.Go(func() {
			got, errs := l.boundsOf(ctx, leader, at)
			if len(got) > 0 {
				found(got)
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(missing, errs)
		})
	}
	asking.Wait()
	return missing
}

// boundsOf is bounds of the partitions of one leader.
func (l *lookup) boundsOf(ctx context.Context, leader int32, at map[backplane.Partition]int64) (map[backplane.Partition]bounds, map[backplane.Partition]error) {
	starts, missing := l.offsets(ctx, leader, at)
	latest := make(map[backplane.Partition]int64, len(starts))
	for p := range starts {
		latest[p] = momentEnd
	}
	// Asked for after the others, so that no end lies before its start.
	ends, more := l.offsets(ctx, leader, latest)
	maps.Copy(missing, more)
	got := make(map[backplane.Partition]bounds, len(ends))
	for p, end := range ends {
		got[p] = bounds{starts[p], end}
	}
	return got, missing
}

// offsets returns the offset of each partition at a moment, as its leader tells it: that of
// the first record with a log time of at least that, or the end where there is none. missing
// says why the leader has not told it of the others.
//
// A broker does not tell the end in the answer that there is none. Asked for after
// that, the end may lie behind records that came in between and have such a log time,
// and nobody would read those. So the broker is asked for such a record once more after
// the end: where there is still none, all of them will come at that end or later.
func (l *lookup) offsets(ctx context.Context, leader int32, at map[backplane.Partition]int64) (offsets map[backplane.Partition]int64, missing map[backplane.Partition]error) {
	offsets, missing = l.list(ctx, leader, at)
	none := make(map[backplane.Partition]int64)
	latest := make(map[backplane.Partition]int64)
	for p, offset := range offsets {
		if offset < 0 {
			none[p], latest[p] = at[p], momentEnd
			delete(offsets, p)
		}
	}
	if len(none) == 0 {
		return offsets, missing
	}
	ends, errs := l.list(ctx, leader, latest)
	maps.Copy(missing, errs)
	again, errs := l.list(ctx, leader, none)
	maps.Copy(missing, errs)
	for p := range none {
		offset := again[p]
		if offset < 0 {
			offset = ends[p]
		}
		switch {
		case missing[p] != nil:
		case offset < 0:
			missing[p] = fmt.Errorf("kafka: partition %d of %s has no offset", p, l.topic)
		default:
			offsets[p] = offset
		}
	}
	return offsets, missing
}

// list is offsets, with -1 where no record has such a log time.
func (l *lookup) list(ctx context.Context, leader int32, at map[backplane.Partition]int64) (offsets map[backplane.Partition]int64, missing map[backplane.Partition]error) {
	offsets, missing = make(map[backplane.Partition]int64, len(at)), make(map[backplane.Partition]error)
	if len(at) == 0 {
		return offsets, missing
	}
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = l.topic
	for p, moment := range at {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = int32(p), moment
		topic.Partitions = append(topic.Partitions, partition)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1 // a consumer
	req.Topics = append(req.Topics, topic)
	resp, err := l.client.Broker(int(leader)).Request(ctx, req)
	if err == nil {
		for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					missing[backplane.Partition(p.Partition)] = err
				} else {
					offsets[backplane.Partition(p.Partition)] = p.Offset
				}
			}
		}
		err = kerr.UnknownTopicOrPartition // of what is not in the answer
	}
	for p := range at {
		if _, ok := offsets[p]; !ok && missing[p] == nil {
			missing[p] = err
		}
	}
	return offsets, missing
}
