package kafkatest

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// DeleteBefore deletes the records of a partition of the messages topic before an offset,
// as retention does when their time is over.
func DeleteBefore(t testing.TB, cfg kafka.Config, p backplane.Partition, offset int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var cut kadm.Offsets
	cut.AddOffset(cfg.Topic(), int32(p), offset, -1)
	if answers, err := kadm.NewClient(client).DeleteRecords(ctx, cut); err != nil {
		t.Fatal(err)
	} else if err := answers.Error(); err != nil {
		t.Fatal(err)
	}
}
