package e2e

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/admin"
)

// movedTo checks that between two states, so many partitions have gone to a node and none
// anywhere else.
func movedTo(t testing.TB, before, after *admin.ClusterStatus, to string, want int) {
	t.Helper()
	was, moved := owners(before), 0
	for p, owner := range owners(after) {
		switch owner {
		case was[p]:
		case to:
			moved++
		default:
			t.Errorf("partition %d went from %s to %s", p, was[p], owner)
		}
	}
	if moved != want {
		t.Errorf("%d partitions went to %s, want %d", moved, to, want)
	}
}

// TestClusterChanges adds a node to a cluster, gives it another weight, moves partitions by
// hand and back, and drains, stops and removes it. Every time only those partitions move
// that must, and no client loses its connection but those that are told where to go.
func TestClusterChanges(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b")
	a := c.all["a"]
	two := c.shares(a, map[string]int{"a": 12, "b": 12})
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())

	added := c.add("c")
	c.start("c")
	three := c.shares(a, map[string]int{"a": 8, "b": 8, "c": 8})
	movedTo(t, two, three, "c", 8)
	eventually(t, "the new node has its clients", func() bool { return len(w.at(added)) > 0 })

	weight := 2
	a.granted(t, cluster.Request{Kind: cluster.KindWeight, Node: "c", Weight: &weight})
	heavy := c.shares(a, map[string]int{"a": 6, "b": 6, "c": 12})
	movedTo(t, three, heavy, "c", 4)

	var byHand cluster.Ranges
	for _, share := range heavy.Partitions {
		if share.Owner == "c" {
			byHand = append(byHand, cluster.Range{First: share.Partitions[0].First, Last: share.Partitions[0].First})
			break
		}
	}
	a.granted(t, cluster.Request{Kind: cluster.KindMove, Partitions: byHand, To: "a"})
	movedTo(t, heavy, c.shares(a, map[string]int{"a": 7, "b": 6, "c": 11}), "a", 1)
	a.granted(t, cluster.Request{Kind: cluster.KindRebalance})
	heavy = c.shares(a, map[string]int{"a": 6, "b": 6, "c": 12})

	a.granted(t, cluster.Request{Kind: cluster.KindDrain, Node: "c"})
	drained := c.shares(a, map[string]int{"a": 12, "b": 12})
	was := owners(heavy)
	for p, owner := range owners(drained) {
		if was[p] != "c" && owner != was[p] {
			t.Errorf("partition %d went from %s to %s while c was drained", p, was[p], owner)
		}
	}
	if n := nodeOf(t, drained, "c"); n.State != cluster.Draining {
		t.Errorf("the drained node is %+v", n)
	}
	eventually(t, "the drained node has no clients", func() bool { return added.metrics(t).of(t, "godwit_sessions") == 0 })
	added.stop(t)
	eventually(t, "the node has left", func() bool { return nodeOf(t, a.status(t), "c").State == cluster.Left })
	a.granted(t, cluster.Request{Kind: cluster.KindRemove, Node: "c"})
	eventually(t, "the node is forgotten", func() bool { return len(a.status(t).Nodes) == 2 })

	w.served(w.people, time.Now())
	w.settle()
	w.onlyMoved()
}

// onlyMoved checks that no connection ended but by a word where to go.
func (w *crowd) onlyMoved() {
	w.t.Helper()
	for _, p := range w.people {
		p.mu.Lock()
		for code, times := range p.ends {
			if code != codec.CloseMoved {
				w.t.Errorf("%d connections of %s ended with code %d", times, p.name, code)
			}
		}
		p.mu.Unlock()
	}
}

// TestClusterRollingRestart restarts all nodes of a cluster one after the other, as a new
// version is brought out: each hands its partitions over, ends well, comes back and gets
// its share.
func TestClusterRollingRestart(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b", "c")
	thirds := map[string]int{"a": 8, "b": 8, "c": 8}
	c.shares(c.all["a"], thirds)
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())
	for _, m := range c.except() {
		at := time.Now()
		m.stop(t)
		t.Logf("%s has ended after %v", m.name, since(at))
		if l, ok := m.Logged("the node stops before all of its partitions are handed over"); ok {
			t.Errorf("%s: %+v", m.name, l)
		}
		c.start(m.name)
		c.shares(m, thirds)
		eventually(t, m.name+" has clients", func() bool { return len(w.at(m)) > 0 })
		t.Logf("%s has its share again after %v", m.name, since(at))
	}
	w.served(w.people, time.Now())
	w.settle()
}
