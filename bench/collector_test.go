package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
)

// BenchmarkCollector compares settings of the garbage collector (GOGC): what an idle
// connection holds in resident memory and in the heap, and the CPU time of a message
// when as many are sent as are answered.
//
//	go test ./bench -run '^$' -bench Collector
func BenchmarkCollector(b *testing.B) {
	few, many := size(3000, 500), size(15_000, 2500)
	for _, percent := range size([]int{25, 50, 100, 200}, []int{50, 100}) {
		b.Run(fmt.Sprintf("gogc=%d", percent), func(b *testing.B) {
			noTime(b)
			s := serveWith(b, []string{fmt.Sprintf("GOGC=%d", percent)}, kafkatest.Real(b, partitions))
			c := clientsOf(b, s, many)
			c.open(b, few)
			settle()
			before := s.memory(b)
			c.open(b, many-few)
			settle()
			after := s.memory(b)
			n := float64(many - few)
			metric(b, "B/conn", float64(after.rss-before.rss)/n)
			metric(b, "heap-B/conn", (after.heap-before.heap)/n)

			t := load.Traffic{Shape: load.Unicast, Size: 200, InFlight: unicastWindow, Duration: size(2*time.Second, 500*time.Millisecond)}
			c.run(b, t)
			t.Duration = size(5*time.Second, time.Second)
			used := s.cpu(b)
			r := c.run(b, t)
			metric(b, "cpu-us/msg", perOp(s.cpu(b)-used, r.Stats.Stored))
			metric(b, "msgs/s", float64(r.Stats.Stored)/r.Elapsed.Seconds())
			metric(b, "busy-RSS-MB", float64(rss(b, s.Pid()))/1e6)
			metric(b, "gc-pause-us", s.metrics(b).value(b, `go_gc_duration_seconds{quantile="1"}`)*1e6)
		})
	}
}
