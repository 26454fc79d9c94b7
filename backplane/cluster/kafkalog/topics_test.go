package kafkalog_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestCreateAndVerify(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		cfg.Namespace += "-other" // the embedded broker has made those of its own
		if _, err := kafkalog.Verify(t.Context(), cfg, true); !errors.Is(err, kafka.ErrNoTopic) {
			t.Errorf("error %v for topics that are not there", err)
		}
		o := kafkalog.TopicOptions{Replicas: 1, MinInsync: 1}
		if b.Name == "embedded" {
			o.Settings = map[string]*string{"unclean.leader.election.enable": nil}
		}
		all := []string{cfg.Namespace + ".cluster", cfg.Namespace + ".heartbeats"}
		if made, err := kafkalog.Create(t.Context(), cfg, o); err != nil || !slices.Equal(made, all) {
			t.Fatalf("it made %v, %v", made, err)
		}
		if made, err := kafkalog.Create(t.Context(), cfg, o); err != nil || len(made) > 0 {
			t.Errorf("the second time it made %v, %v", made, err)
		}
		deleteTopic(t, cfg, all[1])
		eventually(t, "what is missing is made", func() bool {
			made, err := kafkalog.Create(t.Context(), cfg, o)
			return err == nil && slices.Equal(made, all[1:])
		})

		// One broker cannot be safe; each finding names the topic, the setting, its value
		// and what it must be.
		_, err := kafkalog.Verify(t.Context(), cfg, false)
		var unsafe *kafka.UnsafeError
		if !errors.As(err, &unsafe) || unsafe.Topic != all[0] {
			t.Fatalf("error %v, want that the topic is unsafe", err)
		}
		findings, err := kafkalog.Verify(t.Context(), cfg, true)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{all[0] + " replication.factor 1", all[0] + " min.insync.replicas 1"}
		if b.Name == "embedded" {
			want = append(want, all[0]+" unclean.leader.election.enable not known to the broker")
		}
		want = append(want, all[1]+" replication.factor 1")
		var got []string
		for _, f := range findings {
			got = append(got, f.Topic+" "+f.Setting+" "+f.Value)
			if f.Want == "" || f.Why == "" {
				t.Errorf("%+v does not say why", f)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("findings %v, want %v", got, want)
		}

		// What deletes records in force is not excused.
		alter(t, cfg, all[0], "cleanup.policy", "delete")
		_, err = kafkalog.Verify(t.Context(), cfg, true)
		if !errors.As(err, &unsafe) || !strings.Contains(err.Error(), "cleanup.policy") {
			t.Errorf("error %v for a cluster topic that is not compacted", err)
		}
	})
}

// alter changes a setting of a topic and waits until brokers tell of it.
func alter(t *testing.T, cfg kafka.Config, topic, name, value string) {
	t.Helper()
	answers, err := newAdmin(t, cfg).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	eventually(t, "the setting is changed", func() bool {
		state, err := kafka.DescribeTopic(t.Context(), cfg, topic)
		return err == nil && state.Text(name) == value
	})
}

// Each setting that matters is looked at.
func TestVerifyLooksAtEverything(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := kafka.DefaultConfig()
	cfg.Brokers = cluster.ListenAddrs()
	o := kafkalog.DefaultTopicOptions()
	o.Settings = map[string]*string{"unclean.leader.election.enable": nil} // kfake does not know it
	if _, err := kafkalog.Create(t.Context(), cfg, o); err != nil {
		t.Fatal(err)
	}
	settings := func() []string {
		t.Helper()
		findings, err := kafkalog.Verify(t.Context(), cfg, true)
		if err != nil {
			return []string{err.Error()}
		}
		var names []string
		for _, f := range findings {
			if f.Setting != "unclean.leader.election.enable" {
				names = append(names, f.Setting)
			}
		}
		return names
	}
	if got := settings(); len(got) > 0 {
		t.Errorf("the defaults have findings: %v", got)
	}
	for _, test := range []struct{ topic, name, good, bad string }{
		{"cluster", "min.insync.replicas", "2", "1"},
		{"cluster", "delete.retention.ms", "86400000", "1000"},
		{"cluster", "message.timestamp.type", "LogAppendTime", "CreateTime"},
		{"cluster", "max.message.bytes", "1048588", "1000"},
		{"heartbeats", "cleanup.policy", "delete", "compact"},
		{"heartbeats", "retention.ms", "600000", "1000"},
		{"heartbeats", "message.timestamp.type", "LogAppendTime", "CreateTime"},
		{"heartbeats", "max.message.bytes", "1048588", "1000"},
	} {
		topic := cfg.Namespace + "." + test.topic
		alter(t, cfg, topic, test.name, test.bad)
		if got := settings(); !slices.Equal(got, []string{test.name}) {
			t.Errorf("with %s=%s for %s the findings are %v", test.name, test.bad, topic, got)
		}
		alter(t, cfg, topic, test.name, test.good)
	}

	if err := cluster.CreateTopic("more.cluster", 2, nil); err != nil {
		t.Fatal(err)
	}
	cfg.Namespace = "more"
	var partitions *kafka.PartitionsError
	if _, err := kafkalog.Verify(t.Context(), cfg, true); !errors.As(err, &partitions) || partitions.Have != 2 || partitions.Want != 1 {
		t.Errorf("error %v for a topic of two partitions", err)
	}
}
