package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/placement"
)

const clusterPartitions = 8

// node is an Agent with what it needs of a node.
type node struct {
	*Agent
	reading  *reading
	registry *registry.Registry
	current  *placement.Current
	loops    *loops

	mu   sync.Mutex
	live []cluster.Live // guarded by mu: what it was told
}

// loops are a node's event loops: they are never busy, and their clients leave when they
// are told where to go.
type loops struct {
	registry *registry.Registry
	mu       sync.Mutex
	users    map[registry.Handle]string // guarded by mu
	degraded int                        // guarded by mu: times that it was told
}

func (*loops) Settle(context.Context) error { return nil }

func (l *loops) Move(list []registry.Handle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range list {
		if user, ok := l.users[h]; ok {
			l.registry.Remove(user, h)
			delete(l.users, h)
		}
	}
}

func (l *loops) TellDegraded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.degraded++
}

// connect connects a client of a user.
func (l *loops) connect(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := registry.MakeHandle(0, len(l.users), 1)
	l.users[h] = user
	l.registry.Add(user, h)
}

func (l *loops) connected() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.users)
}

// topics returns the configuration of a cluster that has not begun.
func topics(t *testing.T) kafka.Config {
	t.Helper()
	cfg := kafkatest.Embedded(t, clusterPartitions)
	makeTopics(t, cfg)
	return cfg
}

// makeTopics makes the topics of a cluster that are not there.
func makeTopics(t *testing.T, cfg kafka.Config) {
	t.Helper()
	o := kafkalog.TopicOptions{Replicas: 1, MinInsync: 1, Settings: map[string]*string{"unclean.leader.election.enable": nil}}
	if _, err := kafkalog.Create(t.Context(), cfg, o); err != nil {
		t.Fatal(err)
	}
}

// nodeOf starts the agent of a node.
func nodeOf(t *testing.T, cfg kafka.Config, id string, role cluster.State) (*node, error) {
	t.Helper()
	n := &node{
		reading: newReading(), registry: registry.New(), current: placement.NewCurrent(placement.Unknown(clusterPartitions, id)),
	}
	n.loops = &loops{registry: n.registry, users: make(map[registry.Handle]string)}
	var err error
	n.Agent, err = Start(t.Context(), Config{
		Kafka: cfg, Node: id, URL: "ws://" + id, Admin: "http://" + id, Capacity: 1000, Role: role, Weight: 1,
		Placement: n.current, Registry: n.registry, Consumer: n.reading, Loops: n.loops,
		Live: func(l cluster.Live) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.live = append(n.live, l)
		},
		Produced: time.Now, Fetched: time.Now, Log: quiet,
	})
	return n, err
}

// start starts the agent of a node, which closes when the test ends if not before.
func start(t *testing.T, cfg kafka.Config, id string, role cluster.State) *node {
	t.Helper()
	n, err := nodeOf(t, cfg, id, role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// leaders returns how many of the nodes are the controller.
func leaders(nodes ...*node) (n int) {
	for _, node := range nodes {
		if node.pulse.Load().Controller {
			n++
		}
	}
	return n
}

// share returns how many partitions a node owns by its map.
func (n *node) share() (owned int) {
	m := n.current.Load()
	for p := range backplane.Partition(m.N()) {
		if m.Role(p) == placement.Owner {
			owned++
		}
	}
	return owned
}

// settled reports whether all partitions are owned by some of the nodes, which agree on
// the map, and are read by their owners and by nobody else.
func settled(nodes ...*node) bool {
	owned := 0
	for _, n := range nodes {
		m := n.current.Load()
		if m.Version() == 0 || m.Version() != nodes[0].current.Load().Version() || n.Ready() != nil {
			return false
		}
		var mine []backplane.Partition
		for p := range backplane.Partition(clusterPartitions) {
			if m.Role(p) == placement.Owner {
				mine = append(mine, p)
			}
		}
		if !slices.Equal(mine, n.reading.list()) || !slices.Equal(mine, m.Partitions()) {
			return false
		}
		owned += len(mine)
	}
	return owned == clusterPartitions
}

// ask has a node propose a request, which must be granted.
func ask(t *testing.T, n *node, r cluster.Request) {
	t.Helper()
	r.ID, r.By = fmt.Sprint(r.Kind, "-", time.Now().UnixNano()), "a test"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if result, err := n.Propose(ctx, r); err != nil || !result.OK {
		t.Fatalf("%s: %+v, %v", r.Kind, result, err)
	}
}

// TestCluster is the life of a cluster: three nodes form it, one drains with clients and
// comes back, one ends, is replaced and comes back, and one leaves.
func TestCluster(t *testing.T) {
	cfg := topics(t)
	a := start(t, cfg, "a", cluster.Active)
	eventually(t, "the first node has all", func() bool { return settled(a) })
	b, c := start(t, cfg, "b", cluster.Active), start(t, cfg, "c", cluster.Standby)
	eventually(t, "each has its share", func() bool {
		return settled(a, b, c) && a.share() == clusterPartitions/2 && c.share() == 0
	})
	if n := leaders(a, b, c); n != 1 || !a.pulse.Load().Controller {
		t.Errorf("%d nodes are the controller", n)
	}

	// b drains with clients.
	for p := range backplane.Partition(clusterPartitions) {
		if b.current.Load().Role(p) == placement.Owner {
			for _, user := range usersOf(p, clusterPartitions, 20) {
				b.loops.connect(user)
			}
		}
	}
	clients := b.loops.connected()
	ask(t, a, cluster.Request{Kind: cluster.KindDrain, Node: "b"})
	eventually(t, "b has nothing", func() bool { return settled(a, b, c) && b.share() == 0 })
	if n := b.loops.connected(); n != 0 {
		t.Errorf("%d clients are left on a node that has let go", n)
	}
	if told := b.mover.told.Load(); told != uint64(clients) {
		t.Errorf("%d clients were told, of %d", told, clients)
	}
	ask(t, a, cluster.Request{Kind: cluster.KindAdd, Node: "b"})
	eventually(t, "b has its share", func() bool { return settled(a, b, c) && b.share() == clusterPartitions/2 })

	perSecond := 77
	ask(t, b, cluster.Request{Kind: cluster.KindSettings, Live: &cluster.LiveChange{MovedPerSecond: &perSecond}})
	eventually(t, "the settings are in force", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.live) == 2 && c.live[0].MovedPerSecond == cluster.DefaultLive().MovedPerSecond && c.live[1].MovedPerSecond == perSecond
	})

	// The controller ends, and has handed nothing over.
	a.Close()
	eventually(t, "its end is heard", func() bool { return lastBeat(b, "a").Last })
	eventually(t, "the standby has taken its place", func() bool {
		return settled(b, c) && c.share() == clusterPartitions/2 && leaders(b, c) == 1
	})
	if n, _ := c.Snapshot().Node("a"); n.State != cluster.Standby || n.Reason != cluster.ReasonEnded {
		t.Errorf("it is %s (%s)", n.State, n.Reason)
	}
	a = start(t, cfg, "a", cluster.Active)
	eventually(t, "it has a share again", func() bool { return settled(a, b, c) && a.share() > 0 })

	// A node leaves.
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.reading.list()) != 0 || b.current.Load().Partitions() != nil {
		t.Error("a node that has left still has partitions")
	}
	if b.Ready() == nil {
		eventually(t, "a node that has left is not ready", func() bool { return b.Ready() != nil })
	}
	b.Close()
	eventually(t, "the others go on", func() bool { return settled(a, c) && leaders(a, c) == 1 })
	for _, n := range []*node{a, c} {
		if err := n.Err(); err != nil {
			t.Error(err)
		}
		if n.Failure() != nil || n.Degraded() {
			t.Errorf("failed with %v, degraded %v", n.Failure(), n.Degraded())
		}
	}
	wantMetrics(t, c)
}

// wantMetrics checks that the metrics are there and that some are right.
func wantMetrics(t *testing.T, n *node) {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(n)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "/" + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if got["godwit_cluster_beat_age_seconds"] > patience.Seconds() || got["godwit_cluster_heard_age_seconds"] > patience.Seconds() {
		t.Errorf("ages: %v", got)
	}
	flips := 0
	for _, e := range n.Trail() {
		if e.Kind == control.KindFlip {
			flips++
		}
	}
	for name, want := range map[string]float64{
		"godwit_cluster_map_version":          float64(n.current.Load().Version()),
		"godwit_cluster_degraded":             0,
		"godwit_cluster_alarm":                0,
		"godwit_cluster_nodes/left":           1,
		"godwit_cluster_partitions/owned":     float64(n.share()),
		"godwit_cluster_partitions/behind":    0,
		"godwit_cluster_partitions/leaving":   0,
		"godwit_cluster_moved_total":          0,
		"godwit_cluster_decisions_total/flip": float64(flips),
	} {
		if v, ok := got[name]; v != want || !ok && want != 0 {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}

// lastBeat returns the last beat of a node that another one has heard.
func lastBeat(n *node, of string) beats.Seen {
	for _, seen := range n.Beats() {
		if seen.Node == of {
			return seen
		}
	}
	return beats.Seen{}
}

// TestTakenForEnded: the end of a process is heard late, when the next one under its name
// is in the cluster already. It joins again by itself.
func TestTakenForEnded(t *testing.T) {
	cfg := topics(t)
	a := start(t, cfg, "a", cluster.Active)
	b := start(t, cfg, "b", cluster.Active)
	eventually(t, "both serve", func() bool { return settled(a, b) && b.share() > 0 && leaders(a, b) == 1 && lastBeat(a, "b").N > 0 })
	if b.pulse.Load().Controller {
		a, b = b, a
	}
	replaced := func() bool {
		return slices.ContainsFunc(a.Trail(), func(e control.Entry) bool { return e.Kind == control.KindReplace })
	}
	late, err := kafkalog.NewBeater(cfg, func(last bool) beats.Beat {
		n := lastBeat(a, b.Node()).N
		if last {
			return beats.Beat{Node: b.Node(), Incarnation: b.incarnation, N: n} // nobody hears it
		}
		return beats.Beat{Node: b.Node(), Incarnation: b.incarnation, N: n + 2, Last: true}
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is replaced", replaced)
	late.Close()
	eventually(t, "it has its share again", func() bool {
		n, _ := a.Snapshot().Node(b.Node())
		return settled(a, b) && n.State == cluster.Active && b.share() == clusterPartitions/2
	})
}

// TestTopicMadeAnew: the topic of the records is made anew while a node runs. It goes on
// by what it has, writes nothing, and says why; and a node that starts beside it does not
// begin another cluster before it has gone.
func TestTopicMadeAnew(t *testing.T) {
	cfg := topics(t)
	a := start(t, cfg, "a", cluster.Active)
	eventually(t, "it serves, and beats so", func() bool { return settled(a) && lastBeat(a, "a").Version > 0 })
	kafkatest.DeleteTopic(t, cfg, kafkalog.ClusterTopic(cfg.Namespace))
	makeTopics(t, cfg)
	eventually(t, "there is an alarm", func() bool { return errors.Is(a.Alarm(), kafkalog.ErrReplaced) })
	if _, err := a.Propose(t.Context(), cluster.Request{ID: "late", Kind: cluster.KindRebalance}); !errors.Is(err, kafkalog.ErrReplaced) {
		t.Errorf("a request fails with %v", err)
	}

	b := start(t, cfg, "b", cluster.Active)
	eventually(t, "b says what holds it up", func() bool {
		err := b.Ready()
		return err != nil && strings.Contains(err.Error(), `node "a" goes by map version`)
	})
	eventually(t, "b has been there for a while", func() bool {
		for _, seen := range b.state.Load().seen {
			if seen.Node == "b" {
				return seen.N > 3*beats.MaxHole/beats.Interval
			}
		}
		return false
	})
	if b.Snapshot().Version() != 0 || leaders(a, b) != 0 || a.share() != clusterPartitions {
		t.Errorf("b has map version %d, %d nodes are the controller", b.Snapshot().Version(), leaders(a, b))
	}
	a.Close()
	eventually(t, "b begins anew", func() bool { return settled(b) && leaders(b) == 1 })
}

// TestOneName: of two processes of one name the older one ends.
func TestOneName(t *testing.T) {
	cfg := topics(t)
	old := start(t, cfg, "a", cluster.Active)
	eventually(t, "it serves", func() bool { return settled(old) })
	// Which of them is older is told by their beats, where they differ by more than a second.
	eventually(t, "it beats", func() bool { return old.Beats()[0].N > 4 })
	young := start(t, cfg, "a", cluster.Active)
	select {
	case <-old.Failed():
	case <-young.Failed():
		t.Fatalf("the younger one ends: %v", young.Failure())
	case <-time.After(patience):
		t.Fatal("none of them ends")
	}
	old.Close()
	eventually(t, "the younger one serves", func() bool { return settled(young) && young.pulse.Load().Controller })
	if young.Failure() != nil {
		t.Error(young.Failure())
	}
}

// TestOtherLog: a node that is configured for another log is not let in.
func TestOtherLog(t *testing.T) {
	cfg := topics(t)
	a := start(t, cfg, "a", cluster.Active)
	eventually(t, "it serves", func() bool { return settled(a) })
	cfg.Generation++
	if b, err := nodeOf(t, cfg, "b", cluster.Active); err == nil {
		b.Close()
		t.Error("it starts")
	}
}

// TestRefused: a node that the cluster does not let in fails and says why.
func TestRefused(t *testing.T) {
	cfg := topics(t)
	n := &node{reading: newReading(), registry: registry.New(), current: placement.NewCurrent(placement.Unknown(clusterPartitions, "a"))}
	a, err := Start(t.Context(), Config{
		Kafka: cfg, Node: "a", URL: "gopher://a", Admin: "http://a", Capacity: 1000, Weight: 1,
		Placement: n.current, Registry: n.registry, Consumer: n.reading, Loops: &loops{},
		Live: func(cluster.Live) {}, Produced: time.Now, Fetched: time.Now, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	select {
	case <-a.Failed():
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	if a.Failure() == nil || a.Ready() == nil {
		t.Errorf("failure %v, ready %v", a.Failure(), a.Ready())
	}
}

// TestCloseAtAnyMoment: an agent that begins, takes the place, joins and decides can be
// closed in the middle of it. TestMain looks for what is left.
func TestCloseAtAnyMoment(t *testing.T) {
	cfg := topics(t)
	for i := range 25 {
		n, err := nodeOf(t, cfg, fmt.Sprint("n", i%3), cluster.Active)
		if err != nil {
			t.Fatal(err)
		}
		end := time.After(time.Duration(i*i) * 4 * time.Millisecond)
		for open := true; open; {
			select {
			case <-n.Changed(): // in the middle of something
				open = i%2 == 0
			case <-end:
				open = false
			}
		}
		if i%5 == 0 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_ = n.Leave(ctx)
			cancel()
		}
		n.Close()
		if _, err := n.Propose(t.Context(), cluster.Request{ID: "late", Kind: cluster.KindRebalance}); err == nil {
			t.Fatal("a closed agent proposes")
		}
	}
}
