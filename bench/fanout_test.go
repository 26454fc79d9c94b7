package bench

import (
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
)

// fanout is how many users a record of the log is addressed to.
const fanout = 64

// BenchmarkFanout measures the CPU time of a delivery: records of 512 bytes, each to 64
// users of its partition, to 10,000 connected users. Another node of the same log takes
// the sends. In "single" a connection has one message to write at a time; in "backlog"
// records come in rows to the same users, so that frames share a write (frames/read
// tells how many come together).
//
// The floor of both is one write(2) for each frame, of as many bytes to as many sockets.
//
//	go test ./bench -run '^$' -bench Fanout
func BenchmarkFanout(b *testing.B) {
	n := size(10_000, 1000)
	s := serve(b, kafkatest.Real(b, partitions))
	ours := fedClientsOf(b, s, n)
	p := newPeer(b, "write-loop")
	bare := p.clientsOf(b, n)
	bare.open(b, n)

	groups := int64(n) / fanout
	perConn := size(int64(50), 10)
	for _, kind := range []struct {
		name    string
		traffic load.Traffic
	}{
		{"single", load.Traffic{InFlight: max(int(groups)/8, 4)}},
		{"backlog", load.Traffic{InFlight: 1024, Burst: 64}},
	} {
		t := kind.traffic
		t.Shape, t.Size, t.Fanout, t.Count = load.Group, 512, fanout, groups*perConn
		b.Run(kind.name, func(b *testing.B) {
			noTime(b)
			var frame int // bytes of a delivery, without the header of its frame
			var rate, together float64
			godwit := func() float64 {
				before := s.cpu(b)
				r := ours.run(b, t)
				used := s.cpu(b) - before
				frame = int(r.Stats.Bytes/r.Stats.Frames) - 4
				rate = float64(r.Stats.Deliveries) / r.Arrived.Seconds()
				together = float64(r.Stats.Frames) / float64(r.Stats.Reads)
				return perOp(used, r.Stats.Deliveries)
			}
			floor := func() float64 { return p.push(b, bare, n, frame, int(perConn)) }
			takeTurns(b, "cpu-us/delivery", "floor-us/delivery", "x-floor", godwit, floor)
			metric(b, "deliveries/s", rate)
			metric(b, "frame-B", float64(frame))
			metric(b, "frames/read", together)
		})
	}
}
