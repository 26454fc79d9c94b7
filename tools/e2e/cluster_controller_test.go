package e2e

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestClusterController kills the controller of a cluster in the middle of moves, and stops
// its successor in the middle of others: each time another one goes on with them, and the
// one that was stopped steps down when it goes on.
func TestClusterController(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b", "c")
	c.shares(c.all["a"], map[string]int{"a": 8, "b": 8, "c": 8})
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())
	inFlight := func(at *member, n int) {
		t.Helper()
		at.granted(t, cluster.Request{Kind: cluster.KindSettings, Live: &cluster.LiveChange{MovesInFlight: &n}})
	}

	killed := c.controller(c.except()...)
	leaving, other := c.except(killed)[0], c.except(killed)[1]
	inFlight(killed, 1)
	leaving.granted(t, cluster.Request{Kind: cluster.KindDrain, Node: leaving.name})
	eventually(t, "some partitions have moved", func() bool { return ownedBy(leaving.status(t))[leaving.name] <= 6 })
	at := time.Now()
	killed.Kill()
	if s := leaving.status(t); ownedBy(s)[leaving.name] == 0 {
		t.Fatalf("all partitions have moved before the controller was killed: %+v", s.Partitions)
	}
	next := c.controller(leaving, other)
	t.Logf("%s is the controller %v after %s was killed", next.name, since(at), killed.name)
	inFlight(other, clusterPartitions)
	s := c.shares(next, map[string]int{other.name: clusterPartitions})
	t.Logf("the moves are done after %v", since(at))
	if n := nodeOf(t, s, leaving.name); n.State != cluster.Draining {
		t.Errorf("the node that drains is %+v", n)
	}
	w.served(w.people, at)

	c.start(killed.name)
	inFlight(other, 1)
	for _, m := range []*member{killed, leaving} {
		other.admit(t, m.name)
	}
	eventually(t, "some partitions have moved", func() bool { return ownedBy(other.status(t))[other.name] <= clusterPartitions-2 })
	// On a slow machine two nodes may have taken the place, one after the other.
	next = c.controller(c.except()...)
	epoch := next.status(t).Controller.Epoch
	at = time.Now()
	next.pause(t)
	observer := c.except(next)[0]
	eventually(t, "the one that was stopped is suspected", func() bool { return nodeOf(t, observer.status(t), next.name).Suspected })
	last := c.controller(c.except(next)...)
	t.Logf("%s is the controller %v after %s was stopped", last.name, since(at), next.name)
	if k := last.status(t).Controller; k.Epoch <= epoch {
		t.Errorf("the epoch was %d, and the controller is %+v", epoch, k)
	}
	next.resume(t)
	eventually(t, "the one that was stopped has stepped down", func() bool {
		s := next.status(t)
		_, said := next.Logged("agent: another node is the controller")
		beat := nodeOf(t, s, next.name).Beat
		return said && s.Controller.Node != next.name && beat != nil && !beat.Controller
	})
	inFlight(next, clusterPartitions) // it asks the other one now
	eventually(t, "the moves are done", func() bool {
		s = last.status(t)
		return resting(s) && nodeOf(t, s, next.name).State == cluster.Standby && ownedBy(s)[next.name] == 0
	})
	want := make(map[string]int)
	for _, m := range c.except(next) {
		want[m.name] = clusterPartitions / 2
	}
	for _, m := range c.except() {
		c.shares(m, want)
	}
	w.served(w.people, time.Now())
	w.settle()
}
