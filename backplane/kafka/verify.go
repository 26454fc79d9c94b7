package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// Finding is a setting of a topic that is less safe than godwit needs.
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
	topic := cfg.Topic()
	state, err := DescribeTopic(ctx, cfg, topic)
	switch {
	case err != nil:
		return nil, err
	case state.Partitions != int(cfg.Partitions):
		return nil, &PartitionsError{Topic: topic, Have: state.Partitions, Want: int(cfg.Partitions)}
	}
	findings := inspect(state)
	if len(findings) > 0 && !unsafe {
		return nil, &UnsafeError{Topic: topic, Findings: findings}
	}
	return findings, nil
}

// inspect returns what is not safe in a topic of messages.
func inspect(s *TopicState) []Finding {
	var f Findings
	f.Require(s.Replicas >= 3, "replication.factor", strconv.Itoa(s.Replicas), "at least 3",
		"with fewer, losing a broker stops partitions or loses records")
	f.Require(s.Number(settingMinInsync) >= 2, settingMinInsync, s.Text(settingMinInsync), "at least 2",
		"a record that one broker has is acknowledged, and lost with that broker")
	f.Require(s.Text(settingUnclean) == "false", settingUnclean, s.Text(settingUnclean), "false",
		"a broker that lacks acknowledged records can become the leader")
	f.Require(s.Text(settingTimestamps) == "LogAppendTime", settingTimestamps, s.Text(settingTimestamps), "LogAppendTime",
		"readers measure the window for duplicates in log time, and nodes' clocks differ")
	f.Require(s.Number(settingMessageBytes) >= topicMessageBytes, settingMessageBytes, s.Text(settingMessageBytes), "at least "+strconv.Itoa(topicMessageBytes),
		"the producer's batches are refused")
	f.Require(s.Text(settingCleanup) == "delete", settingCleanup, s.Text(settingCleanup), "delete",
		"compaction removes messages")
	retention := s.Number(settingRetentionMs)
	f.Require(retention == -1 || retention >= minRetention.Milliseconds(), settingRetentionMs, s.Text(settingRetentionMs),
		fmt.Sprintf("-1 or at least %d", minRetention.Milliseconds()),
		fmt.Sprintf("readers rewind %v, and history must have read what is deleted", backplane.Rewind))
	for _, name := range []string{settingRetentionMs, settingRetentionSize} {
		f.Require(s.Explicit(name), name, s.Text(name)+" by the broker's default", "set for the topic",
			"a change of the broker's default would delete messages")
	}
	return f
}
