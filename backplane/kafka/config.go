package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane"
)

// Config says which Kafka to use and how. Begin with DefaultConfig; a Config
// must not be changed once something was made from it.
type Config struct {
	// Brokers are the addresses, host:port, that the first connection is tried at.
	Brokers []string
	// Namespace begins the names of all topics of one godwit.
	Namespace string
	// Generation numbers the messages topic; see backplane.Position.
	Generation uint32
	// Partitions is N, the number of partitions of the messages topic.
	Partitions int32
	// ClientID names this node in the brokers' logs and quotas.
	ClientID string

	// TLS makes connections encrypted; nil means plain ones. The server's name is
	// taken from the broker's address unless set here.
	TLS *tls.Config
	// SASL authenticates; a zero SASL does not.
	SASL SASL
	// DialTimeout bounds the time to connect to a broker, TLS included.
	DialTimeout time.Duration

	// Producer and Consumer have the settings of each.
	Producer ProducerConfig
	Consumer ConsumerConfig

	// Logger takes the clients' log and this package's; nil discards both. Clients that are
	// made from copies of one Config complain as one.
	Logger *slog.Logger

	trouble *trouble // what they complain of
}

// ProducerConfig has the settings of a Producer.
type ProducerConfig struct {
	// MaxRecords is how many records may be on their way to the log. A send whose
	// records do not all fit is rejected with CodeOverloaded. As many callers
	// again may wait for a send that they joined.
	MaxRecords int
	// MaxBytes bounds the same in bytes. The bytes of a record are those of its
	// value and headers; the value counts once for each record of a send, although
	// they share one copy.
	MaxBytes int64
	// Linger is how long the producer waits for more records before it sends a
	// partition's first. 0 sends at once; what comes while a request is under way
	// still travels together.
	Linger time.Duration
	// Compression is that of the batches that a producer sends; the brokers and every
	// reader get by with any.
	Compression Compression
	// AckTimeout is how long a caller waits for the log before it is answered
	// Unknown with CodeTimeout. The client gives a record up at about the same
	// time, later when a request is under way.
	AckTimeout time.Duration
}

// Compression is a way to compress batches of records, by the name that Kafka has for it.
type Compression string

// The compressions. gzip, which Kafka knows too, costs more than what it saves here.
const (
	Uncompressed Compression = "none"
	Snappy       Compression = "snappy"
	LZ4          Compression = "lz4"
	Zstd         Compression = "zstd"
)

// codec returns the client's name of c; ok is false if there is no such compression.
func (c Compression) codec() (codec kgo.CompressionCodec, ok bool) {
	switch c {
	case Uncompressed:
		return kgo.NoCompression(), true
	case Snappy:
		return kgo.SnappyCompression(), true
	case LZ4:
		return kgo.Lz4Compression(), true
	case Zstd:
		return kgo.ZstdCompression(), true
	}
	return kgo.NoCompression(), false
}

// ConsumerConfig has the settings of a Consumer.
type ConsumerConfig struct {
	// FetchMaxWait is how long a broker may hold a fetch that it has no records
	// for. A partition that is added waits for the fetch under way, so this bounds
	// how long it takes to begin.
	FetchMaxWait time.Duration
	// FetchMaxBytes bounds the answer to one fetch; the client buffers one for
	// each broker.
	FetchMaxBytes int32
	// FetchMaxPartitionBytes bounds one partition's part of it.
	FetchMaxPartitionBytes int32
	// PollRecords is the most records taken from the client at once.
	PollRecords int
	// QueueRecords and QueueBytes are each worker's marks: with more than either
	// queued, its partitions are paused. A queue can pass a mark by one poll.
	QueueRecords int
	QueueBytes   int64
	// OffsetTimeout bounds how long Add asks for offsets, and how long a Reader goes on
	// without progress.
	OffsetTimeout time.Duration
	// SessionTimeout is how long a member of a Group may be silent before others take its
	// partitions over. Brokers accept 6 s to 30 min unless they are set otherwise.
	SessionTimeout time.Duration
}

// DefaultConfig returns a Config with everything set but Brokers.
func DefaultConfig() Config {
	return Config{
		trouble:     new(trouble),
		Namespace:   "godwit",
		Generation:  1,
		Partitions:  1024,
		ClientID:    "godwit",
		DialTimeout: 5 * time.Second,
		Producer: ProducerConfig{
			MaxRecords: 50_000,
			MaxBytes:   256 << 20,
			Linger:     500 * time.Microsecond,
			// Messages are short, and bodies that are worth compressing come compressed or
			// encrypted; the time is better spent elsewhere.
			Compression: Uncompressed,
			AckTimeout:  20 * time.Second,
		},
		Consumer: ConsumerConfig{
			FetchMaxWait:           200 * time.Millisecond,
			FetchMaxBytes:          8 << 20,
			FetchMaxPartitionBytes: 1 << 20,
			PollRecords:            4096,
			QueueRecords:           16_384,
			QueueBytes:             16 << 20,
			OffsetTimeout:          15 * time.Second,
			SessionTimeout:         10 * time.Second,
		},
	}
}

// Topic returns the name of the messages topic.
func (c *Config) Topic() string {
	return fmt.Sprintf("%s.messages.%d", c.Namespace, c.Generation)
}

// namespaces is what a namespace may look like: a legal beginning of a topic
// name, short enough that the longest name made from it is legal too. The
// underscore is left out because Kafka takes it and the dot for the same in the
// names of its metrics.
var namespaces = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]{0,99}$`)

// Validate returns what is wrong with c, all of it, or nil.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("kafka: "+format, args...))
		}
	}
	check(len(c.Brokers) > 0, "Brokers is empty")
	for _, b := range c.Brokers {
		check(b != "", "Brokers has an empty address")
	}
	check(namespaces.MatchString(c.Namespace), "Namespace is %q: it needs 1 to 100 letters, digits, dots and hyphens, a letter or digit first", c.Namespace)
	check(c.Generation > 0, "Generation is 0: generations count from 1")
	check(c.Partitions > 0 && c.Partitions <= backplane.MaxPartitions, "Partitions is %d: it must be 1 to %d", c.Partitions, backplane.MaxPartitions)
	check(c.ClientID != "", "ClientID is empty")
	check(c.DialTimeout > 0, "DialTimeout is %v: it must be positive", c.DialTimeout)
	errs = append(errs, c.SASL.validate())

	p := &c.Producer
	check(p.MaxRecords >= maxRecords, "Producer.MaxRecords is %d: one send can have %d records", p.MaxRecords, maxRecords)
	check(p.MaxBytes >= maxSendBytes, "Producer.MaxBytes is %d: one send can have %d bytes", p.MaxBytes, maxSendBytes)
	check(p.Linger >= 0 && p.Linger <= time.Second, "Producer.Linger is %v: it must be 0 to 1s", p.Linger)
	_, known := p.Compression.codec()
	check(known, "Producer.Compression is %q: it must be %s, %s, %s or %s", p.Compression, Uncompressed, Snappy, LZ4, Zstd)
	check(p.AckTimeout >= time.Second && p.AckTimeout <= 5*time.Minute, "Producer.AckTimeout is %v: it must be 1s to 5m", p.AckTimeout)
	check(p.Linger*10 <= p.AckTimeout, "Producer.Linger %v is more than a tenth of Producer.AckTimeout %v", p.Linger, p.AckTimeout)

	s := &c.Consumer
	check(s.FetchMaxWait >= 10*time.Millisecond && s.FetchMaxWait <= 5*time.Second, "Consumer.FetchMaxWait is %v: it must be 10ms to 5s", s.FetchMaxWait)
	check(s.FetchMaxPartitionBytes > 0, "Consumer.FetchMaxPartitionBytes is %d: it must be positive", s.FetchMaxPartitionBytes)
	check(s.FetchMaxBytes >= s.FetchMaxPartitionBytes, "Consumer.FetchMaxBytes %d is less than Consumer.FetchMaxPartitionBytes %d", s.FetchMaxBytes, s.FetchMaxPartitionBytes)
	check(s.FetchMaxBytes <= 64<<20, "Consumer.FetchMaxBytes is %d: it must be at most %d", s.FetchMaxBytes, 64<<20)
	check(s.PollRecords > 0, "Consumer.PollRecords is %d: it must be positive", s.PollRecords)
	check(s.QueueRecords > 0, "Consumer.QueueRecords is %d: it must be positive", s.QueueRecords)
	check(s.QueueBytes > 0, "Consumer.QueueBytes is %d: it must be positive", s.QueueBytes)
	check(s.OffsetTimeout > 0 && s.OffsetTimeout < rebalanceTimeout, "Consumer.OffsetTimeout is %v: it must be positive and below %v", s.OffsetTimeout, rebalanceTimeout)
	check(s.SessionTimeout >= 3*heartbeatInterval && s.SessionTimeout < rebalanceTimeout, "Consumer.SessionTimeout is %v: it must be at least %v and below %v", s.SessionTimeout, 3*heartbeatInterval, rebalanceTimeout)
	return errors.Join(errs...)
}

// logger returns the Logger to use.
func (c *Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}
