package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
	"github.com/godwit-im/godwit/bench/report"
)

// unicastWindow is how many messages are on their way at once in BenchmarkUnicast.
const unicastWindow = 2048

// BenchmarkUnicast measures the CPU time of a message of 200 bytes from its sender
// through the log to its recipient, with its ack, when as many are sent as are answered.
// The floor is franz-go producing and consuming the same records, and an echo on bare
// gnet for each.
//
//	go test ./bench -run '^$' -bench Unicast
func BenchmarkUnicast(b *testing.B) {
	noTime(b)
	n := size(2000, 200)
	s := serve(b, kafkatest.Real(b, partitions))
	c := clientsOf(b, s, n)
	c.open(b, n)
	p := newPeer(b, "kafka-loop")

	length := size(5*time.Second, time.Second)
	var rate, floorRate float64
	godwit := func() float64 {
		before := s.cpu(b)
		r := c.run(b, load.Traffic{Shape: load.Unicast, Size: 200, InFlight: unicastWindow, Duration: length})
		rate = float64(r.Stats.Stored) / r.Elapsed.Seconds()
		return perOp(s.cpu(b)-before, r.Stats.Stored)
	}
	floor := func() float64 {
		f := p.kafka(b, s, 0, unicastWindow, recordBytes, length, true)
		floorRate = f.Per
		return f.CPU
	}
	takeTurns(b, "cpu-us/msg", "floor-us/msg", "x-floor", godwit, floor)
	metric(b, "msgs/s", rate)
	metric(b, "floor-msgs/s", floorRate)
}

// recordBytes is the size of the record's value for a message of 200 bytes between
// users with names of ten: body, message id, both names, the id of the send, tags.
const recordBytes = 200 + 16 + 2*10 + 24 + 13

// BenchmarkLatency measures the time from when a message was due to be sent to its
// delivery, at fixed rates, and what of it is added to franz-go alone. Times count from
// the due time, not from the actual send, so a stall counts for all that it delays.
//
//	go test ./bench -run '^$' -bench Latency
func BenchmarkLatency(b *testing.B) {
	n := size(2000, 200)
	s := serve(b, kafkatest.Real(b, partitions))
	c := clientsOf(b, s, n)
	c.open(b, n)
	p := newPeer(b, "kafka-loop")

	length := size(8*time.Second, time.Second)
	for _, rate := range []int{2000, 5000} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
			noTime(b)
			t := load.Traffic{Shape: load.Unicast, Size: 200, Rate: float64(rate), Duration: length}
			c.runRefused(b, load.Traffic{Shape: load.Unicast, Size: 200, Rate: float64(rate), Duration: length / 4})
			columns := map[string][]float64{}
			for range *rounds {
				f := p.kafka(b, s, rate, unicastWindow, recordBytes, length, false)
				r := c.run(b, t)
				tell("%s: p50 %d, p99 %d us; floor %d and %d", b.Name(), r.Deliver.P50, r.Deliver.P99, f.P50, f.P99)
				for name, v := range map[string]int64{
					"p50-us": r.Deliver.P50, "p99-us": r.Deliver.P99, "ack-p50-us": r.Ack.P50, "ack-p99-us": r.Ack.P99,
					"added-p50-us": r.Deliver.P50 - f.P50, "added-p99-us": r.Deliver.P99 - f.P99,
				} {
					columns[name] = append(columns[name], float64(v))
				}
			}
			for _, name := range []string{"p50-us", "p99-us", "ack-p50-us", "ack-p99-us", "added-p50-us", "added-p99-us"} {
				metric(b, name, report.Median(columns[name]))
			}
		})
	}
}
