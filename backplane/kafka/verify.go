package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Finding is a setting of the messages topic that is less safe than godwit
// needs.
type Finding struct {
	Setting string // the setting's name in Kafka
	Value   string // what it is
	Want    string // what is required
	Why     string // what can happen otherwise
}

func (f Finding) String() string {
	return fmt.Sprintf("%s is %s, but must be %s: %s", f.Setting, f.Value, f.Want, f.Why)
}

// PartitionsError is the error of a topic that does not have N partitions: a
// node that served it would look for users where they are not.
type PartitionsError struct {
	Topic      string
	Have, Want int
}

func (e *PartitionsError) Error() string {
	return fmt.Sprintf("kafka: %s has %d partitions, but the configuration says %d", e.Topic, e.Have, e.Want)
}

// UnsafeError is the error of a topic that can lose what was acknowledged.
type UnsafeError struct {
	Topic    string
	Findings []Finding
}

func (e *UnsafeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka: %s is not safe", e.Topic)
	for _, f := range e.Findings {
		b.WriteString("; ")
		b.WriteString(f.String())
	}
	return b.String()
}

// minRetention is the least time that records must be kept: readers rewind by
// backplane.Rewind, and history needs time to catch up after an outage.
const minRetention = time.Hour

// Verify checks that the messages topic of cfg has N partitions and settings that
// keep every acknowledged record. It returns ErrNoTopic, a *PartitionsError or an
// *UnsafeError. With unsafe the settings are no error: what is wrong with them is
// returned for a warning.
func Verify(ctx context.Context, cfg Config, unsafe bool) ([]Finding, error) {
	admin, err := newAdmin(&cfg)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	topic := cfg.Topic()
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
	case len(detail.Partitions) != int(cfg.Partitions):
		return nil, &PartitionsError{Topic: topic, Have: len(detail.Partitions), Want: int(cfg.Partitions)}
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
	replicas := math.MaxInt
	for _, p := range detail.Partitions {
		replicas = min(replicas, len(p.Replicas))
	}
	findings := inspect(replicas, config.Configs)
	if len(findings) > 0 && !unsafe {
		return nil, &UnsafeError{Topic: topic, Findings: findings}
	}
	return findings, nil
}

// inspect returns what is not safe in a topic with these settings, whose
// partitions have at least so many replicas.
func inspect(replicas int, configs []kadm.Config) []Finding {
	settings := make(map[string]kadm.Config, len(configs))
	for _, c := range configs {
		settings[c.Key] = c
	}
	var findings []Finding
	require := func(ok bool, name, value, want, why string) {
		if !ok {
			findings = append(findings, Finding{name, value, want, why})
		}
	}
	text := func(name string) string {
		c, ok := settings[name]
		if !ok {
			return "not known to the broker"
		}
		return c.MaybeValue()
	}
	number := func(name string) int64 {
		c := settings[name]
		n, err := strconv.ParseInt(c.MaybeValue(), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	explicit := func(name string) bool { return settings[name].Source == kmsg.ConfigSourceDynamicTopicConfig }

	require(replicas >= 3, "replication.factor", strconv.Itoa(replicas), "at least 3",
		"with fewer, losing a broker stops partitions or loses records")
	require(number(settingMinInsync) >= 2, settingMinInsync, text(settingMinInsync), "at least 2",
		"a record that one broker has is acknowledged, and lost with that broker")
	require(text(settingUnclean) == "false", settingUnclean, text(settingUnclean), "false",
		"a broker that lacks acknowledged records can become the leader")
	require(text(settingTimestamps) == "LogAppendTime", settingTimestamps, text(settingTimestamps), "LogAppendTime",
		"readers measure the window for duplicates in log time, and nodes' clocks differ")
	require(number(settingMessageBytes) >= topicMessageBytes, settingMessageBytes, text(settingMessageBytes), "at least "+strconv.Itoa(topicMessageBytes),
		"the producer's batches are refused")
	require(text(settingCleanup) == "delete", settingCleanup, text(settingCleanup), "delete",
		"compaction removes messages")
	retention := number(settingRetentionMs)
	require(retention == -1 || retention >= minRetention.Milliseconds(), settingRetentionMs, text(settingRetentionMs),
		fmt.Sprintf("-1 or at least %d", minRetention.Milliseconds()),
		fmt.Sprintf("readers rewind %v, and history must have read what is deleted", backplane.Rewind))
	for _, name := range []string{settingRetentionMs, settingRetentionSize} {
		require(explicit(name), name, text(name)+" by the broker's default", "set for the topic",
			"a change of the broker's default would delete messages")
	}
	return findings
}
