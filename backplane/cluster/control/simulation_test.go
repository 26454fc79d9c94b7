package control

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
)

// TestSimulation runs 50 nodes with 1,024 partitions, of which some die and come back all
// the time. It reports how long partitions are without a live owner, and how many move.
func TestSimulation(t *testing.T) {
	const nodes, standbys, rounds = 50, 5, 15
	random := rand.New(rand.NewPCG(2026, 11))
	w := checked(t, 1024, 64)
	id := func(i int) string { return fmt.Sprintf("n%02d", i) }
	w.cannotLead = func(node string) bool { return node >= id(4) }
	for i := range nodes {
		role := cluster.Active
		if i >= nodes-standbys {
			role = cluster.Standby
		}
		w.start(join(id(i), role, 1+i%3, 20_000+10_000*(i%2)))
	}
	w.run(15_000)
	w.checkOwned(t)

	var lost, flipped, replaced, decisions int
	check := w.decided
	w.decided = func(m *machine, d Decision) {
		decisions++
		for _, move := range d.Entry.Plan.Moves {
			switch move.Step {
			case cluster.StepFlip:
				flipped += move.Partitions.Len()
			case cluster.StepReplace:
				replaced += move.Partitions.Len()
			}
		}
		check(m, d)
	}
	longest := int64(0)
	for range rounds {
		// Some of the nodes that run die; n00 stays, so that somebody can decide.
		for range 1 + random.IntN(3) {
			running := w.running()
			victim := running[1+random.IntN(len(running)-1)]
			lost += w.owned(victim.id)
			victim.up = false
		}
		died := w.now
		for !w.allOwned() {
			w.run(beats.Interval)
			if w.now-died > 30_000 {
				w.checkOwned(t)
			}
		}
		longest = max(longest, w.now-died)
		w.run(5_000)
		// Those that are down come back, and some of the standbys are added.
		for _, node := range w.ids {
			if !w.nodes[node].up && random.IntN(2) == 0 {
				w.start(join(node, cluster.Active, 1, 20_000))
				w.run(1_000)
			}
			if n, _ := w.snapshot().Node(node); w.nodes[node].up && n.State == cluster.Standby && random.IntN(2) == 0 {
				w.request(cluster.Request{ID: fmt.Sprint("add-", node, "-", len(w.log)), Kind: cluster.KindAdd, Node: node, By: "test"})
			}
		}
		w.run(10_000)
	}
	w.run(60_000)
	w.checkOwned(t)
	w.checkSettled(t)
	if lost == 0 || flipped == 0 {
		t.Errorf("%d partitions lost their owners, %d moved", lost, flipped)
	}
	// Every partition that lost its owner moves once; none moves twice, or without need.
	if replaced > lost {
		t.Errorf("%d partitions lost their owners, %d were given to others at once", lost, replaced)
	}
	t.Logf("%d s of log time, %d decisions: %d partitions lost their owners, %d were replaced, %d flipped; without an owner for at most %d ms",
		(w.now-t0)/1000, decisions, lost, replaced, flipped, longest)
}

// owned returns how many partitions a node owns.
func (w *world) owned(id string) (n int) {
	s := w.snapshot()
	for p := range backplane.Partition(s.N()) {
		if s.Assignment(p).Owner == id {
			n++
		}
	}
	return n
}

// allOwned reports whether every partition has an owner that runs.
func (w *world) allOwned() bool {
	alive, s := w.heard(), w.snapshot()
	for p := range backplane.Partition(s.N()) {
		if !alive[s.Assignment(p).Owner] {
			return false
		}
	}
	return true
}

// handOver lets another node take the controller's place from the records only: it knows
// nothing else.
func (w *world) handOver(to *machine) {
	to.core, to.read = New(Config{Node: to.id, Settings: w.config}), 0
	w.holder = to
	to.catchUp(w)
	to.core.Lead()
}

// TestControllersInTurn plays the same requests once with one controller and once with many
// that take the place from each other in the middle of the moves: they end the same way.
func TestControllersInTurn(t *testing.T) {
	end := func(t fataler, lines []string, handOver func() bool) *cluster.Snapshot {
		w := checked(t, 48, 2)
		for i := range 6 {
			w.start(join(fmt.Sprint("n", i), cluster.Active, 1, 1000))
		}
		w.run(20_000)
		for _, line := range lines {
			w.tell(t, line)
			for range 40 {
				w.run(beats.Interval)
				if running := w.running(); handOver() {
					w.handOver(running[int(w.now/beats.Interval)%len(running)])
				}
			}
		}
		w.run(30_000)
		w.checkSettled(t)
		return w.snapshot()
	}
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"start n7", "request d2 drain n2", "request w3 weight n3 weight=5", "request a2 add n2", "request s4 standby n4", "request b rebalance",
			"request m move to=n1 partitions=7,8", "request w3b weight n3 weight=1",
		}), 1, 3, rapid.ID[string]).Draw(rt, "events")
		one := end(rt, lines, func() bool { return false })
		every := rapid.IntRange(1, 7).Draw(rt, "every")
		n := 0
		many := end(rt, lines, func() bool { n++; return n%every == 0 })
		for p := range backplane.Partition(one.N()) {
			if a, b := one.Assignment(p), many.Assignment(p); a.Owner != b.Owner {
				rt.Fatalf("partition %d is with %s under one controller, with %s under many", p, a.Owner, b.Owner)
			}
		}
		if a, _ := one.Controller(); a.Epoch != 1 {
			rt.Fatalf("one controller has epoch %d", a.Epoch)
		}
		if b, _ := many.Controller(); b.Epoch < 3 {
			rt.Fatalf("many controllers have epoch %d", b.Epoch)
		}
	})
}
