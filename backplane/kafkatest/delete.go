package kafkatest

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafka"
)

// DeleteBefore deletes the records of a partition of the messages topic before an offset,
// as retention does when their time is over.
func DeleteBefore(t testing.TB, cfg kafka.Config, p backplane.Partition, offset int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	c := client(t, cfg)
	defer c.Close()
	var cut kadm.Offsets
	cut.AddOffset(cfg.Topic(), int32(p), offset, -1)
	if answers, err := kadm.NewClient(c).DeleteRecords(ctx, cut); err != nil {
		t.Fatal(err)
	} else if err := answers.Error(); err != nil {
		t.Fatal(err)
	}
}

// DeleteTopic deletes a topic and returns when there is none of that name.
func DeleteTopic(t testing.TB, cfg kafka.Config, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	c := client(t, cfg)
	defer c.Close()
	admin := kadm.NewClient(c)
	if answers, err := admin.DeleteTopics(ctx, topic); err != nil {
		t.Fatal(err)
	} else if err := answers.Error(); err != nil {
		t.Fatal(err)
	}
	for {
		topics, err := admin.ListTopics(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		if !topics.Has(topic) {
			return
		}
	}
}
