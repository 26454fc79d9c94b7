package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/admin"
)

// The lines of a node's log when it loses Kafka, and when that is over.
const (
	lostKafka  = "agent: Kafka does not answer: the node is degraded, keeps its clients, and refuses what they send"
	foundKafka = "agent: Kafka answers again"
)

// outage is longer than anything that a node waits for while it does not reach Kafka.
const outage = time.Minute

// times returns how often a node has logged a message.
func (m *member) times(message string) int { return strings.Count(m.Stderr.String(), message) }

// TestClusterKafkaDown kills the Kafka of a cluster for a minute. All nodes are
// degraded. They keep their clients, refuse what these send in a way that has them try
// again, and tell them once. When Kafka is back, nothing has moved, and nothing moves.
func TestClusterKafkaDown(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b", "c")
	a := c.all["a"]
	before := c.shares(a, map[string]int{"a": 8, "b": 8, "c": 8})
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())

	// Those of the crowd wait for the answer to what they sent before; a guest of each node
	// waits for none.
	guests := make(map[*member]*device)
	for _, m := range c.except() {
		guests[m] = connect(t, m.node, userOf(t, m), options{device: "phone"})
	}

	at := time.Now()
	broker.Kill()
	for _, m := range c.except() {
		eventually(t, m.name+" is degraded", func() bool { return m.status(t).Degraded })
	}
	t.Logf("all nodes are degraded after %v", since(at))
	for m, guest := range guests {
		guest.send("1", "hello", w.people[0].name)
		if a := guest.ack("1", 0); a.Status != backplane.Rejected || !codec.Retryable(a.Code) {
			t.Errorf("%s answers a send with %d %q", m.name, a.Status, a.Code)
		}
	}
	eventually(t, "all clients were told", func() bool {
		return !slices.ContainsFunc(w.people, func(p *person) bool { return p.heard(codec.CodeDegraded) == 0 })
	})
	<-time.After(outage - time.Since(at))
	broker.Start(t)
	back := time.Now()
	t.Logf("Kafka is back after %v", since(at))
	for _, m := range c.except() {
		eventually(t, m.name+" is not degraded any more", func() bool { return !m.status(t).Degraded })
	}
	t.Logf("no node is degraded any more after another %v", since(back))
	t.Logf("the first message is stored after %s", summary(w.served(w.people, back)))

	// After a hole in everybody's beats nobody is suspected for ten seconds: so look on for
	// as long, and for the time in which a silent node would be.
	until := c.beat(a).Time + 15_000
	eventually(t, "the nodes have beaten for a while", func() bool { return c.beat(a).Time >= until })
	after := a.status(t)
	if !slices.Equal(owners(after), owners(before)) || !resting(after) {
		t.Errorf("partitions have moved: %+v, before: %+v", after.Partitions, before.Partitions)
	}
	for _, n := range after.Nodes {
		if n.State != cluster.Active || n.Suspected {
			t.Errorf("%s is %s, suspected is %v", n.ID, n.State, n.Suspected)
		}
	}
	for _, m := range c.except() {
		if lost, found := m.times(lostKafka), m.times(foundKafka); lost != 1 || found != 1 {
			t.Errorf("%s was degraded %d times, and well again %d times", m.name, lost, found)
		}
	}
	for m, guest := range guests {
		guest.store("2", "hello", guest.user+"-s-friend")
		guest.mu.Lock()
		if len(guest.moved) != 0 {
			t.Errorf("%s sent its guest elsewhere: %+v", m.name, guest.moved)
		}
		guest.mu.Unlock()
	}
	w.settle()
	w.onlyMoved()
	for _, p := range w.people {
		if n := p.heard(codec.CodeDegraded); n != 1 {
			t.Errorf("%s was told %d times that the node has lost its log", p.name, n)
		}
	}
}

// heard returns how often the server has said something.
func (p *person) heard(code backplane.Code) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told[code]
}

// beat returns the latest beat of a node, as it sees it itself.
func (c *nodes) beat(m *member) *admin.ClusterBeat {
	c.t.Helper()
	b := nodeOf(c.t, m.status(c.t), m.name).Beat
	if b == nil {
		c.t.Fatalf("%s has not heard itself", m.name)
	}
	return b
}

// TestClusterNodeCutOff cuts a node off from Kafka, and not from its clients. It is
// degraded and says so; its clients ask the other nodes, which have taken its partitions,
// and go there. When it reaches Kafka again it is a standby.
func TestClusterNodeCutOff(t *testing.T) {
	t.Parallel()
	broker, way := kafkatest.TwoWays(t)
	cfg := broker.Config(t, clusterPartitions)
	createTopic(t, &cfg)
	c := newCluster(t, cfg, "a", "b")
	victim := c.add("victim")
	victim.log.Brokers = []string{way.Addr()}
	c.start("victim")
	thirds := map[string]int{"a": 8, "b": 8, "victim": 8}
	c.shares(c.all["a"], thirds)
	w := newCrowd(t, c, crowdSize)
	w.served(w.people, time.Now())

	c.attentive(c.except()...)
	there := w.at(victim)
	at := time.Now()
	way.Cut()
	c.replaced(victim, c.all["a"], at, func(s *admin.ClusterStatus) {
		if n := nodeOf(t, s, victim.name); n.State != cluster.Standby || n.Reason != cluster.ReasonSuspected {
			t.Errorf("the silent node is %+v", n)
		}
	})
	eventually(t, "the node is degraded", func() bool { return victim.status(t).Degraded })
	t.Logf("it is degraded after %v", since(at))
	t.Logf("the first message of its clients is stored after %s", summary(w.served(there, at)))
	if left := w.at(victim); len(left) != 0 {
		t.Errorf("%d clients are still connected to it", len(left))
	}
	for _, p := range there {
		if p.heard(codec.CodeDegraded) == 0 {
			t.Errorf("%s was not told that the node has lost its log", p.name)
		}
	}

	way.Restore()
	eventually(t, "it finds that it is a standby", func() bool {
		s := victim.status(t)
		n := nodeOf(t, s, victim.name)
		return !s.Degraded && n.State == cluster.Standby && !n.Suspected
	})
	c.all["a"].admit(t, victim.name)
	c.shares(victim, thirds)
	w.served(w.people, time.Now())
	w.settle()
}
