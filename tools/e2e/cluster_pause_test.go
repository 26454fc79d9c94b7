package e2e

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/admin"
)

// pause is long after others have taken what a silent node had.
const pause = 30 * time.Second

// TestClusterNodePaused stops the threads of a node, sees others take its partitions and
// its clients, and lets it go on much later: it finds that it is a standby,
// and serves nobody until it is told to. Connections to a node that is stopped stay open,
// and the heartbeat is an hour, so its clients leave only because what they send has no
// answer.
func TestClusterNodePaused(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Real(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg)
	for _, name := range []string{"a", "b", "c"} {
		c.add(name, "--limits-heartbeat", "1h")
	}
	c.start("a", "b", "c")
	c.shares(c.all["a"], map[string]int{"a": 8, "b": 8, "c": 8})
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())

	c.attentive(c.except()...)
	controller := c.controller(c.except()...)
	victim := c.except(controller)[0]
	there := w.at(victim)
	at := time.Now()
	victim.pause(t)
	c.replaced(victim, controller, at, func(s *admin.ClusterStatus) {
		if n := nodeOf(t, s, victim.name); n.State != cluster.Standby || n.Reason != cluster.ReasonSuspected {
			t.Errorf("the silent node is %+v", n)
		}
	})
	t.Logf("the first message of its clients is stored after %s", summary(w.served(there, at)))
	if still := w.at(victim); len(still) > 0 {
		t.Errorf("%d clients are at the silent node", len(still))
	}

	<-time.After(pause - time.Since(at))
	at = time.Now()
	victim.resume(t)
	eventually(t, "it finds that it is a standby", func() bool {
		s := victim.status(t)
		n := nodeOf(t, s, victim.name)
		return n.State == cluster.Standby && !n.Suspected && !s.Degraded && s.MapVersion == controller.status(t).MapVersion
	})
	t.Logf("it is a standby %v after it went on", since(at))
	eventually(t, "it is ready and serves nobody", func() bool {
		return victim.ready() && victim.metrics(t).of(t, "godwit_sessions") == 0
	})
	w.served(w.people, time.Now())

	controller.admit(t, victim.name)
	c.shares(controller, map[string]int{"a": 8, "b": 8, "c": 8})
	eventually(t, "it serves clients again", func() bool { return len(w.at(victim)) > 0 })
	w.served(w.people, time.Now())
	w.settle()
}
