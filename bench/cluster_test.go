package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/bench/report"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/auth"
)

// fleet is a cluster under test.
type fleet struct {
	log   kafka.Config
	key   *auth.DevKey
	nodes map[string]*server
}

// launchFleet starts a cluster: n active nodes, n1 and on, and a standby named spare.
func launchFleet(b *testing.B, partitions int32, n int) *fleet {
	b.Helper()
	f := launchActive(b, partitions, n)
	f.start(b, "spare", "standby")
	f.settle(b, n)
	return f
}

// launchActive starts a cluster of n active nodes, n1 and on.
func launchActive(b *testing.B, partitions int32, n int) *fleet {
	b.Helper()
	signs, err := auth.OpenDevKey(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	f := &fleet{log: kafkatest.Real(b, partitions), key: signs, nodes: map[string]*server{}}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if _, err := kafkalog.Create(ctx, f.log, kafkalog.TopicOptions{Replicas: 1, MinInsync: 1}); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		f.start(b, fmt.Sprintf("n%d", i+1), "active")
	}
	f.settle(b, n)
	return f
}

// start starts a node, and returns when it is in the cluster and serves what it owns.
func (f *fleet) start(b *testing.B, name, role string) {
	b.Helper()
	f.nodes[name] = serve(b, f.log, "--token-key-file", f.key.File(), "--cluster-enabled", "--node", name, "--cluster-role", role)
}

// settle returns when n nodes are active, each with its share, and nothing moves.
func (f *fleet) settle(b *testing.B, n int) {
	b.Helper()
	eventually(b, "the cluster has settled", func() bool {
		s := f.status(b)
		active := 0
		for _, node := range s.Nodes {
			if node.Next > 0 || node.Previous > 0 {
				return false
			}
			if node.State == cluster.Active {
				active++
				if share := int(f.log.Partitions) / n; node.Owner < share || node.Owner > share+1 {
					return false
				}
			} else if node.Owner > 0 {
				return false
			}
		}
		return active == n
	})
}

// any returns a node that runs.
func (f *fleet) any() *server {
	for _, s := range f.nodes {
		return s
	}
	return nil
}

// status asks a node that runs how the cluster is.
func (f *fleet) status(b *testing.B) (s admin.ClusterStatus) {
	b.Helper()
	return statusOf(b, f.any())
}

func statusOf(b *testing.B, node *server) (s admin.ClusterStatus) {
	b.Helper()
	if err := json.Unmarshal([]byte(node.get(b, "/v1/cluster")), &s); err != nil {
		b.Fatal(err)
	}
	return s
}

// ask has the controller do something, and returns when it has decided.
func (f *fleet) ask(b *testing.B, r cluster.Request) admin.ClusterAnswer {
	b.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := adminClient.Post(f.any().admin+"/v1/cluster/requests", "application/json", bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var a admin.ClusterAnswer
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s %s %v", text, resp.Status, body, err)
	}
	return a
}

// owned returns the partitions that a node owns.
func (f *fleet) owned(b *testing.B, node string) (owned []backplane.Partition) {
	b.Helper()
	for _, share := range f.status(b).Partitions {
		if share.Owner == node {
			owned = append(owned, share.Partitions.Partitions()...)
		}
	}
	return owned
}

// urls returns the addresses of the nodes that run.
func (f *fleet) urls() (urls []string) {
	for _, s := range f.nodes {
		urls = append(urls, "ws://"+s.addr)
	}
	slices.Sort(urls)
	return urls
}

// BenchmarkFailover kills a node that has clients, under 2,000 messages a second, and
// measures from the kill: until the others have given its partitions to the standby
// (detect-ms), until a first message comes to a client through it (first-message-ms), and
// until the last of the clients is connected again (all-back-ms). Every message that was
// acknowledged must arrive exactly once. In "controller" the victim decides for the
// cluster as well. -rounds says how often; brokers have their default settings.
//
//	go test ./bench -run '^$' -bench Failover -rounds 10
func BenchmarkFailover(b *testing.B) {
	for _, controller := range []bool{false, true} {
		name := "node"
		if controller {
			name = "controller"
		}
		b.Run(name, func(b *testing.B) {
			noTime(b)
			f := launchFleet(b, 64, 2)
			u := newUsers(b, f, size(200, 40))
			defer u.end()
			stop := u.talk(size(2000.0, 200))
			columns := map[string][]float64{}
			for range *rounds {
				failover(b, f, u, controller, columns)
			}
			stop()
			u.check()
			for _, name := range []string{"detect-ms", "first-message-ms", "all-back-ms"} {
				metric(b, name, report.Median(columns[name]))
			}
		})
	}
}

// failover kills a node, waits until all is well, and brings it back as the standby.
func failover(b *testing.B, f *fleet, u *users, controller bool, columns map[string][]float64) {
	b.Helper()
	status := f.status(b)
	victim := ""
	for _, n := range status.Nodes {
		if n.Owner > 0 && (n.ID == status.Controller.Node) == controller {
			victim = n.ID
		}
	}
	if victim == "" { // the controller owns nothing: the standby has been it since the start
		b.Fatalf("no node to kill: %+v", status)
	}
	clients := u.of(f.owned(b, victim))
	s := f.nodes[victim]
	delete(f.nodes, victim)
	since := time.Now()
	s.Signal(b, syscall.SIGKILL)
	eventually(b, "the others have noticed", func() bool {
		for _, n := range f.status(b).Nodes {
			if n.ID == victim {
				return n.Owner == 0
			}
		}
		return true
	})
	detected := time.Since(since)
	first, all := u.back(clients, since)
	for name, d := range map[string]time.Duration{"detect-ms": detected, "first-message-ms": first, "all-back-ms": all} {
		columns[name] = append(columns[name], float64(d.Microseconds())/1000)
	}
	tell("%s: noticed after %v, first message after %v, all back after %v", b.Name(), detected, first, all)
	f.start(b, victim, "standby") // it is one by now
	f.settle(b, 2)
}

// BenchmarkMove moves the partitions of one node to another and back, while a message
// comes to each user 50 times a second, and reports the longest pause between two messages
// that a client of them saw; still-... is the same in as much time without a move. Every
// message that was acknowledged must arrive exactly once.
//
//	go test ./bench -run '^$' -bench Move
func BenchmarkMove(b *testing.B) {
	noTime(b)
	const partitions = 32 // as many as move at a time
	f := launchFleet(b, partitions, 2)
	u := newUsers(b, f, size(40, 10))
	defer u.end()
	stop := u.talk(float64(len(u.all)) * 50)
	var still, moved []float64
	from, to := "n1", "n2"
	for range *rounds + 1 {
		list := f.owned(b, from)
		clients := u.of(list)
		begin := time.Now()
		u.pauses(clients)
		f.ask(b, cluster.Request{Kind: cluster.KindMove, To: to, Partitions: cluster.RangesOf(list)})
		eventually(b, "the partitions have moved", func() bool {
			s := f.status(b)
			return !slices.ContainsFunc(s.Nodes, func(n admin.ClusterNode) bool {
				return n.Next > 0 || n.Previous > 0 || n.ID == from && n.Owner > 0
			})
		})
		took := time.Since(begin)
		moved = append(moved, u.pauses(clients)...)
		time.Sleep(took)
		still = append(still, u.pauses(clients)...)
		tell("%s: %d partitions from %s to %s in %v", b.Name(), len(list), from, to, took)
		from, to = to, from
	}
	stop()
	u.check()
	for name, list := range map[string][]float64{"": moved, "still-": still} {
		metric(b, name+"pause-p50-ms", quantile(list, 0.5))
		metric(b, name+"pause-p99-ms", quantile(list, 0.99))
	}
}

// BenchmarkConfigPropagation changes a setting of all nodes and measures until every one of
// four has it, from when it was asked for.
//
//	go test ./bench -run '^$' -bench ConfigPropagation
func BenchmarkConfigPropagation(b *testing.B) {
	noTime(b)
	f := launchFleet(b, 64, 3)
	var times []float64
	for i := range size(50, 5) {
		burst := 1000 + i
		since := time.Now()
		f.ask(b, cluster.Request{Kind: cluster.KindSettings, Live: &cluster.LiveChange{SendsBurst: &burst}})
		for _, node := range f.nodes {
			eventually(b, "the node has the setting", func() bool { return statusOf(b, node).Settings.Live.SendsBurst == burst })
		}
		times = append(times, float64(time.Since(since).Microseconds())/1000)
	}
	metric(b, "p50-ms", quantile(times, 0.5))
	metric(b, "p99-ms", quantile(times, 0.99))
}

// quantile returns the smallest of the values that as large a part of them does not exceed.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}
