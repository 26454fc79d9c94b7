package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrTopicExists is the error of Create and CreateTopic for a topic that is there.
var ErrTopicExists = errors.New("kafka: the topic exists")

// ErrNoTopic is the error of Verify and DescribeTopic for a topic that is not there.
var ErrNoTopic = errors.New("kafka: the topic does not exist")

// The settings of topics that godwit sets, and Verify looks at.
const (
	settingMinInsync     = "min.insync.replicas"
	settingUnclean       = "unclean.leader.election.enable"
	settingTimestamps    = "message.timestamp.type"
	settingMessageBytes  = "max.message.bytes"
	settingCleanup       = "cleanup.policy"
	settingRetentionMs   = "retention.ms"
	settingRetentionSize = "retention.bytes"
)

// TopicOptions says how Create makes the messages topic.
type TopicOptions struct {
	// Replicas is how many brokers hold each partition.
	Replicas int16
	// MinInsync is how many of them must have a record before it is acknowledged.
	MinInsync int
	// Retention is how long records are kept at least; negative for ever. History
	// must have read them by then.
	Retention time.Duration
	// RetentionBytes bounds each partition; negative for no bound. When it is
	// reached, records go before their time.
	RetentionBytes int64
	// Settings are set as well, over what the fields above mean; a nil value leaves
	// a setting out, for a broker that does not know it.
	Settings map[string]*string
}

// DefaultTopicOptions returns what a cluster should have: three replicas, two of
// which must have a record before it is acknowledged, so that any one broker can
// be lost; and a week of records.
func DefaultTopicOptions() TopicOptions {
	return TopicOptions{
		Replicas:       3,
		MinInsync:      2,
		Retention:      7 * 24 * time.Hour,
		RetentionBytes: -1,
	}
}

// settings returns the settings of the topic.
func (o *TopicOptions) settings() map[string]*string {
	retention := int64(-1)
	if o.Retention >= 0 {
		retention = o.Retention.Milliseconds()
	}
	m := map[string]*string{
		settingMinInsync: new(strconv.Itoa(o.MinInsync)),
		// A leader that did not have all records would make acknowledged ones vanish.
		settingUnclean: new("false"),
		// One clock for all records of a partition: the window for duplicates and the
		// rewind of readers are measured in log time.
		settingTimestamps:    new("LogAppendTime"),
		settingMessageBytes:  new(strconv.Itoa(topicMessageBytes)),
		settingCleanup:       new("delete"),
		settingRetentionMs:   new(strconv.FormatInt(retention, 10)),
		settingRetentionSize: new(strconv.FormatInt(o.RetentionBytes, 10)),
	}
	maps.Copy(m, o.Settings)
	maps.DeleteFunc(m, func(_ string, v *string) bool { return v == nil })
	return m
}

// Create makes the messages topic of cfg, and returns when the brokers tell of it.
// The error is ErrTopicExists if it is there; Verify then tells whether it is as it
// should be.
func Create(ctx context.Context, cfg Config, o TopicOptions) error {
	return CreateTopic(ctx, cfg, cfg.Topic(), cfg.Partitions, o.Replicas, o.settings())
}

// CreateTopic makes any topic on the brokers of cfg, and returns when they tell of it.
// The error is ErrTopicExists if it is there.
func CreateTopic(ctx context.Context, cfg Config, topic string, partitions int32, replicas int16, settings map[string]*string) error {
	client, err := newClient(&cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	resp, err := kadm.NewClient(client).CreateTopic(ctx, partitions, replicas, settings, topic)
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("%w: %s", ErrTopicExists, topic)
	case err != nil && resp.ErrMessage != "":
		return fmt.Errorf("kafka: creating %s: %w: %s", topic, err, resp.ErrMessage)
	case err != nil:
		return fmt.Errorf("kafka: creating %s: %w", topic, err)
	}
	return awaitTopic(ctx, client, topic)
}

// awaitTopic waits until every broker knows a topic that was just made. The controller
// answers when it has decided, and each broker hears of that a moment later by itself:
// whoever asked one of them in between would be told that there is no such topic.
func awaitTopic(ctx context.Context, client *kgo.Client, topic string) error {
	for {
		err := allKnow(ctx, client, topic)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(topicPause):
		case <-ctx.Done():
			return fmt.Errorf("kafka: %s was made, and is not known yet: %w", topic, errors.Join(ctx.Err(), err))
		}
	}
}

// allKnow asks each of the brokers that there are for a topic, and returns the error of the
// first that does not know it.
func allKnow(ctx context.Context, client *kgo.Client, topic string) error {
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return err
	}
	for _, b := range brokers {
		request := kmsg.NewPtrMetadataRequest()
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic = &topic
		request.Topics = append(request.Topics, asked)
		answer, err := client.Broker(int(b.NodeID)).Request(ctx, request)
		if err != nil {
			return err
		}
		for _, t := range answer.(*kmsg.MetadataResponse).Topics {
			if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
				return fmt.Errorf("broker %d: %w", b.NodeID, err)
			}
		}
	}
	return nil
}

// newAdmin returns an administrative client, which the caller closes.
func newAdmin(cfg *Config) (*kadm.Client, error) {
	client, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(client), nil
}

// newClient returns a client that has nothing to do yet, which the caller closes.
func newClient(cfg *Config) (*kgo.Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(cfg.clientOptions(nil)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: making an administrative client: %w", err)
	}
	return client, nil
}
