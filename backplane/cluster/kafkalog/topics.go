package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/godwit-im/godwit/backplane/kafka"
)

// ClusterTopic returns the name of the topic that holds the records of the cluster.
func ClusterTopic(namespace string) string { return namespace + ".cluster" }

// HeartbeatsTopic returns the name of the topic of the nodes' beats.
func HeartbeatsTopic(namespace string) string { return namespace + ".heartbeats" }

// TransactionalID returns the id that whoever holds is the controller.
func TransactionalID(namespace string) string { return namespace + ".controller" }

// The settings of topics that matter here.
const (
	settingMinInsync    = "min.insync.replicas"
	settingUnclean      = "unclean.leader.election.enable"
	settingTimestamps   = "message.timestamp.type"
	settingMessageBytes = "max.message.bytes"
	settingCleanup      = "cleanup.policy"
	settingTombstones   = "delete.retention.ms"
	settingRetentionMs  = "retention.ms"
)

const (
	// beatsKept is for how long beats are kept, to look at; nodes read only new ones.
	beatsKept = 10 * time.Minute
	// minBeatsKept is the least of that: a node that was not served for a while should
	// still find the beats that it missed.
	minBeatsKept = time.Minute
)

// TopicOptions says how Create makes the topics.
type TopicOptions struct {
	// Replicas is how many brokers hold each topic.
	Replicas int16
	// MinInsync is how many of them must have a record of the cluster topic before it
	// is acknowledged. Beats are acknowledged by one.
	MinInsync int
	// Settings are set as well, for both; a nil value leaves a setting out, for a
	// broker that does not know it.
	Settings map[string]*string
}

// DefaultTopicOptions returns what a cluster should have: three replicas, two of which
// must have a record before it is acknowledged, so that any one broker can be lost.
func DefaultTopicOptions() TopicOptions { return TopicOptions{Replicas: 3, MinInsync: 2} }

// clusterSettings returns the settings of the cluster topic. It is compacted soon and
// in small pieces, since every node that starts reads all of it.
func (o *TopicOptions) clusterSettings() map[string]*string {
	return o.with(map[string]string{
		settingCleanup:              "compact",
		settingMinInsync:            strconv.Itoa(o.MinInsync),
		settingUnclean:              "false",
		settingTombstones:           millis(tombstoneAge),
		"segment.bytes":             strconv.Itoa(4 << 20),
		"segment.ms":                millis(time.Hour),
		"min.cleanable.dirty.ratio": "0.1",
		"max.compaction.lag.ms":     millis(24 * time.Hour),
		settingRetentionMs:          "-1",
		"retention.bytes":           "-1",
	})
}

// heartbeatSettings returns the settings of the heartbeats topic. A beat that is lost
// does no harm and one that cannot be written does, so whichever replica is left may
// lead, and one is enough.
func (o *TopicOptions) heartbeatSettings() map[string]*string {
	return o.with(map[string]string{
		settingCleanup:     "delete",
		settingMinInsync:   "1",
		settingUnclean:     "true",
		"segment.bytes":    strconv.Itoa(8 << 20),
		"segment.ms":       millis(5 * time.Minute),
		settingRetentionMs: millis(beatsKept),
		"retention.bytes":  strconv.Itoa(64 << 20),
	})
}

// with adds what both topics have, and o.Settings.
func (o *TopicOptions) with(settings map[string]string) map[string]*string {
	m := map[string]*string{
		// One clock for the order of what nodes do: suspicion is measured in log time.
		settingTimestamps:   new("LogAppendTime"),
		settingMessageBytes: new(strconv.Itoa(topicMessageBytes)),
	}
	for name, value := range settings {
		m[name] = new(value)
	}
	maps.Copy(m, o.Settings)
	maps.DeleteFunc(m, func(_ string, v *string) bool { return v == nil })
	return m
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Create makes the topics of cfg's namespace that are not there, and returns when the
// brokers tell of them: made has the names of those that it made. It leaves a topic
// that is there as it is; Verify tells whether that is as it should be. Both give up
// after 30 s, or when ctx ends.
func Create(ctx context.Context, cfg kafka.Config, o TopicOptions) (made []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	for _, topic := range []struct {
		name     string
		settings map[string]*string
	}{
		{ClusterTopic(cfg.Namespace), o.clusterSettings()},
		{HeartbeatsTopic(cfg.Namespace), o.heartbeatSettings()},
	} {
		err := kafka.CreateTopic(ctx, cfg, topic.name, 1, o.Replicas, topic.settings)
		if errors.Is(err, kafka.ErrTopicExists) {
			continue
		}
		if err != nil {
			return made, err
		}
		made = append(made, topic.name)
	}
	return made, nil
}

// Finding is what is not as it should be with one of the topics.
type Finding struct {
	Topic string
	kafka.Finding
}

// Verify checks the topics of cfg's namespace. It returns kafka.ErrNoTopic, a
// *kafka.PartitionsError, or a *kafka.UnsafeError for the first topic that is not as it
// should be. With unsafe, what is wrong with the settings is no error, and is returned
// for a warning; but the cluster topic must be compacted in any case.
func Verify(ctx context.Context, cfg kafka.Config, unsafe bool) ([]Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	var all []Finding
	for _, topic := range []struct {
		name    string
		inspect func(*kafka.TopicState) kafka.Findings
		fatal   string // the setting that even unsafe does not excuse
	}{
		{ClusterTopic(cfg.Namespace), inspectCluster, settingCleanup},
		{HeartbeatsTopic(cfg.Namespace), inspectHeartbeats, ""},
	} {
		state, err := kafka.DescribeTopic(ctx, cfg, topic.name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("kafkalog: %w", err)
		case state.Partitions != 1:
			return nil, &kafka.PartitionsError{Topic: topic.name, Have: state.Partitions, Want: 1}
		}
		findings := topic.inspect(state)
		for _, f := range findings {
			if !unsafe || f.Setting == topic.fatal {
				return nil, &kafka.UnsafeError{Topic: topic.name, Findings: findings}
			}
			all = append(all, Finding{Topic: topic.name, Finding: f})
		}
	}
	return all, nil
}

// inspectCluster returns what is not safe in the cluster topic.
func inspectCluster(s *kafka.TopicState) kafka.Findings {
	var f kafka.Findings
	f.Require(s.Replicas >= 3, "replication.factor", strconv.Itoa(s.Replicas), "at least 3",
		"with fewer, losing a broker stops or loses the control of the cluster")
	f.Require(s.Text(settingCleanup) == "compact", settingCleanup, s.Text(settingCleanup), "compact",
		"settings and assignments that are in force would be deleted with time")
	f.Require(s.Number(settingMinInsync) >= 2, settingMinInsync, s.Text(settingMinInsync), "at least 2",
		"a decision that one broker has is acknowledged, and lost with that broker")
	f.Require(s.Text(settingUnclean) == "false", settingUnclean, s.Text(settingUnclean), "false",
		"a broker that lacks decisions can become the leader")
	f.Require(s.Number(settingTombstones) >= tombstoneAge.Milliseconds(), settingTombstones, s.Text(settingTombstones), "at least "+millis(tombstoneAge),
		"a node that was cut off could miss that something was deleted")
	inspectBoth(&f, s)
	return f
}

// inspectHeartbeats returns what is not safe in the heartbeats topic.
func inspectHeartbeats(s *kafka.TopicState) kafka.Findings {
	var f kafka.Findings
	f.Require(s.Replicas >= 3, "replication.factor", strconv.Itoa(s.Replicas), "at least 3",
		"with fewer, losing a broker can stop all beats")
	f.Require(s.Text(settingCleanup) == "delete", settingCleanup, s.Text(settingCleanup), "delete",
		"compaction keeps what is of no use")
	retention := s.Number(settingRetentionMs)
	f.Require(s.Explicit(settingRetentionMs) && retention >= minBeatsKept.Milliseconds(), settingRetentionMs, s.Text(settingRetentionMs),
		"set for the topic, and at least "+millis(minBeatsKept),
		"each node beats twice a second, and beats must be there until they were read")
	inspectBoth(&f, s)
	return f
}

func inspectBoth(f *kafka.Findings, s *kafka.TopicState) {
	f.Require(s.Text(settingTimestamps) == "LogAppendTime", settingTimestamps, s.Text(settingTimestamps), "LogAppendTime",
		"suspicion is measured in log time, and nodes' clocks differ")
	f.Require(s.Number(settingMessageBytes) >= topicMessageBytes, settingMessageBytes, s.Text(settingMessageBytes), "at least "+strconv.Itoa(topicMessageBytes),
		"large decisions are refused")
}
