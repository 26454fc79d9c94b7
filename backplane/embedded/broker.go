package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/twmb/franz-go/pkg/kfake"
)

const (
	// cleanEvery is how often the broker applies retention, in milliseconds. Its own
	// default is an hour.
	cleanEvery = 60_000

	// segmentBytes is the size at which a partition begins a new file. Files are
	// deleted whole, so retention is exact to one of them for each partition.
	segmentBytes = 16 << 20

	// startTimeout bounds the time to make or look at the topics.
	startTimeout = 30 * time.Second
)

// Config says what to start. Begin with DefaultConfig.
type Config struct {
	// DataDir is the folder that keeps everything; it is made if it is not there.
	// Empty keeps everything in memory.
	DataDir string
	// SyncWrites makes every write wait for the disk.
	SyncWrites bool
	// Port is where the broker listens on 127.0.0.1; 0 means a free port.
	Port int

	// Namespace, Generation and Partitions are those of kafka.Config: the broker makes
	// that messages topic if it is not there, and the two topics of a cluster.
	Namespace  string
	Generation uint32
	Partitions int32
	// Retention and RetentionBytes are those of kafka.TopicOptions, for messages.
	Retention      time.Duration
	RetentionBytes int64

	// Logger takes the broker's log; nil discards it.
	Logger *slog.Logger
}

// DefaultConfig returns a Config with everything set but DataDir: 64
// partitions on a free port, and a week of records.
func DefaultConfig() Config {
	topic := kafka.DefaultTopicOptions()
	return Config{
		Namespace:      "godwit",
		Generation:     1,
		Partitions:     64,
		Retention:      topic.Retention,
		RetentionBytes: topic.RetentionBytes,
	}
}

// Broker is a broker that runs.
type Broker struct {
	// Static.
	cluster *kfake.Cluster
	addr    string
	unlock  func() // frees the data folder

	closing sync.Once
}

// Start starts a broker and returns when it serves and has its topics.
// The error is ErrInUse if another broker uses the folder, and a *MismatchError
// if the folder belongs to another topic.
func Start(cfg Config) (*Broker, error) {
	topic := cfg.topic()
	topic.Brokers = []string{"127.0.0.1"} // not known yet, and not looked at
	if err := topic.Validate(); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	b := &Broker{unlock: func() {}}
	opts := []kfake.Opt{
		kfake.Ports(cfg.Port),
		kfake.ClusterID("godwit-embedded"),
		kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": strconv.Itoa(cleanEvery)}),
	}
	if cfg.Logger != nil {
		opts = append(opts, kfake.WithLogger(logger{cfg.Logger}))
	}
	if cfg.DataDir != "" {
		lock, err := claim(cfg.DataDir, identity{cfg.Namespace, cfg.Generation, cfg.Partitions})
		if err != nil {
			return nil, err
		}
		b.unlock = lock.release
		opts = append(opts, kfake.DataDir(filepath.Join(cfg.DataDir, "log")))
		if cfg.SyncWrites {
			opts = append(opts, kfake.SyncWrites())
		}
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		b.unlock()
		return nil, fmt.Errorf("embedded: starting the broker: %w", err)
	}
	b.cluster = cluster
	b.addr = cluster.ListenAddrs()[0]
	topic.Brokers = []string{b.addr}
	if err := ensureTopics(topic, &cfg); err != nil {
		b.Close()
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return b, nil
}

// topic returns the part of c that describes the messages topic.
func (c *Config) topic() kafka.Config {
	k := kafka.DefaultConfig()
	k.Namespace, k.Generation, k.Partitions = c.Namespace, c.Generation, c.Partitions
	k.Logger = c.Logger
	return k
}

// ensureTopics makes the topics, or checks those that are there.
func ensureTopics(topic kafka.Config, cfg *Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// kfake does not know this one, and has one replica.
	unclean := "unclean.leader.election.enable"
	err := kafka.Create(ctx, topic, kafka.TopicOptions{
		Replicas:       1,
		MinInsync:      1,
		Retention:      cfg.Retention,
		RetentionBytes: cfg.RetentionBytes,
		Settings: map[string]*string{
			unclean:         nil,
			"segment.bytes": new(strconv.Itoa(segmentBytes)),
		},
	})
	if errors.Is(err, kafka.ErrTopicExists) {
		// What one broker cannot have is known; the number of partitions counts.
		_, err = kafka.Verify(ctx, topic, true)
	}
	if err != nil {
		return err
	}
	// These set their retention by themselves, and their segments.
	if _, err := kafkalog.Create(ctx, topic, kafkalog.TopicOptions{
		Replicas: 1, MinInsync: 1, Settings: map[string]*string{unclean: nil},
	}); err != nil {
		return err
	}
	_, err = kafkalog.Verify(ctx, topic, true)
	return err
}

// Addr returns the address, host:port, that the broker serves.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker, writes what it keeps to disk, and frees the folder.
// Calls after the first do nothing.
func (b *Broker) Close() {
	b.closing.Do(func() {
		b.cluster.Close()
		b.unlock()
	})
}

// logger gives kfake's log to a slog.Logger.
type logger struct{ *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	ctx := context.Background()
	if l.Enabled(ctx, to) {
		l.Log(ctx, to, "embedded: "+fmt.Sprintf(format, args...))
	}
}
