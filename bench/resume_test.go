package bench

import (
	"encoding/json"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// BenchmarkResume has 18,000 devices come back at once, each with its cursor, and measures
// the CPU time of the server from the first upgrade until all are live.
//
// In "missed=0" nothing was sent meanwhile. The floor is the same connections without a
// cursor, in the same run (x-connect). In "missed=20" each has missed 20 messages of 200
// bytes, which must arrive exactly once; all-s is the time until the last has arrived.
//
//	go test ./bench -run '^$' -bench Resume
func BenchmarkResume(b *testing.B) {
	n := size(18_000, 3000)
	s := serve(b, kafkatest.Real(b, partitions))
	c := fedClientsOf(b, s, n)

	b.Run("missed=0", func(b *testing.B) {
		noTime(b)
		measure := func(open func()) float64 {
			c.leave(b, s, n)
			before := s.cpu(b)
			open()
			eventually(b, "nobody is catching up", func() bool { return catching(b, s) == 0 })
			return perOp(s.cpu(b)-before, int64(n))
		}
		resume := func() { c.comeBack(b, n) }
		connect := func() {
			if r, err := c.Reopen(n, 0, patience); err != nil || r.Stats.Opened != int64(n) || r.Stats.Resumed != 0 {
				b.Fatalf("of %d connections %d were opened: %v %v", n, r.Stats.Opened, r.Stats.Events, err)
			}
		}
		takeTurns(b, "cpu-us/resume", "cpu-us/connect", "x-connect",
			func() float64 { return measure(resume) }, func() float64 { return measure(connect) })
	})
	b.Run("missed=20", func(b *testing.B) {
		noTime(b)
		const each = 20
		groups, err := s.config(n).Groups(fanout)
		if err != nil {
			b.Fatal(err)
		}
		t := load.Traffic{Shape: load.Group, Size: 200, Fanout: fanout, InFlight: 64, Count: int64(groups) * each}
		var cost, all []float64
		for i := range *rounds + 1 {
			c.leave(b, s, n)
			consumed := s.consumed(b)
			c.runLossy(b, t)
			eventually(b, "the node has read what was sent", func() bool { return s.consumed(b) >= consumed+float64(t.Count) })
			before := s.cpu(b)
			r := c.comeBack(b, n)
			eventually(b, "nobody is catching up", func() bool { return catching(b, s) == 0 })
			used := s.cpu(b) - before
			if due := int64(n * each); r.Check.Due != due || r.Stats.Deliveries != due {
				b.Fatalf("%d deliveries were missed and %d came: want %d", r.Check.Due, r.Stats.Deliveries, due)
			}
			if i == 0 {
				continue // memory grows as far as this takes it
			}
			cost = append(cost, perOp(used, int64(n)))
			all = append(all, r.Arrived.Seconds())
			tell("%s: %s us, all in %s s", b.Name(), report.Number(cost[len(cost)-1]), report.Number(all[len(all)-1]))
		}
		metric(b, "cpu-us/resume", report.Median(cost))
		metric(b, "all-s", report.Median(all))
	})
}

// leave cuts n connections, and returns when their node has noticed that of all.
func (c *clients) leave(tb testing.TB, s *server, n int) {
	tb.Helper()
	open := func() float64 { return s.metrics(tb).value(tb, "godwit_connections") }
	before := open()
	if left, err := c.Leave(n); err != nil || left != n {
		tb.Fatalf("%d of %d have left, %v", left, n, err)
	}
	eventually(tb, "the node has closed those who left", func() bool { return open() == before-float64(n) })
}

// comeBack has the n connections that left come back with their cursors. Each must get what
// it has missed, and nothing else.
func (c *clients) comeBack(tb testing.TB, n int) load.Result {
	tb.Helper()
	r, err := c.Return(0, patience)
	if err != nil {
		tb.Fatal(err)
	}
	if !r.Stats.Flawless() || r.Stats.Resumed != int64(n) || r.Stats.Stale != 0 || !r.Check.Exact() || r.Check.Unchecked != 0 {
		text, _ := json.Marshal(r)
		tb.Fatalf("of %d connections some did not go on where they were: %s", n, text)
	}
	return r
}

// consumed returns how many records the node has read of the log.
func (s *server) consumed(tb testing.TB) (total float64) {
	tb.Helper()
	m := s.metrics(tb)
	for _, result := range []string{"dispatched", "nobody", "duplicate", "hidden", "bad"} {
		total += m.value(tb, `godwit_records_total{result="`+result+`"}`)
	}
	return total
}
