package world

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestLead has one broker after the other take leaders from the others, the last of them
// after it was away.
func TestLead(t *testing.T) {
	kafkatest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	w, err := Start(ctx, Config{Binary: binary, Root: root, Folder: filepath.Join(t.TempDir(), "world"), Nodes: 1, Brokers: 3, Partitions: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, broker := range w.Brokers() {
		if i == 2 {
			shown(t)(w.Kill(broker))
			if err := w.Start(ctx, broker); err != nil {
				t.Fatal(err)
			}
		}
		id := int32(i + 1)
		before := leaders(t, w)
		shown(t)(w.Lead(ctx, broker, uint64(i)))
		after := leaders(t, w)
		var moved []int
		for p := range after {
			if after[p] == id && before[p] != id {
				moved = append(moved, p)
			}
		}
		if len(moved) == 0 || len(moved) > len(after)/ledShare {
			t.Errorf("%s has got partitions %v of those led by %v, which are led by %v then", broker, moved, before, after)
		}
	}
	if evidence, err := w.Lead(ctx, "kafka4", 0); err == nil {
		t.Errorf("a broker that is not there: %s", evidence)
	}
}

// leaders returns the brokers that lead the partitions.
func leaders(t *testing.T, w *World) []int32 {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	var list []int32
	for _, p := range topics[topic].Partitions.Sorted() {
		list = append(list, p.Leader)
	}
	if slices.Contains(list, -1) {
		t.Logf("some partitions have no leader: %v", list)
	}
	return list
}
