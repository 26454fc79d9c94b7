package bench

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// BenchmarkScaling measures what a second core is worth to a node: how much more it does
// with GOMAXPROCS=2 than with 1 when it is given all that it takes (x-cores), and what
// the same work costs then (x-cpu: more than 1 is what the cores lose to each other). Log,
// clients and node share the machine, so where it has few cores cores-2 tells how much of
// two the node got at all.
//
//	go test ./bench -run '^$' -bench Scaling
func BenchmarkScaling(b *testing.B) {
	length := size(5*time.Second, time.Second)

	b.Run("unicast", func(b *testing.B) {
		noTime(b)
		n := size(2000, 200)
		t := load.Traffic{Shape: load.Unicast, Size: 200, InFlight: unicastWindow, Duration: length}
		node := func(procs string) func() scaled {
			s := serveWith(b, []string{"GOMAXPROCS=" + procs}, kafkatest.Real(b, partitions))
			c := clientsOf(b, s, n)
			c.open(b, n)
			return func() scaled {
				used := s.cpu(b)
				r := c.run(b, t)
				return newScaled(s.cpu(b)-used, r.Stats.Stored, r.Elapsed)
			}
		}
		compare(b, "msg", "msgs/s", node("1"), node("2"))
	})
	b.Run("fanout", func(b *testing.B) {
		noTime(b)
		n := size(6000, 500)
		t := load.Traffic{
			Shape: load.Group, Size: 512, Fanout: fanout, InFlight: 1024, Burst: 16, Count: int64(n) / fanout * 100,
		}
		node := func(procs string) func() scaled {
			s := serveWith(b, []string{"GOMAXPROCS=" + procs}, kafkatest.Real(b, partitions))
			c := fedClientsOf(b, s, n)
			return func() scaled {
				used := s.cpu(b)
				r := c.run(b, t)
				return newScaled(s.cpu(b)-used, r.Stats.Deliveries, r.Arrived)
			}
		}
		compare(b, "delivery", "deliveries/s", node("1"), node("2"))
	})
}

// scaled is what a node did in one turn.
type scaled struct {
	rate  float64 // operations a second
	cost  float64 // CPU time of one, in microseconds
	cores float64 // how many cores were busy with it
}

func newScaled(used time.Duration, operations int64, took time.Duration) scaled {
	return scaled{float64(operations) / took.Seconds(), perOp(used, operations), used.Seconds() / took.Seconds()}
}

// compare lets one core and two take turns, after one that does not count. rate names what
// is done in a second.
func compare(b *testing.B, operation, rate string, one, two func() scaled) {
	b.Helper()
	one()
	two()
	var names []string
	columns := map[string][]float64{}
	add := func(name string, v float64) {
		if columns[name] == nil {
			names = append(names, name)
		}
		columns[name] = append(columns[name], v)
	}
	for range *rounds {
		x, y := one(), two()
		tell("%s: %s a second with one core, %s with two", b.Name(), report.Number(x.rate), report.Number(y.rate))
		add("x-cores", y.rate/x.rate)
		add("x-cpu", y.cost/x.cost)
		for i, s := range []scaled{x, y} {
			suffix := []string{"-1", "-2"}[i]
			add(rate+suffix, s.rate)
			add("cpu-us/"+operation+suffix, s.cost)
			add("cores"+suffix, s.cores)
		}
	}
	for _, name := range names {
		metric(b, name, report.Median(columns[name]))
	}
}
