package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
)

// BenchmarkBatching compares the settings by which a node's producer makes batches:
// kafka.linger and kafka.compression. For each pair it measures latency and CPU time at
// 5,000 messages a second, and CPU time and rate when saturated (full-...). The bodies
// are text of which most repeats, the best that there is for compression.
//
//	go test ./bench -run '^$' -bench Batching
func BenchmarkBatching(b *testing.B) {
	for _, linger := range size([]string{"0s", "500us", "2ms", "5ms"}, []string{"500us"}) {
		for _, compression := range size([]string{"none", "lz4", "zstd"}, []string{"none", "lz4"}) {
			b.Run(fmt.Sprintf("linger=%s/compression=%s", linger, compression), func(b *testing.B) {
				noTime(b)
				s := serve(b, kafkatest.Real(b, partitions), "--kafka-linger", linger, "--kafka-compression", compression)
				c := clientsOf(b, s, 1000)
				c.open(b, 1000)
				length := size(2*time.Second, 500*time.Millisecond)
				c.runRefused(b, load.Traffic{Shape: load.Unicast, Size: 200, Rate: 2000, Duration: length / 2})

				before := s.cpu(b)
				r := c.run(b, load.Traffic{Shape: load.Unicast, Size: 200, Rate: size(5000.0, 1000.0), Duration: length})
				metric(b, "p50-us", float64(r.Deliver.P50))
				metric(b, "p99-us", float64(r.Deliver.P99))
				metric(b, "ack-p50-us", float64(r.Ack.P50))
				metric(b, "ack-p99-us", float64(r.Ack.P99))
				metric(b, "cpu-us/msg", perOp(s.cpu(b)-before, r.Stats.Stored))

				before = s.cpu(b)
				r = c.run(b, load.Traffic{Shape: load.Unicast, Size: 200, InFlight: unicastWindow, Duration: length})
				metric(b, "full-msgs/s", float64(r.Stats.Stored)/r.Elapsed.Seconds())
				metric(b, "full-cpu-us/msg", perOp(s.cpu(b)-before, r.Stats.Stored))
			})
		}
	}
}
