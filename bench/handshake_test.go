package bench

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/report"
)

// BenchmarkHandshake measures the CPU time of a connection from accept to close: upgrade,
// HS256 token, welcome. The floor is bare gnet with the upgrade of gobwas/ws.
//
//	go test ./bench -run '^$' -bench Handshake
func BenchmarkHandshake(b *testing.B) {
	noTime(b)
	n := size(20_000, 2000)
	s := serve(b, kafkatest.Embedded(b, partitions))
	ours := clientsOf(b, s, n)
	p := newPeer(b, "gnet-bare")
	bare := p.clientsOf(b, n)

	churn := func(c *clients, cpu func(testing.TB) time.Duration, open func() int) float64 {
		before := cpu(b)
		r, err := c.Churn(n, 0, patience)
		if err != nil || r.Stats.Opened != int64(n) {
			b.Fatalf("of %d connections %d were opened: %v %v", n, r.Stats.Opened, r.Stats.Events, err)
		}
		eventually(b, "the server has closed all", func() bool { return open() == 0 })
		return perOp(cpu(b)-before, int64(n))
	}
	godwit := func() float64 {
		return churn(ours, s.cpu, func() int { return int(s.metrics(b).value(b, "godwit_connections")) })
	}
	floor := func() float64 {
		return churn(bare, p.cpu, func() int { return p.stats(b).Conns })
	}
	takeTurns(b, "cpu-us/conn", "floor-us/conn", "x-floor", godwit, floor)
}

// takeTurns measures godwit and its floor in turns, after one that does not count, and
// reports the median of each and of their ratio.
func takeTurns(b *testing.B, name, floorName, ratioName string, godwit, floor func() float64) {
	b.Helper()
	godwit()
	floor()
	var ours, floors, ratios []float64
	for range *rounds {
		f := floor()
		g := godwit()
		tell("%s: %s %s, %s %s", b.Name(), name, report.Number(g), floorName, report.Number(f))
		ours, floors, ratios = append(ours, g), append(floors, f), append(ratios, g/f)
	}
	metric(b, name, report.Median(ours))
	metric(b, floorName, report.Median(floors))
	metric(b, ratioName, report.Median(ratios))
}
