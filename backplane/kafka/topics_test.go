package kafka_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestCreateAndVerify(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		ctx := context.Background()
		cfg := b.Config(t, 4)
		o := kafka.DefaultTopicOptions()
		o.Replicas, o.MinInsync = 1, 1
		if b.Name == "embedded" {
			o.Settings = map[string]*string{"unclean.leader.election.enable": nil}
		}
		if err := kafka.Create(ctx, cfg, o); !errors.Is(err, kafka.ErrTopicExists) {
			t.Errorf("creating it again: %v", err)
		}

		// One broker cannot be safe; each finding names the setting, its value and what
		// it must be.
		_, err := kafka.Verify(ctx, cfg, false)
		var unsafe *kafka.UnsafeError
		if !errors.As(err, &unsafe) {
			t.Fatalf("error %v, want that the topic is unsafe", err)
		}
		findings, err := kafka.Verify(ctx, cfg, true)
		if err != nil || len(findings) != len(unsafe.Findings) {
			t.Errorf("unsafe: %v and %v, want the findings of the error as warnings", findings, err)
		}
		want := map[string]string{"replication.factor": "1", "min.insync.replicas": "1"}
		if b.Name == "embedded" {
			want["unclean.leader.election.enable"] = "not known to the broker"
		}
		for _, f := range findings {
			value, ok := want[f.Setting]
			if !ok || value != f.Value || f.Want == "" || f.Why == "" {
				t.Errorf("finding %+v was not expected", f)
			}
			delete(want, f.Setting)
			if !strings.Contains(unsafe.Error(), f.String()) {
				t.Errorf("the error %q does not say %q", unsafe, f)
			}
		}
		if len(want) > 0 {
			t.Errorf("no finding for %v", want)
		}

		more := cfg
		more.Partitions = 5
		_, err = kafka.Verify(ctx, more, true)
		var partitions *kafka.PartitionsError
		if !errors.As(err, &partitions) || partitions.Have != 4 || partitions.Want != 5 {
			t.Errorf("error %v, want that 4 are not 5 partitions, unsafe or not", err)
		}
		missing := cfg
		missing.Generation++
		if _, err := kafka.Verify(ctx, missing, true); !errors.Is(err, kafka.ErrNoTopic) {
			t.Errorf("error %v for a topic that is not there", err)
		}
	})
}

// What Create makes by default on three brokers is what Verify asks for.
func TestDefaultsAreSafe(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := kafka.DefaultConfig()
	cfg.Brokers = cluster.ListenAddrs()
	cfg.Partitions = 8
	o := kafka.DefaultTopicOptions()
	o.Settings = map[string]*string{"unclean.leader.election.enable": nil} // this broker does not know it
	ctx := context.Background()
	if err := kafka.Create(ctx, cfg, o); err != nil {
		t.Fatal(err)
	}
	findings, err := kafka.Verify(ctx, cfg, true)
	if err != nil || len(findings) != 1 || findings[0].Setting != "unclean.leader.election.enable" {
		t.Errorf("findings %v and error %v, want only the setting that this broker does not know", findings, err)
	}
}

// TestCreateWaits has a broker that hears of a new topic later than the controller has
// answered, and than the other brokers know it. Whoever asks it after Create finds the topic.
func TestCreateWaits(t *testing.T) {
	for slow := range int32(3) {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		cfg := kafka.DefaultConfig()
		cfg.Brokers = cluster.ListenAddrs()
		cfg.Partitions = 2
		const late = 3
		var asked atomic.Int32 // that broker, for the topic
		cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			req := r.(*kmsg.MetadataRequest)
			if len(req.Topics) != 1 || cluster.CurrentNode() != slow || asked.Add(1) > late {
				return nil, nil, false
			}
			resp := req.ResponseKind().(*kmsg.MetadataResponse)
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.ErrorCode = req.Topics[0].Topic, kerr.UnknownTopicOrPartition.Code
			resp.Topics = append(resp.Topics, topic)
			return resp, nil, true
		})
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		o := kafka.DefaultTopicOptions()
		o.Settings = map[string]*string{"unclean.leader.election.enable": nil}
		if err := kafka.Create(ctx, cfg, o); err != nil {
			t.Fatal(err)
		}
		if got := asked.Load(); got <= late {
			t.Errorf("Create asked broker %d for the topic %d times, and it did not know it before it was asked %d times", slow, got, late+1)
		}
	}
}

func TestFindings(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	ctx := context.Background()
	for generation, test := range []struct{ setting, value string }{
		{"min.insync.replicas", "1"},
		{"message.timestamp.type", "CreateTime"},
		{"max.message.bytes", "500000"},
		{"cleanup.policy", "compact"},
		{"retention.ms", "1000"},
		{"retention.bytes", ""}, // not set
	} {
		cfg := kafka.DefaultConfig()
		cfg.Brokers = cluster.ListenAddrs()
		cfg.Partitions = 2
		cfg.Generation = uint32(generation + 1)
		o := kafka.DefaultTopicOptions()
		o.Settings = map[string]*string{"unclean.leader.election.enable": nil, test.setting: nil}
		if test.value != "" {
			o.Settings[test.setting] = new(test.value)
		}
		if err := kafka.Create(ctx, cfg, o); err != nil {
			t.Fatal(err)
		}
		findings, err := kafka.Verify(ctx, cfg, true)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range findings {
			found = found || f.Setting == test.setting
		}
		if !found || len(findings) != 2 {
			t.Errorf("findings %v, want one for %s", findings, test.setting)
		}
	}
}

func TestConfigValidation(t *testing.T) {
	good := kafka.DefaultConfig()
	good.Brokers = []string{"127.0.0.1:9092"}
	if err := good.Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	for name, test := range map[string]struct {
		change func(*kafka.Config)
		names  []string
	}{
		"no brokers":     {func(c *kafka.Config) { c.Brokers = nil }, []string{"Brokers"}},
		"namespace":      {func(c *kafka.Config) { c.Namespace = "a_b" }, []string{"Namespace"}},
		"generation":     {func(c *kafka.Config) { c.Generation = 0 }, []string{"Generation"}},
		"partitions":     {func(c *kafka.Config) { c.Partitions = 10_001 }, []string{"Partitions"}},
		"fetch":          {func(c *kafka.Config) { c.Consumer.FetchMaxBytes = 1000 }, []string{"FetchMaxBytes", "FetchMaxPartitionBytes"}},
		"linger":         {func(c *kafka.Config) { c.Producer.Linger = time.Second; c.Producer.AckTimeout = time.Second }, []string{"Linger", "AckTimeout"}},
		"compression":    {func(c *kafka.Config) { c.Producer.Compression = "gzip" }, []string{"Compression"}},
		"records":        {func(c *kafka.Config) { c.Producer.MaxRecords = 10 }, []string{"MaxRecords"}},
		"bytes":          {func(c *kafka.Config) { c.Producer.MaxBytes = 10 }, []string{"MaxBytes"}},
		"sasl mechanism": {func(c *kafka.Config) { c.SASL.User = "u" }, []string{"SASL.User", "SASL.Mechanism"}},
		"sasl password":  {func(c *kafka.Config) { c.SASL.Mechanism, c.SASL.User = "PLAIN", "u" }, []string{"SASL.Password"}},
		"sasl name":      {func(c *kafka.Config) { c.SASL.Mechanism = "GSSAPI" }, []string{"SASL.Mechanism"}},
	} {
		cfg := good
		test.change(&cfg)
		err := cfg.Validate()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, field := range test.names {
			if !strings.Contains(err.Error(), field) {
				t.Errorf("%s: the error %q does not name %s", name, err, field)
			}
		}
	}
}

// Only the produce request is looked at on a connection; the other requests of
// TLS and SASL pass as they are.
func TestSecureConnections(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			server, client := newTLS(t)
			cfg := kafka.DefaultConfig()
			cfg.Partitions = 2
			cluster, err := kfake.NewCluster(
				kfake.NumBrokers(1), kfake.SeedTopics(cfg.Partitions, cfg.Topic()),
				kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser(mechanism, "node", "secret"),
			)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			seen := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1})
			cfg.Brokers = cluster.ListenAddrs()
			cfg.TLS = client
			cfg.SASL = kafka.SASL{Mechanism: mechanism, User: "node", Password: "secret"}
			p := newProducer(t, cfg)
			j := newJournal()
			c := newConsumer(t, cfg, 1, j)
			add(t, c, 0, 0, 1)
			fill(t, p, 2, 0, 10, 0, 1)
			eventually(t, "the records", func() bool { return j.len() == 20 })
			if seen.Hits() == 0 {
				t.Error("the records came another way")
			}
			if text := (cfg.SASL.String() + cfg.SASL.GoString()); strings.Contains(text, "secret") {
				t.Errorf("printing the configuration tells the password: %s", text)
			}
		})
	}
}
