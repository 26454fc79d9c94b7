package kafka_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestCompression: batches are compressed as the setting says, and come back whole.
func TestCompression(t *testing.T) {
	// The names of Kafka's record batches (its protocol guide, RecordBatch attributes).
	const none, snappy, lz4, zstd = 0, 2, 3, 4
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		for compression, want := range map[kafka.Compression]uint8{kafka.Uncompressed: none, kafka.Snappy: snappy, kafka.LZ4: lz4, kafka.Zstd: zstd} {
			t.Run(string(compression), func(t *testing.T) {
				const sends = 100
				cfg := b.Config(t, 1)
				cfg.Producer.Compression = compression
				p := newProducer(t, cfg)
				j := newJournal()
				add(t, newConsumer(t, cfg, 1, j), 0, 0)
				outcomes := newTally()
				padding := bytes.Repeat([]byte("godwit "), 100)
				for i := range sends {
					s := newSend(uint64(i), []byte("alice"), []byte("bob"))
					s.Value = append(bytes.Clone(s.Value), padding...)
					if err := p.Produce(s, outcomes); err != nil {
						t.Fatal(err)
					}
				}
				eventually(t, "all are stored", func() bool { return outcomes.of(backplane.Stored) == sends })
				eventually(t, "all come back", func() bool { return j.len() == sends })

				client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumeTopics(cfg.Topic()))
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				for read := 0; read < sends; {
					fetches := client.PollFetches(ctx)
					if err := fetches.Err(); err != nil {
						t.Fatal(err)
					}
					fetches.EachRecord(func(r *kgo.Record) {
						read++
						if got := r.Attrs.CompressionType(); got != want {
							t.Errorf("offset %d: compression type %d, want %d", r.Offset, got, want)
						}
						if !bytes.HasSuffix(r.Value, padding) {
							t.Errorf("offset %d: %q", r.Offset, r.Value)
						}
					})
				}
			})
		}
	})
}
