package cluster_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

// counts returns how many partitions each node has in a target.
func counts(target []string) map[string]int {
	c := make(map[string]int)
	for _, id := range target {
		c[id]++
	}
	return c
}

// clusterOf returns a cluster with n partitions, which belong to owner(p).
func clusterOf(n int32, owner func(backplane.Partition) string, nodes ...cluster.Node) *cluster.Snapshot {
	changes := []cluster.Change{
		cluster.Put(cluster.Settings{Partitions: n, Live: cluster.DefaultLive()}),
		cluster.Put(cluster.Controller{Version: 1, Node: nodes[0].ID}),
	}
	for _, node := range nodes {
		changes = append(changes, cluster.Put(node))
	}
	for p := range backplane.Partition(n) {
		if id := owner(p); id != "" {
			changes = append(changes, cluster.Put(cluster.Assignment{Partition: p, Owner: id}))
		}
	}
	return new(cluster.Snapshot).With(changes...)
}

func nobody(backplane.Partition) string { return "" }

func weighing(id string, weight, capacity int) cluster.Node {
	n := node(id, cluster.Active, "")
	n.Weight, n.Capacity = weight, capacity
	return n
}

func TestTargetShares(t *testing.T) {
	for _, test := range []struct {
		name  string
		n     int32
		nodes []cluster.Node
		want  map[string]int
	}{
		{"equals", 9, []cluster.Node{weighing("a", 1, 10), weighing("b", 1, 10), weighing("c", 1, 10)}, map[string]int{"a": 3, "b": 3, "c": 3}},
		{"the rest goes to the lower ids", 11, []cluster.Node{weighing("a", 1, 10), weighing("b", 1, 10), weighing("c", 1, 10)}, map[string]int{"a": 4, "b": 4, "c": 3}},
		{"weights", 100, []cluster.Node{weighing("a", 1, 10), weighing("b", 1, 10), weighing("c", 2, 10)}, map[string]int{"a": 25, "b": 25, "c": 50}},
		{"rounding by what is lost", 10, []cluster.Node{weighing("a", 1, 10), weighing("b", 4, 10), weighing("c", 4, 10)}, map[string]int{"a": 1, "b": 5, "c": 4}},
		{"weight 0", 10, []cluster.Node{weighing("a", 0, 10), weighing("b", 5, 10)}, map[string]int{"b": 10}},
		{"all of weight 0", 10, []cluster.Node{weighing("a", 0, 10), weighing("b", 0, 10)}, map[string]int{"a": 5, "b": 5}},
		// a may have 1.5 x 100 x 10 / 100 = 15.
		{"a small one", 100, []cluster.Node{weighing("a", 1, 10), weighing("b", 1, 90)}, map[string]int{"a": 15, "b": 85}},
		// a and b may have 1.5 x 10: c is left with more than its weight asks for.
		{"two small ones", 100, []cluster.Node{weighing("a", 3, 10), weighing("b", 1, 10), weighing("c", 1, 80)}, map[string]int{"a": 15, "b": 15, "c": 70}},
		{"capacity below the limit makes no difference", 100, []cluster.Node{weighing("a", 1, 40), weighing("b", 1, 60)}, map[string]int{"a": 50, "b": 50}},
		{"more nodes than partitions", 2, []cluster.Node{weighing("a", 1, 10), weighing("b", 1, 10), weighing("c", 1, 10)}, map[string]int{"a": 1, "b": 1}},
		{"others do not count", 4, []cluster.Node{node("a", cluster.Draining, ""), node("b", cluster.Standby, ""), node("c", cluster.Left, ""), node("d", cluster.Active, "")}, map[string]int{"d": 4}},
	} {
		s := clusterOf(test.n, nobody, test.nodes...)
		if got := counts(cluster.Target(s, cluster.Moment{})); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: shares are %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTargetOfSpecialCases(t *testing.T) {
	owner := func(p backplane.Partition) string { return []string{"a", "b"}[p%2] }
	a, b := node("a", cluster.Active, ""), node("b", cluster.Active, "")
	s := clusterOf(4, owner, a, b)

	target := func(s *cluster.Snapshot, suspected ...string) []string {
		m := cluster.Moment{Suspected: make(map[string]bool)}
		for _, id := range suspected {
			m.Suspected[id] = true
		}
		return cluster.Target(s, m)
	}
	for _, test := range []struct {
		name string
		got  []string
		want []string
	}{
		{"in balance", target(s), []string{"a", "b", "a", "b"}},
		{"one is silent", target(s, "a"), []string{"b", "b", "b", "b"}},
		{"all are silent: nothing moves", target(s, "a", "b"), []string{"a", "b", "a", "b"}},
		{"an owner that is not known", target(s.With(cluster.Delete("node/a"))), []string{"b", "b", "b", "b"}},
		{"an owner of a newer record keeps what it has", target(s.With(newer("node/a"))), []string{"a", "b", "a", "b"}},
		{"a newer record of a partition is nobody's business", target(s.With(newer("partition/0"))), []string{"", "b", "a", "b"}},
		{"nobody owns one", target(s.With(cluster.Delete("partition/0"))), []string{"a", "b", "a", "b"}},
		// A move that is under way counts: partition 0 is b's already, so b gives one of its
		// others back.
		{"under way", target(s.With(cluster.Put(cluster.Assignment{Partition: 0, Owner: "a", Next: "b"}))), []string{"b", "b", "a", "a"}},
		{"under way to a silent node", target(s.With(cluster.Put(cluster.Assignment{Partition: 0, Owner: "a", Next: "x"}))), []string{"a", "b", "a", "b"}},
		{"no settings", target(new(cluster.Snapshot)), []string{}},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
}

// sharers returns what the rule says each node may have: the lowest and the highest
// number of partitions. It computes with reals, and by another way than Target: it
// looks for the one price per unit of weight at which the shares add up.
func sharers(s *cluster.Snapshot, m cluster.Moment) map[string][2]int {
	weight, limit := make(map[string]float64), make(map[string]float64)
	var capacity float64
	for _, zero := range []bool{false, true} {
		for _, n := range s.Nodes() {
			if n.State == cluster.Active && !m.Suspected[n.ID] && (n.Weight > 0 || zero) {
				weight[n.ID] = max(float64(n.Weight), 1)
				capacity += float64(n.Capacity)
			}
		}
		if len(weight) > 0 {
			break
		}
	}
	for id := range weight {
		n, _ := s.Node(id)
		limit[id] = math.Ceil(1.5*float64(s.N())*float64(n.Capacity)/capacity - 1e-9)
	}
	low, high := 0.0, float64(s.N())
	for range 200 {
		price := (low + high) / 2
		total := 0.0
		for id, w := range weight {
			total += min(price*w, limit[id])
		}
		if total < float64(s.N()) {
			low = price
		} else {
			high = price
		}
	}
	bounds := make(map[string][2]int)
	for id, w := range weight {
		share := min(high*w, limit[id])
		bounds[id] = [2]int{int(math.Floor(share + 1e-6)), int(math.Ceil(share - 1e-6))}
	}
	return bounds
}

// fewestMoves returns the number of moves that no distribution within the bounds goes
// below, found by trying all ways to hand out what rounding leaves over.
func fewestMoves(bounds map[string][2]int, held map[string]int, n int) int {
	var ids []string
	for id := range bounds {
		ids = append(ids, id)
	}
	best := math.MaxInt
	var try func(i, left, kept int)
	try = func(i, left, kept int) {
		if i == len(ids) {
			if left == 0 {
				best = min(best, n-kept)
			}
			return
		}
		for quota := bounds[ids[i]][0]; quota <= bounds[ids[i]][1]; quota++ {
			try(i+1, left-quota, kept+min(quota, held[ids[i]]))
		}
	}
	try(0, n, 0)
	return best
}

// TestTargetByTheRule compares with the rule itself: each node has its share, rounded
// down or up, no distribution of that kind needs fewer moves, and a cluster that is
// as its target says stays so.
func TestTargetByTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int32Range(1, 60).Draw(t, "partitions")
		states := rapid.SampledFrom([]cluster.State{cluster.Active, cluster.Active, cluster.Active, cluster.Standby, cluster.Draining, cluster.Left})
		m := cluster.Moment{Suspected: make(map[string]bool)}
		var nodes []cluster.Node
		ids := []string{""}
		for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			node := weighing(string(rune('a'+i)), rapid.IntRange(0, 4).Draw(t, "weight"), rapid.SampledFrom([]int{1, 10, 20, 100}).Draw(t, "capacity"))
			node.State = states.Draw(t, "state")
			m.Suspected[node.ID] = rapid.IntRange(0, 4).Draw(t, "silent") == 0
			nodes, ids = append(nodes, node), append(ids, node.ID)
		}
		owner := rapid.SampledFrom(append(ids, "unknown"))
		s := clusterOf(n, func(backplane.Partition) string { return owner.Draw(t, "owner") }, nodes...)
		for range rapid.IntRange(0, 5).Draw(t, "moving") {
			a := s.Assignment(backplane.Partition(rapid.Int32Range(0, n-1).Draw(t, "partition")))
			if a.Next = owner.Draw(t, "next"); a.Owner != "" {
				s = s.With(cluster.Put(a))
			}
		}

		target := cluster.Target(s, m)
		bounds := sharers(s, m)
		held := make(map[string]int)
		moves := 0
		for p, id := range target {
			a := s.Assignment(backplane.Partition(p))
			if len(bounds) == 0 {
				if id != a.Owner {
					t.Fatalf("partition %d goes to %q, and nobody can take it", p, id)
				}
				continue
			}
			at := a.Owner
			if _, ok := bounds[a.Next]; ok {
				at = a.Next
			}
			held[at]++
			if at != id {
				moves++
			}
		}
		if len(bounds) == 0 {
			return
		}
		got := counts(target)
		for id, b := range bounds {
			if got[id] < b[0] || got[id] > b[1] {
				t.Fatalf("%s has %d partitions, want %d to %d", id, got[id], b[0], b[1])
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Fatalf("these must have none: %v", got)
		}
		if want := fewestMoves(bounds, held, int(n)); moves != want {
			t.Fatalf("%d moves, and %d would do", moves, want)
		}

		var changes []cluster.Change
		for p, id := range target {
			changes = append(changes, cluster.Put(cluster.Assignment{Partition: backplane.Partition(p), Owner: id}))
		}
		if again := cluster.Target(s.With(changes...), m); !slices.Equal(again, target) {
			t.Fatalf("the target of the target is %v, want %v", again, target)
		}
	})
}

// TestTargetMovesOnlyWhatItMust counts the moves of what clusters go through.
func TestTargetMovesOnlyWhatItMust(t *testing.T) {
	var nodes []cluster.Node
	for i := range 8 {
		nodes = append(nodes, weighing(fmt.Sprint("n", i), 1, 10))
	}
	s := clusterOf(1024, nobody, nodes...)
	settle := func(what string, most int) {
		target := cluster.Target(s, cluster.Moment{})
		moves := 0
		var changes []cluster.Change
		for p, id := range target {
			if a := s.Assignment(backplane.Partition(p)); a.Owner != id {
				moves++
				changes = append(changes, cluster.Put(cluster.Assignment{Partition: a.Partition, Owner: id}))
			}
		}
		if moves != most {
			t.Errorf("%s: %d moves, want %d", what, moves, most)
		}
		s = s.With(changes...)
	}
	settle("the first time", 1024)
	settle("nothing new", 0)
	s = s.With(cluster.Put(weighing("n8", 1, 10)))
	settle("a ninth node", 113) // 1024/9 rounded down: that makes a move less than up
	s = s.With(cluster.Delete("node/n0"))
	settle("one goes", 114)
	s = s.With(cluster.Put(weighing("n1", 2, 20)))
	settle("one gets twice the weight", 2048/9-128)
}

// TestBestStandby chooses by capacity, then by id.
func TestBestStandby(t *testing.T) {
	standby := func(id string, capacity int) cluster.Node {
		n := node(id, cluster.Standby, "")
		n.Capacity = capacity
		return n
	}
	s := clusterOf(1, nobody, standby("a", 1), standby("b", 3), standby("c", 3), weighing("d", 1, 9))
	for _, test := range []struct {
		instead, suspected, want string
	}{{"d", "", "b"}, {"d", "b", "c"}, {"b", "", "c"}, {"c", "b", "a"}} {
		m := cluster.Moment{Suspected: map[string]bool{test.suspected: true}}
		if got, ok := cluster.BestStandby(s, m, test.instead); !ok || got.ID != test.want {
			t.Errorf("instead of %s, with %s silent: %s, want %s", test.instead, test.suspected, got.ID, test.want)
		}
	}
	if got, ok := cluster.BestStandby(s.With(cluster.Delete("node/a"), cluster.Delete("node/c")), cluster.Moment{}, "b"); ok {
		t.Errorf("the standby is %s, want none", got.ID)
	}
}

// large is a cluster of 1,024 partitions and 50 nodes, not in balance.
func large() *cluster.Snapshot {
	r := rand.New(rand.NewPCG(1, 2))
	var nodes []cluster.Node
	for i := range 50 {
		nodes = append(nodes, weighing(fmt.Sprint("node-", i), 1+r.IntN(3), 1000*(1+r.IntN(4))))
	}
	return clusterOf(1024, func(backplane.Partition) string { return nodes[r.IntN(50)].ID }, nodes...)
}

func BenchmarkTarget(b *testing.B) {
	s := large()
	b.ReportAllocs()
	for b.Loop() {
		cluster.Target(s, cluster.Moment{})
	}
}

// BenchmarkSnapshot makes the next snapshot after a decision that flips 32 partitions.
func BenchmarkSnapshot(b *testing.B) {
	s := large()
	changes := flips()
	b.ReportAllocs()
	for b.Loop() {
		s = s.With(changes...)
	}
}

// BenchmarkView applies the same decision to a view.
func BenchmarkView(b *testing.B) {
	v := cluster.NewView()
	for p := range backplane.Partition(1024) {
		v.Apply(cluster.Put(cluster.Assignment{Partition: p, Owner: "node-1"}))
	}
	changes := flips()
	b.ReportAllocs()
	for b.Loop() {
		v.Apply(changes...)
	}
}

// BenchmarkViewOfAll reads a whole topic, parsing included.
func BenchmarkViewOfAll(b *testing.B) {
	var records []cluster.Record
	for p := range backplane.Partition(1024) {
		records = append(records, cluster.Put(cluster.Assignment{Partition: p, Version: 7, Owner: "node-1", Previous: "node-2"}).Record())
	}
	b.ReportAllocs()
	for b.Loop() {
		v := cluster.NewView()
		changes := make([]cluster.Change, len(records))
		for i, r := range records {
			changes[i] = cluster.Parse(r)
		}
		v.Apply(changes...)
	}
}

func flips() []cluster.Change {
	var changes []cluster.Change
	for p := range backplane.Partition(32) {
		changes = append(changes, cluster.Put(cluster.Assignment{Partition: p * 31, Owner: "node-2", Previous: "node-1"}))
	}
	return append(changes, cluster.Put(cluster.Controller{Version: 8, Node: "node-1"}))
}
