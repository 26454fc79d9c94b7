package e2e

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/admin"
)

// clusterPartitions is how many partitions the clusters of these tests share.
const clusterPartitions = 24

// crowdSize is how many users they have.
const crowdSize = 120

// TestClusterNodeKilled kills nodes of a cluster with clients on them. While there is a
// standby it takes all that a dead node had, and nothing else moves; then the others
// share it. A node that comes back is a standby.
func TestClusterNodeKilled(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b", "c")
	c.add("spare", standbyFlags...)
	c.start("spare")
	before := c.shares(c.all["spare"], map[string]int{"a": 8, "b": 8, "c": 8})
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())

	c.attentive(c.except()...)
	controller := c.controller(c.except()...)
	first := c.except(controller, c.all["spare"])[0]
	c.kill(w, first, c.all["spare"], func(s *admin.ClusterStatus) {
		n, spare := nodeOf(t, s, first.name), nodeOf(t, s, "spare")
		if n.State != cluster.Standby || n.Reason != cluster.ReasonSuspected || spare.State != cluster.Active || spare.Reason != cluster.ReasonReplaced {
			t.Errorf("the dead node is %+v, the standby %+v", n, spare)
		}
		after := owners(s)
		for p, owner := range owners(before) {
			if owner == first.name {
				owner = "spare"
			}
			if after[p] != owner {
				t.Errorf("partition %d has gone to %s, want %s", p, after[p], owner)
			}
		}
	})

	// Now there is no standby. The controller is as good a victim as any.
	c.kill(w, controller, c.all["spare"], func(s *admin.ClusterStatus) {
		if want := map[string]int{"spare": 12, c.except(controller, first, c.all["spare"])[0].name: 12}; !maps.Equal(ownedBy(s), want) {
			t.Errorf("the nodes own %v, want %v", ownedBy(s), want)
		}
	})

	c.start(first.name, controller.name)
	for _, m := range []*member{first, controller} {
		eventually(t, m.name+" finds that it is a standby", func() bool {
			n := nodeOf(t, m.status(t), m.name)
			return n.State == cluster.Standby && !n.Suspected
		})
	}
	w.served(w.people, time.Now())
	w.settle()
}

// kill kills a node as kill -9 does and returns when its clients are served by others.
// check is given the state in which its partitions have new owners.
func (c *nodes) kill(w *crowd, victim, observer *member, check func(*admin.ClusterStatus)) {
	c.t.Helper()
	there := w.at(victim)
	if len(there) == 0 {
		c.t.Fatalf("nobody is connected to %s", victim.name)
	}
	at := time.Now()
	victim.Kill()
	c.replaced(victim, observer, at, check)
	c.t.Logf("%s: the first message of its clients is stored after %s", victim.name, summary(w.served(there, at)))
}

// replaced waits until a node that is silent since a moment is suspected, and then owns
// nothing any more.
func (c *nodes) replaced(victim, observer *member, at time.Time, check func(*admin.ClusterStatus)) {
	c.t.Helper()
	eventually(c.t, victim.name+" is suspected", func() bool { return nodeOf(c.t, observer.status(c.t), victim.name).Suspected })
	c.t.Logf("%s is suspected after %v", victim.name, since(at))
	var s *admin.ClusterStatus
	eventually(c.t, victim.name+" is replaced", func() bool {
		s = observer.status(c.t)
		return !slices.Contains(owners(s), victim.name) && resting(s)
	})
	c.t.Logf("%s has lost its partitions after %v", victim.name, since(at))
	check(s)
}
