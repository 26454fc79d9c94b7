package rawlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

// fetchWait is how long a broker may keep an answer back that has nothing new: each
// partition has an end, so little is gained by waiting for more.
const fetchWait = 250 * time.Millisecond

// Source says what is read.
type Source struct {
	Brokers []string // host:port
	// Client has more of how they are reached, such as TLS; nil is plain connections.
	Client []kgo.Opt
	Topic  string
	// Since, if it is not zero, leaves out what has an earlier timestamp at the beginning of
	// each partition.
	Since time.Time
	// Prefix leaves out records that concern nobody whose name begins so, and the users of a
	// record whose names do not.
	Prefix string
}

// Topic returns the name of a cluster's topic of messages.
func Topic(namespace string, generation int) string {
	return fmt.Sprintf("%s.messages.%d", namespace, generation)
}

// Read reads all partitions, each up to the end that it has now, and gives every record to
// each, those of a partition in the order of their offsets. Like any reader of godwit it
// sees what is committed only. The error is that of each, of Kafka, or of a record that is
// none; then the log was not read to its end.
func Read(ctx context.Context, s Source, each func(*event.Log) error) (*event.LogEnd, error) {
	client, err := kgo.NewClient(append(slices.Clone(s.Client),
		kgo.SeedBrokers(s.Brokers...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(fetchWait),
		kgo.KeepControlRecords(), // an end may lie behind one
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.DisableClientMetrics(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("rawlog: %w", err)
	}
	defer client.Close()
	r := reading{source: s, each: each, client: client, left: make(map[int32]int64)}
	end, err := r.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("rawlog: topic %s: %w", s.Topic, err)
	}
	return end, nil
}

// reading is a call of Read.
type reading struct {
	source  Source
	each    func(*event.Log) error
	client  *kgo.Client
	left    map[int32]int64 // the ends of the partitions that are not read up to there
	records int64
}

func (r *reading) run(ctx context.Context) (*event.LogEnd, error) {
	partitions, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	for len(r.left) > 0 {
		fetches := r.client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%d partitions are not read to their ends: %w", len(r.left), err)
		}
		var errs []error
		fetches.EachError(func(_ string, p int32, err error) {
			errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
		})
		fetches.EachRecord(func(record *kgo.Record) {
			if err := r.take(record); err != nil {
				errs = append(errs, fmt.Errorf("partition %d, offset %d: %w", record.Partition, record.Offset, err))
			}
		})
		if len(errs) > 0 {
			return nil, errors.Join(errs...)
		}
	}
	return &event.LogEnd{Partitions: partitions, Records: r.records}, nil
}

// begin asks where each partition begins and ends, and begins to read those that have
// something. It returns how many there are.
func (r *reading) begin(ctx context.Context) (partitions int, err error) {
	admin := kadm.NewClient(r.client)
	list := admin.ListStartOffsets
	if !r.source.Since.IsZero() {
		list = func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return admin.ListOffsetsAfterMilli(ctx, r.source.Since.UnixMilli(), topics...)
		}
	}
	first, err := list(ctx, r.source.Topic)
	if err != nil {
		return 0, err
	}
	// No record that is committed later lies below.
	ends, err := admin.ListCommittedOffsets(ctx, r.source.Topic)
	if err := errors.Join(err, first.Error(), ends.Error()); err != nil {
		return 0, err
	}
	starts := make(map[int32]kgo.Offset)
	for p, end := range ends[r.source.Topic] {
		start, ok := first.Lookup(r.source.Topic, p)
		if !ok {
			return 0, fmt.Errorf("partition %d has an end and no beginning", p)
		}
		if start.Offset < end.Offset {
			starts[p] = kgo.NoResetOffset().At(start.Offset)
			r.left[p] = end.Offset
		}
		partitions++
	}
	if partitions == 0 {
		return 0, errors.New("it has no partitions")
	}
	r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.source.Topic: starts})
	return partitions, nil
}

// take takes the next record of a partition.
func (r *reading) take(record *kgo.Record) error {
	end, ok := r.left[record.Partition]
	if !ok || record.Offset >= end {
		delete(r.left, record.Partition)
		return nil
	}
	if record.Offset == end-1 {
		delete(r.left, record.Partition)
	}
	if record.Attrs.IsControl() {
		return nil
	}
	users, err := usersOf(record, r.source.Prefix)
	if err != nil || len(users) == 0 && r.source.Prefix != "" {
		return err
	}
	message, err := wire.DecodeStored(record.Value)
	if err != nil {
		return err
	}
	r.records++
	return r.each(&event.Log{
		Partition: record.Partition, Offset: record.Offset, Time: record.Timestamp.UnixMilli(), Users: users, Message: message,
	})
}

func usersOf(record *kgo.Record, prefix string) ([]string, error) {
	for _, h := range record.Headers {
		if h.Key == usersHeader {
			return parseUsers(h.Value, prefix)
		}
	}
	return nil, errUsers
}
