package run

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/metrics"
)

// serve answers like an admin port. state tells what is under way, and how many messages have
// moved, when it is asked for the n-th time.
func serve(t *testing.T, state func(n int64) (inflight, lag, moved int)) (admin string) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		inflight, lag, moved := state(asked.Add(1))
		fmt.Fprintf(w, "godwit_kafka_producer_inflight_sends %d\ngodwit_kafka_consumer_lag_records{worker=\"1\"} %d\ngodwit_drops_total{reason=\"gone\"} %d\n",
			inflight, lag, moved)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestRestingMetrics reads a node that comes to rest at its sixth answer: there is a send under
// way at first, then a lag, and then something moves between two answers.
func TestRestingMetrics(t *testing.T) {
	states := [][3]int{{1, 0, 3}, {0, 3, 4}, {0, 0, 5}, {0, 0, 6}, {0, 0, 7}, {0, 0, 7}, {1, 1, 9}}
	admin := serve(t, func(n int64) (int, int, int) {
		s := states[min(int(n), len(states))-1]
		return s[0], s[1], s[2]
	})
	m, err := restingMetrics(t.Context(), admin)
	if want := (metrics.Values{under[0]: 0, under[1] + `{worker="1"}`: 0, `godwit_drops_total{reason="gone"}`: 7}); err != nil || !maps.Equal(m, want) {
		t.Errorf("%v, %v", m, err)
	}
}

// TestRestlessMetrics reads a node that does not come to rest, one whose answers make no sense,
// and one that does not answer.
func TestRestlessMetrics(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	admin := serve(t, func(n int64) (int, int, int) { return 0, 0, int(n) })
	if m, err := restingMetrics(ctx, admin); err != nil || m[`godwit_drops_total{reason="gone"}`] == 0 {
		t.Errorf("of a restless node: %v, %v", m, err)
	}
	if m, err := restingMetrics(ctx, admin+"/nothing"); err == nil {
		t.Errorf("what is no admin port has %v", m)
	}
	if m, err := restingMetrics(ctx, "http://127.0.0.1:1"); err == nil {
		t.Errorf("nobody has %v", m)
	}
}
