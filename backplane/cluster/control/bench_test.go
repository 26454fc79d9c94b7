package control

import (
	"fmt"
	"testing"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// benchWorld returns a cluster in balance with as many partitions and nodes, of which the
// first is the controller.
func benchWorld(b *testing.B, partitions int32, nodes int) *world {
	w := newWorld(partitions, 64)
	w.cannotLead = func(node string) bool { return node != "n00" }
	for i := range nodes {
		w.start(join(fmt.Sprintf("n%02d", i), cluster.Active, 1, 1000))
	}
	w.run(15_000)
	w.checkOwned(b)
	return w
}

// BenchmarkNext takes the time of the question for the next decision: when there is none to
// make, which is so after almost all beats, and for those that concern many partitions.
func BenchmarkNext(b *testing.B) {
	for _, size := range []struct {
		partitions int32
		nodes      int
	}{{1024, 50}, {10_000, 50}} {
		for _, c := range []struct {
			name   string
			happen func(w *world, core *Core)
			kind   Kind
		}{
			{"idle", func(*world, *Core) {}, ""},
			{"none", func(w *world, core *Core) { core.Apply() }, ""},
			{"replace", func(w *world, core *Core) {
				w.nodes["n07"].up = false
				for !core.Watch().Suspected("n07") {
					for _, m := range w.running() {
						w.now++
						core.Beat(w.beatOf(m), w.now)
					}
					w.now += 450
				}
			}, KindReplace},
			{"move", func(w *world, core *Core) {
				w.request(cluster.Request{ID: "d", Kind: cluster.KindDrain, Node: "n07", By: "bench"})
				core.Apply(w.log[w.nodes["n00"].read:]...)
				d, _ := core.Next(w.now)
				w.append(d.Changes...)
				core.Apply(w.log[w.nodes["n00"].read:]...)
			}, KindMove},
		} {
			b.Run(fmt.Sprintf("%s/partitions=%d/nodes=%d", c.name, size.partitions, size.nodes), func(b *testing.B) {
				w := benchWorld(b, size.partitions, size.nodes)
				core := w.nodes["n00"].core
				c.happen(w, core)
				b.ReportAllocs()
				for b.Loop() {
					again := *core // Next changes nothing behind it
					d, _ := again.Next(w.now)
					if d.Entry.Kind != c.kind {
						b.Fatalf("the decision is %q, not %q", d.Entry.Kind, c.kind)
					}
				}
			})
		}
	}
}
