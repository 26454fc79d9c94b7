package kafkatest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/embedded"
	"github.com/godwit-im/godwit/backplane/kafka"
	"go.uber.org/goleak"
)

const (
	// brokersVariable names Apache Kafka that runs already.
	brokersVariable = "GODWIT_KAFKA_BROKERS"
	// requireVariable, if 1, makes a test fail that has no Apache Kafka.
	requireVariable = "GODWIT_REQUIRE_SERVICES"

	createTimeout = 30 * time.Second
)

// Main runs a package's tests, stops what they started, and ends the process. The
// tests have failed if a goroutine is left.
func Main(m *testing.M) {
	code := m.Run()
	Stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "kafkatest:", err)
		code = 1
	}
	os.Exit(code)
}

// Stop stops what the tests of a process share. It is for a TestMain that does without
// Main.
func Stop() { shared.stop() }

// Backend is a kind of broker.
type Backend struct {
	// Name is "embedded" or "kafka".
	Name string
	// LogAppendTime is whether the broker stamps records; the embedded one leaves the
	// producer's time.
	LogAppendTime bool

	config func(t testing.TB, cfg *kafka.Config)
}

// Each runs f as a subtest for each kind of broker.
func Each(t *testing.T, f func(t *testing.T, b Backend)) {
	t.Helper()
	for _, b := range []Backend{
		{Name: "embedded", config: useEmbedded},
		{Name: "kafka", LogAppendTime: true, config: useReal},
	} {
		t.Run(b.Name, func(t *testing.T) { f(t, b) })
	}
}

// Config returns the configuration of a new messages topic with so many
// partitions, on a broker that serves until the test ends.
func (b Backend) Config(t testing.TB, partitions int32) kafka.Config {
	t.Helper()
	cfg := newConfig(t, partitions)
	b.config(t, &cfg)
	return cfg
}

// Embedded returns the configuration of a new messages topic on an embedded broker
// that serves until the test ends.
func Embedded(t testing.TB, partitions int32) kafka.Config {
	t.Helper()
	return Backend{config: useEmbedded}.Config(t, partitions)
}

// Real returns the configuration of a new messages topic on the Apache Kafka that the
// tests of a process share.
func Real(t testing.TB, partitions int32) kafka.Config {
	t.Helper()
	return Backend{config: useReal}.Config(t, partitions)
}

// Create makes the messages topic of cfg on a broker that has no others to
// replicate to.
func Create(t testing.TB, cfg kafka.Config) {
	t.Helper()
	o := kafka.DefaultTopicOptions()
	o.Replicas, o.MinInsync = 1, 1
	create(t, cfg, o)
}

func create(t testing.TB, cfg kafka.Config, o kafka.TopicOptions) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	if err := kafka.Create(ctx, cfg, o); err != nil {
		t.Fatal(err)
	}
}

func newConfig(t testing.TB, partitions int32) kafka.Config {
	cfg := kafka.DefaultConfig()
	cfg.Namespace = "test-" + strings.ToLower(rand.Text()[:12])
	cfg.Partitions = partitions
	cfg.ClientID = t.Name()
	return cfg
}

func useEmbedded(t testing.TB, cfg *kafka.Config) {
	t.Helper()
	e := embedded.DefaultConfig()
	e.Namespace, e.Generation, e.Partitions = cfg.Namespace, cfg.Generation, cfg.Partitions
	b, err := embedded.Start(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	cfg.Brokers = []string{b.Addr()}
}

func useReal(t testing.TB, cfg *kafka.Config) {
	t.Helper()
	cfg.Brokers = shared.brokers(t)
	Create(t, *cfg)
}
