package server

import (
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/server/timeline"
)

// TestTimelineMetrics: whatever a Service counts is exported, each number once.
func TestTimelineMetrics(t *testing.T) {
	var c timeline.Counters
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		switch n := fields.Field(i).Addr().Interface().(type) {
		case *atomic.Uint64:
			n.Store(uint64(i) + 1)
		case *atomic.Int64:
			n.Store(int64(i) + 1)
		default:
			t.Fatalf("%s is a %T", fields.Type().Field(i).Name, n)
		}
	}
	exported := make(map[uint64]int)
	collectTimelines(&c,
		func(_ *prometheus.Desc, v uint64, _ ...string) { exported[v]++ },
		func(_ *prometheus.Desc, v int64, _ ...string) { exported[uint64(v)]++ })
	for i := range fields.NumField() {
		if n := exported[uint64(i)+1]; n != 1 {
			t.Errorf("%s is exported %d times", fields.Type().Field(i).Name, n)
		}
	}
}
