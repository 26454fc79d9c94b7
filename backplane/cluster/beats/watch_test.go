package beats

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// t0 is when the tests begin, in log time.
const t0 = 1_700_000_000_000

// cluster of nodes that beat as they are told.
type nodes struct {
	t    testing.TB
	w    *Watch
	now  int64
	sent map[string]uint64
	flag string // who has it
}

func newNodes(t testing.TB) *nodes {
	return &nodes{t: t, w: NewWatch(), now: t0, sent: make(map[string]uint64)}
}

// beat lets a node beat now.
func (c *nodes) beat(name string) {
	c.sent[name]++
	c.w.Beat(Beat{Node: name, Incarnation: 1, N: c.sent[name], Controller: c.flag == name}, c.now)
}

// run lets nodes beat for a time, each every 500 ms, 10 ms apart from each other.
func (c *nodes) run(ms int64, names ...string) {
	for end := c.now + ms; c.now < end; c.now += Interval {
		start := c.now
		for i, name := range names {
			c.now = start + int64(i)*10
			c.beat(name)
		}
		c.now = start
	}
}

// settled are nodes that have beaten until nothing of the start counts any more.
func settled(t testing.TB, names ...string) *nodes {
	c := newNodes(t)
	c.run(Quiet+5000, names...)
	return c
}

func (c *nodes) want(names ...string) {
	c.t.Helper()
	want := make(map[string]bool)
	for _, name := range names {
		want[name] = true
	}
	for name := range c.sent {
		if got := c.w.Suspected(name); got != want[name] {
			c.t.Errorf("%d ms: %s suspected = %v", c.w.Now()-t0, name, got)
		}
	}
}

func TestSuspicion(t *testing.T) {
	c := settled(t, "a", "b", "c")
	c.want()
	// The last beat of c is 480 ms ago; the first of a after it comes now.
	c.run(SuspectAfter, "a", "b")
	c.want() // a's beats span 3.0 s
	c.run(Interval, "a")
	c.want("c") // 3.5 s
	c.run(5000, "a", "b")
	c.want("c")
	c.beat("c")
	c.want()
}

// With two nodes the other one's word is enough; with one there is nobody to tell.
func TestSuspicionOfFewNodes(t *testing.T) {
	c := settled(t, "a", "b")
	c.run(SuspectAfter+Interval, "a")
	c.want("b")
	c.run(60_000, "a")
	c.want("b")

	c = settled(t, "a")
	c.now += 60_000
	c.want()
}

// A node's own hole takes its word back, not that of others.
func TestObserverWithAHole(t *testing.T) {
	c := settled(t, "a", "b", "c")
	for range 20 { // while a has its hole, a single beat of b shows that the log is well
		c.run(2500, "a")
		c.beat("b")
		c.now += MaxHole + 1 - Interval
	}
	c.want()
	c.run(SuspectAfter+Interval, "a")
	c.want("b", "c")
}

// A hole of exactly MaxHole is none.
func TestLongestHole(t *testing.T) {
	c := settled(t, "a", "b")
	for range 5 {
		c.now += MaxHole - Interval
		c.run(Interval, "a")
	}
	c.want("b")
}

// Many nodes with holes may look unbroken together; that is no word of one of them.
func TestObserversDoNotAddUp(t *testing.T) {
	c := settled(t, "a", "b", "c", "d")
	for range 40 {
		for _, name := range []string{"a", "b", "c"} {
			c.beat(name)
			c.now += Interval
		}
	}
	c.want()
}

func TestNobodyIsSuspectedAfterAHoleInAll(t *testing.T) {
	c := settled(t, "a", "b", "c")
	c.run(SuspectAfter+Interval, "a", "b")
	c.want("c")

	c.now += MaxHole + 1
	c.beat("a")
	healed := c.now
	c.want() // c, too, may need its time to come back
	for c.now < healed+Quiet {
		c.want()
		c.run(Interval, "a")
	}
	c.run(Interval, "a")
	c.want("b", "c")
}

// The beginning of a Watch is a hole, since it knows nothing of the time before.
func TestBeginning(t *testing.T) {
	c := newNodes(t)
	c.run(Quiet, "a")
	if c.w.Suspected("b") {
		t.Error("b is suspected in the quiet time")
	}
	c.run(Interval, "a")
	if !c.w.Suspected("b") || c.w.Suspected("a") {
		t.Error("b was never heard: it counts as silent since the beginning")
	}
	if _, ok := c.w.Latest("b"); ok || c.w.Heard("b") || !c.w.Heard("a") {
		t.Error("b was heard")
	}
}

// A new leader of the partition may have a clock that is far from that of the old one. A
// producer's clock may be a little off.
func TestLogTimeJumps(t *testing.T) {
	for _, jump := range []int64{-3_600_000, 3_600_000} {
		c := settled(t, "a", "b")
		c.now += jump
		c.run(Quiet+Interval, "a", "b")
		c.want()
		c.run(SuspectAfter+Interval, "a")
		c.want("b")
	}

	c := settled(t, "a", "b", "c")
	for range 20 { // b's clock is 300 ms behind
		c.beat("a")
		c.now -= 300
		c.beat("b")
		c.now += 300 + Interval
	}
	c.want("c")
	if got := c.w.Now(); got != c.now-Interval {
		t.Errorf("log time is %d, want %d", got, c.now-Interval)
	}
}

func TestLatestAndNodes(t *testing.T) {
	c := settled(t, "b", "a")
	c.run(SuspectAfter+Interval, "b")
	seen := c.w.Nodes()
	if len(seen) != 2 || seen[0].Node != "a" || !seen[0].Suspected || seen[1].Node != "b" || seen[1].Suspected {
		t.Fatalf("%+v", seen)
	}
	if b, ok := c.w.Latest("b"); !ok || b.N != c.sent["b"] || b.Time != c.w.Now() {
		t.Errorf("%+v", b)
	}
	c.run(Forget+Interval, "b")
	if seen := c.w.Nodes(); len(seen) != 1 || seen[0].Node != "b" {
		t.Errorf("%+v", seen)
	}
	if !c.w.Suspected("a") {
		t.Error("who is forgotten is not heard")
	}
}

// Whoever can write into the topic cannot fill the memory.
func TestNodesAreBounded(t *testing.T) {
	c := newNodes(t)
	for i := range maxNodes + 100 {
		c.beat(fmt.Sprint("n", i))
	}
	if n := len(c.w.nodes); n != maxNodes {
		t.Errorf("%d nodes", n)
	}
	c.run(Forget+Interval, "n0")
	c.beat("new")
	if n := len(c.w.nodes); n != 2 {
		t.Errorf("%d nodes after all but one were silent", n)
	}
	run := 0
	for _, n := range c.w.nodes {
		run = max(run, len(n.run))
	}
	if run > SuspectAfter/Interval+2 {
		t.Errorf("%d beats are remembered", run)
	}
}

type event struct {
	node string
	time int64
}

// suspectedByRule is the rule as it is written, over all beats so far.
func suspectedByRule(log []event, x string) bool {
	start := 0
	for i := 1; i < len(log); i++ {
		if log[i].time-log[i-1].time > MaxHole {
			start = i
		}
	}
	if log[len(log)-1].time-log[start].time < Quiet {
		return false
	}
	last := start - 1
	for i := start; i < len(log); i++ {
		if log[i].node == x {
			last = i
		}
	}
	type span struct{ from, to int64 }
	spans := make(map[string]span)
	for _, e := range log[last+1:] {
		if e.node == x {
			continue
		}
		s, ok := spans[e.node]
		if !ok || e.time-s.to > MaxHole {
			s.from = e.time
		}
		s.to = e.time
		spans[e.node] = s
		if s.to-s.from >= SuspectAfter {
			return true
		}
	}
	return false
}

func TestSuspicionModel(t *testing.T) {
	suspicions := 0
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"a", "b", "c", "d"}
		w, now := NewWatch(), int64(t0)
		var log []event
		sent := make(map[string]uint64)
		alive := names
		for range rapid.IntRange(1, 12).Draw(rt, "phases") {
			alive = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string]).Draw(rt, "alive")
			step := rapid.SampledFrom([]int64{100, 180, 250, 499, 500}).Draw(rt, "step")
			for range rapid.IntRange(1, 60).Draw(rt, "beats") {
				name := rapid.SampledFrom(alive).Draw(rt, "node")
				sent[name]++
				log = append(log, event{name, now})
				w.Beat(Beat{Node: name, Incarnation: 1, N: sent[name]}, now)
				for _, x := range names {
					want := suspectedByRule(log, x)
					if got := w.Suspected(x); got != want {
						rt.Fatalf("%d ms: %s suspected = %v, want %v", now-t0, x, got, want)
					}
					if want {
						suspicions++
					}
				}
				now += step
			}
			now += rapid.SampledFrom([]int64{0, 0, 0, 700, 2000}).Draw(rt, "hole")
		}
	})
	if suspicions == 0 {
		t.Error("nobody was ever suspected")
	}
}

// last lets a process of a node say that it ends.
func (c *nodes) last(name string, incarnation uint64) {
	c.sent[name]++
	c.w.Beat(Beat{Node: name, Incarnation: incarnation, N: c.sent[name], Controller: c.flag == name, Last: true}, c.now)
}

// Who says that it ends is suspected from then on, also in the quiet time, and the others
// may take the controller's place from it. When it beats again, it is there again.
func TestLastBeat(t *testing.T) {
	for name, c := range map[string]*nodes{"settled": settled(t, "a", "b", "c"), "quiet": newNodes(t)} {
		c.flag = "a"
		c.run(3*Interval, "a", "b", "c")
		c.last("a", 1)
		c.flag = ""
		c.want("a")
		if c.w.Heard("a") || c.w.Controller() != "" {
			t.Errorf("%s: a is there, and %q the controller", name, c.w.Controller())
		}
		if who, after := c.first("b", "c"); who != "b" || after > Turn+Interval {
			t.Errorf("%s: %q is due after %d ms", name, who, after)
		}
		c.sent["a"] = 0
		c.w.Beat(Beat{Node: "a", Incarnation: 2, N: 1}, c.now)
		c.want()
	}
}

// The end of a process says nothing of a younger one under the same name.
func TestLastBeatOfAnOlderProcess(t *testing.T) {
	c := settled(t, "a", "b")
	c.now += MaxHole
	for n := range uint64(10) {
		c.beat("b")
		c.w.Beat(Beat{Node: "a", Incarnation: 2, N: n + 1}, c.now)
		c.now += Interval
	}
	c.last("a", 1)
	c.want()
	for range 3 {
		c.beat("b")
		c.now += Interval
	}
	c.last("a", 1) // the younger one is late
	c.want()
}

// A node that is let in again has begun again, whatever its last beat said.
func TestExpectAfterTheLastBeat(t *testing.T) {
	c := settled(t, "a", "b")
	c.last("b", 1)
	c.want("b")
	c.w.Expect("b")
	c.want()
	c.run(SuspectAfter+Interval, "a")
	c.want("b")
}

// The silence of a node that is let in counts from then on, whether it was never heard or
// has been away.
func TestExpect(t *testing.T) {
	c := settled(t, "a", "b")
	c.run(60_000, "a")
	c.want("b")
	c.sent["c"] = 0
	for _, name := range []string{"b", "c"} {
		c.w.Expect(name)
	}
	c.want()
	if c.w.Heard("c") {
		t.Error("c was heard")
	}
	c.run(SuspectAfter, "a")
	c.want()
	c.run(Interval, "a")
	c.want("b", "c")
}
