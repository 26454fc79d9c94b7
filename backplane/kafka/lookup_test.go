package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// between calls f when the first answer to a ListOffsets request has come, and before
// its client sees it.
type between struct {
	f func()
}

func (b *between) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == int16(kmsg.ListOffsets) && err == nil && b.f != nil {
		f := b.f
		b.f = nil
		f()
	}
}

var _ kgo.HookBrokerRead = (*between)(nil)

// The first record comes right after a broker has said that there is none: reading
// must begin with it, not at the end that the broker tells next.
func TestOffsetsWhileTheFirstRecordComes(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Namespace, cfg.Partitions = "lookup", 1
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, cfg.Topic()))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cfg.Brokers = cluster.ListenAddrs()
	writer, err := kgo.NewClient(append(cfg.clientOptions(nil), kgo.DefaultProduceTopic(cfg.Topic()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	write := func() {
		if err := writer.ProduceSync(context.Background(), kgo.StringRecord("first")).FirstErr(); err != nil {
			t.Error(err)
		}
	}
	hook := &between{f: write}
	client, err := kgo.NewClient(append(cfg.clientOptions(nil), kgo.WithHooks(hook))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	l := newLookup(client, &cfg)
	at := func(ms int64) int64 {
		t.Helper()
		v, err := l.current(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		offsets, missing := l.offsets(t.Context(), v.leaders[0], map[backplane.Partition]int64{0: ms})
		if len(missing) > 0 {
			t.Fatal(missing)
		}
		return offsets[0]
	}
	if got := at(0); got != 0 {
		t.Errorf("reading begins at %d, want 0", got)
	}
	if end := at(momentEnd); end != 1 {
		t.Fatalf("the end is %d: the record did not come in between", end)
	}
	// One that is too early does not count: the end before it will do.
	hook.f = write
	if got := at(time.Now().Add(time.Hour).UnixMilli()); got != 2 {
		t.Errorf("reading begins at %d, want the end, 2", got)
	}
}
