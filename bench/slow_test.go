package bench

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// BenchmarkSlowReaders measures what clients that stop reading do to the others: 1% of
// 10,000 stop. First so much is sent that the kernel takes no more for them and their
// queues in the node are full. Then the latency of the others is compared with what it
// was before any was slow (x-p99), at the same rate. Nobody else may lose a message.
//
//	go test ./bench -run '^$' -bench SlowReaders
func BenchmarkSlowReaders(b *testing.B) {
	noTime(b)
	n := size(10_000, 1000)
	s := serve(b, realKafka(b)(partitions))
	c := fedClientsOf(b, s, n, func(c *load.Config) { c.MSS, c.ReceiveBuffer = 1460, 4096 })

	groups := int64(n) / fanout
	timed := load.Traffic{
		Shape: load.Group, Size: 512, Fanout: fanout, Rate: size(400.0, 100.0), Duration: size(10*time.Second, 2*time.Second),
	}
	flood := load.Traffic{Shape: load.Group, Size: 512, Fanout: fanout, InFlight: 64, Count: groups * 200}
	measure := func() []float64 {
		var p99 []float64
		for range *rounds {
			r := c.runLossy(b, timed)
			tell("%s: p99 %d us", b.Name(), r.Deliver.P99)
			p99 = append(p99, float64(r.Deliver.P99))
		}
		return p99
	}
	c.run(b, flood) // so that memory has grown as far as this takes it
	before := rss(b, s.pid())
	none := report.Median(measure())
	// New sockets: the more one has got, the more the kernel takes for it.
	if r, err := c.Storm(n/100, 0, patience); err != nil || r.Stats.Opened != int64(n/100) {
		b.Fatalf("%d connections came back: %v %v", r.Stats.Opened, r.Stats.Events, err)
	}
	slow, err := c.Slow(n / 100)
	if err != nil || slow != n/100 {
		b.Fatalf("%d are slow, %v", slow, err)
	}
	for i := 0; s.metrics(b).value(b, `godwit_drops_total{reason="outbox_full"}`) == 0; i++ {
		if i == 20 {
			b.Fatal("nothing was dropped for the slow ones: their queues are not full")
		}
		c.runLossy(b, flood)
	}
	some := report.Median(measure())
	metric(b, "p99-us", some)
	metric(b, "none-slow-p99-us", none)
	metric(b, "x-p99", some/none)
	metric(b, "rss-growth-MB", float64(rss(b, s.pid())-before)/1e6)
}
