package bench

import (
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/load"
)

// TestSmoke sees that the parts of the benchmarks work together: a node and a load
// process, both of their own, and what is read of the node.
func TestSmoke(t *testing.T) {
	s := serve(t, kafkatest.Embedded(t, partitions))
	c := clientsOf(t, s, 200)
	c.open(t, 200)
	before, used := s.memory(t), s.cpu(t)
	if before.rss == 0 || before.heap == 0 || before.objects == 0 {
		t.Errorf("the node's memory: %+v", before)
	}
	r := c.run(t, load.Traffic{Shape: load.Unicast, Size: 200, Rate: 1000, Count: 500})
	if r.Check.Due != 1000 {
		t.Errorf("%d deliveries of 500 messages, each to two users", r.Check.Due)
	}
	c.run(t, load.Traffic{Shape: load.Group, Size: 512, Fanout: 8, InFlight: 10, Count: 500})
	m := s.metrics(t)
	if m.value(t, "godwit_sessions") != 200 || m.value(t, `godwit_acks_total{status="stored"}`) != 1000 {
		t.Errorf("the node's metrics: %v sessions", m["godwit_sessions"])
	}
	if s.cpu(t) < used {
		t.Error("the node's CPU time goes back")
	}
	if u := c.usage(t); u.RSS == 0 || u.CPU == 0 {
		t.Errorf("the load process: %+v", u)
	}
}
