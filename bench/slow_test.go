package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// BenchmarkSlowReaders measures what clients that stop reading do to the others: 1% of
// 10,000 stop. First so much is sent that the kernel takes no more for them and their
// queues in the node are full. Then the latency of the others is compared with what it
// is while all read (x-p99), at the same rate; the two take turns. Nobody may lose a
// message: those who did not read catch up when they read again, which takes catch-up-s.
//
//	go test ./bench -run '^$' -bench SlowReaders
func BenchmarkSlowReaders(b *testing.B) {
	noTime(b)
	n := size(10_000, 1000)
	s := serve(b, kafkatest.Real(b, partitions))
	c := fedClientsOf(b, s, n, func(c *load.Config) { c.MSS, c.ReceiveBuffer = 1460, 32<<10 })

	groups := int64(n) / fanout
	timed := load.Traffic{
		Shape: load.Group, Size: 512, Fanout: fanout, Rate: size(400.0, 100.0), Duration: size(8*time.Second, time.Second),
	}
	flood := load.Traffic{Shape: load.Group, Size: 512, Fanout: fanout, InFlight: 64, Count: groups * 200}
	measure := func() float64 {
		p99 := float64(c.runLossy(b, timed).Deliver.P99)
		tell("%s: p99 %s us", b.Name(), report.Number(p99))
		return p99
	}
	c.run(b, flood) // so that memory has grown as far as this takes it
	before := rss(b, s.Pid())
	var none, some, ratios, grown, caught []float64
	for range *rounds {
		none = append(none, measure())
		// New sockets: the more one has got, the more the kernel takes for it.
		if r, err := c.Storm(n/100, 0, patience); err != nil || r.Stats.Opened != int64(n/100) {
			b.Fatalf("%d connections came back: %v %v", r.Stats.Opened, r.Stats.Events, err)
		}
		if slow, err := c.Slow(n / 100); err != nil || slow != n/100 {
			b.Fatalf("%d are slow, %v", slow, err)
		}
		for i := 0; catching(b, s) < n/100; i++ {
			if i == 20 {
				b.Fatalf("of %d slow ones only %d have full queues", n/100, catching(b, s))
			}
			c.runLossy(b, flood)
		}
		some = append(some, measure())
		ratios = append(ratios, some[len(some)-1]/none[len(none)-1])
		grown = append(grown, float64(rss(b, s.Pid())-before)/1e6)
		if _, err := c.Resume(); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		eventually(b, "they have caught up", func() bool { return catching(b, s) == 0 })
		caught = append(caught, time.Since(began).Seconds())
		c.run(b, load.Traffic{Shape: load.Group, Size: 512, Fanout: fanout, InFlight: 64, Count: groups})
	}
	metric(b, "p99-us", report.Median(some))
	metric(b, "none-slow-p99-us", report.Median(none))
	metric(b, "x-p99", report.Median(ratios))
	metric(b, "rss-growth-MB", slices.Max(grown))
	metric(b, "catch-up-s", report.Median(caught))
}

// catching returns how many connections of a node read from the log what they have missed.
func catching(b *testing.B, s *server) int { return int(s.metrics(b).value(b, "godwit_catching_up")) }
