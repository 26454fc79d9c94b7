package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/bench/peers/control"
)

// The settings that backplane/kafka has as constants, from its limits.go and
// client.go; the others are taken from its DefaultConfig.
const (
	maxBatch       = 1_000_012
	minMetadataAge = 500 * time.Millisecond
	clientSlack    = 1024
)

// commonOptions are those of both clients: kafka.Config.clientOptions.
func commonOptions(brokers []string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("godwit-peers"),
		kgo.MetadataMinAge(minMetadataAge),
		kgo.DisableClientMetrics(),
	}
}

// newProducerClient returns a client with the options of
// kafka.Config.producerOptions.
func newProducerClient(k control.Kafka) (*kgo.Client, error) {
	p := kafka.DefaultConfig().Producer
	attempt := max(p.AckTimeout/8, 250*time.Millisecond)
	return kgo.NewClient(append(commonOptions(k.Brokers),
		kgo.DefaultProduceTopic(k.Topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(p.Linger),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.MaxBufferedRecords(p.MaxRecords+clientSlack),
		kgo.MaxBufferedBytes(int(p.MaxBytes)),
		kgo.ProduceRequestTimeout(attempt),
		kgo.RequestTimeoutOverhead(attempt),
		kgo.RecordDeliveryTimeout(p.AckTimeout),
		kgo.AllowIdempotentProduceCancellation(),
	)...)
}

// newConsumerClient returns a client with the options of kafka.NewConsumer.
func newConsumerClient(k control.Kafka) (*kgo.Client, error) {
	c := kafka.DefaultConfig().Consumer
	return kgo.NewClient(append(commonOptions(k.Brokers),
		kgo.FetchMaxWait(c.FetchMaxWait),
		kgo.FetchMaxBytes(c.FetchMaxBytes),
		kgo.FetchMaxPartitionBytes(c.FetchMaxPartitionBytes),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)...)
}

// pollRecords is how many records a poll takes at most.
func pollRecords() int { return kafka.DefaultConfig().Consumer.PollRecords }

// assign has the client read all partitions of the topic from their ends. It makes
// the topic if it is not there, with the broker's own number of replicas.
func assign(ctx context.Context, client *kgo.Client, k control.Kafka) error {
	admin := kadm.NewClient(client)
	settings := map[string]*string{"message.timestamp.type": new("LogAppendTime")}
	if _, err := admin.CreateTopic(ctx, k.Partitions, -1, settings, k.Topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("making topic %s: %w", k.Topic, err)
	}
	ends, err := endOffsets(ctx, admin, k)
	if err != nil {
		return err
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{k.Topic: ends})
	return nil
}

// endOffsets returns where each partition ends. A topic that was just made has no
// leaders for a moment.
func endOffsets(ctx context.Context, admin *kadm.Client, k control.Kafka) (map[int32]kgo.Offset, error) {
	var offsets map[int32]kgo.Offset
	var failed error
	err := await(ctx, func() (bool, int64) {
		listed, err := admin.ListEndOffsets(ctx, k.Topic)
		if failed = errors.Join(err, listed.Error()); failed != nil {
			return false, 0
		}
		offsets = make(map[int32]kgo.Offset)
		listed.Each(func(o kadm.ListedOffset) {
			offsets[o.Partition] = kgo.NewOffset().At(o.Offset)
		})
		return true, 0
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("listing the offsets of %s: %w", k.Topic, errors.Join(err, failed))
	case len(offsets) != int(k.Partitions):
		return nil, fmt.Errorf("topic %s has %d partitions, not %d", k.Topic, len(offsets), k.Partitions)
	}
	return offsets, nil
}

// user is someone who sends and receives.
type user struct {
	partition int32
	header    []byte // the value of backplane.HeaderRecipients for this user alone
}

// users is how many users there are: enough that every partition of 1,024 has some.
const users = 16_384

func makeUsers(partitions int32) []user {
	all := make([]user, users)
	for i := range all {
		id := fmt.Appendf(nil, "user-%06d", i)
		all[i] = user{int32(backplane.PartitionOf(id, partitions)), backplane.AppendRecipient(nil, id)}
	}
	return all
}

// pair returns a sender and a recipient, in different partitions if apart says so.
// Of all partitions at least two have users.
func pair(all []user, apart bool) (sender, recipient *user) {
	sender, recipient = &all[rand.IntN(len(all))], &all[rand.IntN(len(all))]
	for apart && sender.partition == recipient.partition {
		recipient = &all[rand.IntN(len(all))]
	}
	return sender, recipient
}
