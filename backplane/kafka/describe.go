package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicState is what the brokers say of a topic.
type TopicState struct {
	Partitions int
	// Replicas is how many brokers hold the partition that the fewest hold.
	Replicas int

	settings map[string]kadm.Config
}

// DescribeTopic asks the brokers of cfg for a topic. The error is ErrNoTopic if it is
// not there.
func DescribeTopic(ctx context.Context, cfg Config, topic string) (*TopicState, error) {
	admin, err := newAdmin(&cfg)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("kafka: asking for %s: %w", topic, err)
	}
	detail, ok := topics[topic]
	switch {
	case !ok || errors.Is(detail.Err, kerr.UnknownTopicOrPartition):
		return nil, fmt.Errorf("%w: %s", ErrNoTopic, topic)
	case detail.Err != nil:
		return nil, fmt.Errorf("kafka: asking for %s: %w", topic, detail.Err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("kafka: asking for the settings of %s: %w", topic, err)
	}
	config, err := configs.On(topic, nil)
	if err == nil {
		err = config.Err
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: asking for the settings of %s: %w", topic, err)
	}
	s := &TopicState{
		Partitions: len(detail.Partitions),
		Replicas:   math.MaxInt,
		settings:   make(map[string]kadm.Config, len(config.Configs)),
	}
	for _, p := range detail.Partitions {
		s.Replicas = min(s.Replicas, len(p.Replicas))
	}
	for _, c := range config.Configs {
		s.settings[c.Key] = c
	}
	return s, nil
}

// Text returns the value of a setting, or a remark that the broker does not know it.
func (s *TopicState) Text(setting string) string {
	c, ok := s.settings[setting]
	if !ok {
		return "not known to the broker"
	}
	return c.MaybeValue()
}

// Number returns the value of a setting that is a number, 0 if it is none.
func (s *TopicState) Number(setting string) int64 {
	c := s.settings[setting]
	n, err := strconv.ParseInt(c.MaybeValue(), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Explicit reports whether a setting is set for the topic, and not by a default.
func (s *TopicState) Explicit(setting string) bool {
	return s.settings[setting].Source == kmsg.ConfigSourceDynamicTopicConfig
}

// Findings collects what is not as it should be.
type Findings []Finding

// Require adds a Finding unless ok.
func (f *Findings) Require(ok bool, setting, value, want, why string) {
	if !ok {
		*f = append(*f, Finding{setting, value, want, why})
	}
}
