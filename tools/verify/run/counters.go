package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/godwit-im/godwit/tools/verify/metrics"
)

// restPause is the time between two readings of a node at rest.
const restPause = 500 * time.Millisecond

// under are the metrics that tell what is under way in a node, summed over their labels.
var under = []string{"godwit_kafka_producer_inflight_sends", "godwit_kafka_consumer_lag_records"}

// flows begin the names of the metrics that move when messages do.
var flows = []string{
	"godwit_kafka_consumer_records_total", "godwit_records_total", "godwit_targets_total",
	"godwit_deliveries_total", "godwit_left_to_catch_up_total", "godwit_drops_total",
}

// moving returns those of flows with their values.
func moving(m metrics.Values) map[string]float64 {
	sums := make(map[string]float64, len(flows))
	for _, name := range flows {
		sums[name] = m.Sum(name)
	}
	return sums
}

// restingMetrics returns the metrics of a node in which nothing is under way any more and
// nothing has moved for restPause. If that does not come about before ctx ends, it returns
// what was read last, for the checks to judge; the error means that nothing could be read.
func restingMetrics(ctx context.Context, admin string) (last metrics.Values, err error) {
	for {
		m, failed := metrics.Fetch(ctx, admin)
		if failed == nil {
			busy := 0.0
			for _, name := range under {
				busy += m.Sum(name)
			}
			if busy == 0 && last != nil && maps.Equal(moving(m), moving(last)) {
				return m, nil
			}
			last = m
		}
		select {
		case <-time.After(restPause):
		case <-ctx.Done():
			if last == nil {
				return nil, fmt.Errorf("run: %s: %w", admin, errors.Join(ctx.Err(), failed))
			}
			return last, nil
		}
	}
}
