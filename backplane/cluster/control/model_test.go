package control

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

// checked returns a world in which every decision is compared with what each must keep.
func checked(t fataler, partitions int32, inFlight int) *world {
	w := newWorld(partitions, inFlight)
	before := new(cluster.Snapshot)
	w.decided = func(m *machine, d Decision) {
		after := w.snapshot()
		checkRecords(t, before, d)
		checkAssignments(t, before, after, d)
		before = after
	}
	return w
}

// fataler is what *testing.T and *rapid.T have in common here.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkRecords compares a decision with the form that all have.
func checkRecords(t fataler, before *cluster.Snapshot, d Decision) {
	t.Helper()
	if d.Version != before.Version()+1 || d.Entry.Version != d.Version {
		t.Fatalf("decision %d (%d) follows version %d", d.Version, d.Entry.Version, before.Version())
	}
	if d.Entry.Text == "" || d.Entry.Kind == "" {
		t.Fatalf("decision %d says nothing: %v", d.Version, d.Entry)
	}
	keys := make(map[string]bool)
	for _, c := range d.Changes {
		if keys[c.Key] {
			t.Fatalf("decision %d writes %s twice", d.Version, c.Key)
		}
		keys[c.Key] = true
		if again := cluster.Parse(c.Record()); !reflect.DeepEqual(again, c) {
			t.Fatalf("decision %d: %+v is read as %+v", d.Version, c, again)
		}
	}
	if last := d.Changes[len(d.Changes)-1]; last.Key != cluster.KeyController {
		t.Fatalf("decision %d ends with %s", d.Version, last.Key)
	}
}

// checkAssignments compares what a decision does to partitions with what it may.
func checkAssignments(t fataler, before, after *cluster.Snapshot, d Decision) {
	t.Helper()
	settings, _ := after.Settings()
	wasMoving, moving := 0, 0
	for p := range backplane.Partition(after.N()) {
		was, is := before.Assignment(p), after.Assignment(p)
		if was.Next != "" {
			wasMoving++
		}
		if is.Next != "" {
			moving++
		}
		switch {
		case was.Owner != "" && is.Owner == "":
			t.Fatalf("%v: partition %d loses its owner", d.Entry, p)
		case is.Owner != "" && (is.Next == is.Owner || is.Previous == is.Owner):
			t.Fatalf("%v: partition %d: %+v", d.Entry, p, is)
		case is.Owner != was.Owner && is.Owner != was.Next && d.Entry.Kind != KindReplace && d.Entry.Kind != KindAssign:
			t.Fatalf("%v: partition %d goes from %s to %s, who was not next", d.Entry, p, was.Owner, is.Owner)
		case is.Owner != was.Owner && d.Entry.Kind == KindFlip && is.Previous != was.Owner:
			t.Fatalf("%v: partition %d: %s does not serve its clients any more", d.Entry, p, was.Owner)
		}
	}
	if moving > settings.Live.MovesInFlight && moving > wasMoving {
		t.Fatalf("%v: %d partitions are on their way, more than %d", d.Entry, moving, settings.Live.MovesInFlight)
	}
}

// heard returns the nodes that run, are heard, and may own something.
func (w *world) heard() map[string]bool {
	s, ids := w.snapshot(), make(map[string]bool)
	for _, m := range w.running() {
		if n, ok := s.Node(m.id); ok && n.State != cluster.Left && !slices.Contains(w.dead, m.id) {
			ids[m.id] = true
		}
	}
	return ids
}

// checkOwned asks for a live owner of every partition, if any node could be one.
func (w *world) checkOwned(t fataler) {
	t.Helper()
	alive, s := w.heard(), w.snapshot()
	if len(alive) == 0 {
		return
	}
	for p := range backplane.Partition(s.N()) {
		if a := s.Assignment(p); !alive[a.Owner] {
			t.Fatalf("%d ms: the owner of partition %d is not there: %+v, but %v", w.now-t0, p, a, slices.Sorted(maps.Keys(alive)))
		}
	}
}

// checkSettled asks for an end of everything.
func (w *world) checkSettled(t fataler) {
	t.Helper()
	s := w.snapshot()
	for p := range backplane.Partition(s.N()) {
		if a := s.Assignment(p); a.Next != "" || a.Previous != "" {
			t.Fatalf("%d ms: partition %d is still on its way: %+v", w.now-t0, p, a)
		}
	}
	var requests []string
	for _, c := range w.log {
		if r, ok := c.Body.(cluster.Request); ok && r.ID != BalanceID {
			requests = append(requests, r.ID)
		}
	}
	if !slices.Equal(requests, w.results) {
		t.Fatalf("requests %v have results %v", requests, w.results)
	}
	balancing := false
	for _, c := range w.log {
		if c.Key == cluster.RequestKey(BalanceID) {
			balancing = c.Body != nil
		}
	}
	if balancing {
		t.Fatalf("%d ms: the balance is not reached", w.now-t0)
	}
}

// anything draws a line of a scenario that does something to a cluster.
func anything(rt *rapid.T, i int) string {
	node := rapid.SampledFrom([]string{"n1", "n2", "n3", "n4", "n5", "n6"}).Draw(rt, "node")
	id := fmt.Sprint("r", i)
	switch what := rapid.SampledFrom([]string{
		"start", "start", "start", "kill", "kill", "end", "pause", "resume", "mute", "unmute", "hold", "free", "fail", "silence",
		"drain", "leave", "add", "standby", "remove", "move", "weight", "rebalance", "settings",
	}).Draw(rt, "what"); what {
	case "start":
		return fmt.Sprintf("start %s role=%s weight=%d capacity=%d", node, rapid.SampledFrom([]string{"active", "active", "standby"}).Draw(rt, "role"),
			rapid.IntRange(0, 3).Draw(rt, "weight"), rapid.SampledFrom([]int{1000, 1000, 3000}).Draw(rt, "capacity"))
	case "fail":
		return what
	case "silence":
		return fmt.Sprintf("silence %dms", rapid.IntRange(500, 30_000).Draw(rt, "ms"))
	case "move":
		first := rapid.IntRange(0, 11).Draw(rt, "first")
		return fmt.Sprintf("request %s move to=%s partitions=%d-%d", id, node, first, rapid.IntRange(first, 11).Draw(rt, "last"))
	case "weight":
		return fmt.Sprintf("request %s weight %s weight=%d", id, node, rapid.IntRange(0, 3).Draw(rt, "weight"))
	case "rebalance":
		return fmt.Sprintf("request %s rebalance", id)
	case "settings":
		return fmt.Sprintf("request %s settings moves_in_flight=%d", id, rapid.IntRange(1, 6).Draw(rt, "moves"))
	case "drain", "leave", "add", "standby", "remove":
		return fmt.Sprintf("request %s %s %s", id, what, node)
	default:
		return what + " " + node
	}
}

// tell lets a world do what a line says, unless it is about a node that was never started.
func (w *world) tell(t fataler, line string) {
	t.Helper()
	words := strings.Fields(line)
	if len(words) == 2 && words[0] != "run" && words[0] != "silence" && words[0] != "start" && w.nodes[words[1]] == nil {
		return
	}
	if err := w.obey(nil, words, line); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

// TestModel lets anything happen to a cluster. Whatever that is: decisions keep their
// rules; half a minute later every partition has a live owner, while there is one; and once
// all nodes are well again everything comes to an end.
func TestModel(t *testing.T) {
	kinds := make(map[Kind]int)
	rapid.Check(t, func(rt *rapid.T) {
		w := checked(rt, 12, rapid.IntRange(1, 6).Draw(rt, "in flight"))
		w.doubting = true
		check := w.decided
		w.decided = func(m *machine, d Decision) {
			kinds[d.Entry.Kind]++
			check(m, d)
		}
		w.start(join("n1", rapid.SampledFrom([]cluster.State{cluster.Active, cluster.Active, cluster.Standby}).Draw(rt, "first role"), 1, 1000))
		i := 0
		for range rapid.IntRange(1, 6).Draw(rt, "calm times") {
			for range rapid.IntRange(1, 8).Draw(rt, "events") {
				i++
				w.tell(rt, anything(rt, i))
				w.run(rapid.SampledFrom([]int64{0, 0, 500, 1000, 3000, 6000}).Draw(rt, "ms"))
			}
			w.failing = false // a controller died in vain, or will not
			w.run(30_000)
			w.checkOwned(rt)
		}
		w.dead = nil
		for _, id := range w.ids {
			m := w.nodes[id]
			m.held, m.paused = false, false
			if !m.up {
				w.start(join(id, cluster.Active, 1, 1000))
			}
		}
		w.run(60_000)
		w.checkOwned(rt)
		w.checkSettled(rt)
		quiet := len(w.log)
		w.run(20_000)
		if len(w.log) != quiet && !onlyForgotten(w.log[quiet:]) {
			rt.Fatalf("the cluster is well and does not come to rest: %+v", w.log[quiet:])
		}
	})
	for _, kind := range []Kind{
		KindTake, KindBegin, KindReplace, KindPromote, KindFlip, KindRelease, KindGrant, KindRefuse, KindAssign, KindRetire, KindMove, KindBalanced,
	} {
		if kinds[kind] == 0 {
			t.Errorf("there was no decision to %s", kind)
		}
	}
}

// onlyForgotten reports whether changes delete, and do nothing else.
func onlyForgotten(changes []cluster.Change) bool {
	return !slices.ContainsFunc(changes, func(c cluster.Change) bool { return c.Body != nil && c.Key != cluster.KeyController })
}

// TestFewestMoves begins with a cluster in balance and changes one thing: then not one
// partition moves that could have stayed.
func TestFewestMoves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := checked(rt, 60, rapid.IntRange(1, 60).Draw(rt, "in flight"))
		nodes := rapid.IntRange(2, 6).Draw(rt, "nodes")
		for i := range nodes {
			w.start(join(fmt.Sprint("n", i), cluster.Active, rapid.IntRange(1, 4).Draw(rt, "weight"), rapid.SampledFrom([]int{1000, 2000}).Draw(rt, "capacity")))
		}
		w.run(30_000)
		before := w.snapshot()
		moved := 0
		check := w.decided
		w.decided = func(m *machine, d Decision) {
			for _, move := range d.Entry.Plan.Moves {
				if move.Step == cluster.StepFlip || move.Step == cluster.StepReplace {
					moved += move.Partitions.Len()
				}
			}
			check(m, d)
		}
		line := rapid.SampledFrom([]string{
			"kill n1", "kill n0", "request r drain n1", "request r leave n0", "request r weight n1 weight=7", "start new weight=2",
			"start new capacity=5000", "request r standby n1", "request r rebalance",
		}).Draw(rt, "event")
		w.tell(rt, line)
		w.run(120_000)
		w.checkOwned(rt)
		w.checkSettled(rt)

		after, need := w.snapshot(), 0
		share, owned := make(map[string]int), make(map[string]int)
		for p := range backplane.Partition(after.N()) {
			share[before.Assignment(p).Owner]--
			share[after.Assignment(p).Owner]++
			owned[after.Assignment(p).Owner]++
		}
		for _, more := range share {
			need += max(more, 0)
		}
		if moved != need {
			rt.Fatalf("%s: %d moves, and %d were enough", line, moved, need)
		}
		// What a node that died leaves behind is not the time to move other partitions, so
		// there some may keep more than they should have. Nobody gets more than that.
		target := cluster.Target(after, w.holder.core.Moment(w.now))
		should := make(map[string]int)
		for p, to := range target {
			should[to]++
			owner := after.Assignment(backplane.Partition(p)).Owner
			if owner != to && !strings.HasPrefix(line, "kill") {
				rt.Fatalf("%s: partition %d is with %s, and should be with %s", line, p, owner, to)
			}
		}
		for id, more := range share {
			if n := owned[id]; more > 0 && n > should[id] {
				rt.Fatalf("%s: %s got %d partitions and has %d, more than %d", line, id, more, n, should[id])
			}
		}
	})
}

// TestSameEventsSameDecisions plays a script twice.
func TestSameEventsSameDecisions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		script := "cluster partitions=12 in_flight=3\nstart n1 n2 n3\nrun 15s\n"
		for i := range rapid.IntRange(1, 12).Draw(rt, "events") {
			line := anything(rt, i)
			if words := strings.Fields(line); len(words) == 2 && strings.ContainsAny(words[1], "456") && words[0] != "silence" {
				continue // that node was not started
			}
			script += line + "\nrun 3s\n"
		}
		first := play(t, []byte(script))
		if second := play(t, first); string(first) != string(second) {
			rt.Fatalf("%s\nbecame\n%s", first, second)
		}
	})
}
