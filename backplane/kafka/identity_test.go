package kafka_test

import (
	"context"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestClusterID: a cluster has one id, and another has another.
func TestClusterID(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := b.Config(t, 1)
		first, err := kafka.ClusterID(t.Context(), cfg)
		if err != nil || first == "" {
			t.Fatalf("%q, %v", first, err)
		}
		if again, err := kafka.ClusterID(t.Context(), cfg); err != nil || again != first {
			t.Errorf("%q, then %q, %v", first, again, err)
		}
		_, other := newFaulty(t, 1)
		if id, err := kafka.ClusterID(t.Context(), other); err != nil || id == first {
			t.Errorf("two clusters are %q, %v", id, err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, cfg := newFaulty(t, 1)
	if _, err := kafka.ClusterID(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
