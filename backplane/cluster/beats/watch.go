package beats

import (
	"maps"
	"slices"
)

// Watch reads the beats of all nodes and says who is suspected.
//
// A node X is suspected when, after X's last beat, another node O was heard for
// SuspectAfter without a hole above MaxHole. One such O is enough, and only O's own
// beats count: those of many nodes together may look unbroken while each of them has
// holes, because the broker has. That X itself is silent says nothing if nobody else
// was heard.
//
// For each O one place in the log tells all: that of O's latest beat of those that lie at
// least SuspectAfter before O's last in an unbroken run. X is suspected exactly if one of
// these places lies behind X's last beat, and stays so, without any state of its own,
// until it beats again. Since O must be another node than X, the two O's whose
// places are latest (witnesses) are enough to know.
//
// A node whose last beat says that it is the last needs no witness: it is suspected at
// once, also while nobody is suspected for being silent.
//
// A hole in everybody's beats takes all suspicion back and lets nobody be suspected for
// Quiet. The start of a Watch counts as such a hole: nobody knows what was before it.
type Watch struct {
	now   int64  // the latest log time
	place uint64 // of the last beat, counted from 1
	quiet int64  // the log time until which nobody is suspected

	nodes     map[string]*node
	witnesses [2]witness // the latest first

	// The controller's flag, see flag.go.
	holder  string // who has it; "" if nobody
	before  string // who had it before; "" if nobody was heard to have it
	missing int64  // since when nobody has it
}

// node is what is known of a name.
type node struct {
	last  Beat   // N is 0 where there was none
	time  int64  // log time of last, or of Expect
	place uint64 // of last, or of Expect

	run []mark // the beats of the run without a hole, as far back as is needed

	claims []claim // see incarnation.go
}

// mark is a beat's place in the log, and its log time.
type mark struct {
	place uint64
	time  int64
}

// witness is a node that was heard for SuspectAfter, and where it was when that began.
type witness struct {
	name  string
	place uint64 // 0 for nobody
}

// Seen is the last beat of a node.
type Seen struct {
	Beat
	// Time is its log time in Unix milliseconds.
	Time int64
	// Suspected tells whether the node is suspected of being dead.
	Suspected bool
}

// NewWatch returns a Watch that has seen nothing yet.
func NewWatch() *Watch {
	return &Watch{nodes: make(map[string]*node)}
}

// Beat takes the next beat of the log, and its log time in Unix milliseconds.
func (w *Watch) Beat(b Beat, logTime int64) {
	// Log time is that of the partition's leader, or of the producer where the broker
	// does not set it: it may go back a little, and a leader with another clock may
	// bring a jump, which is a hole in everybody's beats for all that can be told.
	if w.place == 0 || logTime > w.now+MaxHole || logTime < w.now-MaxHole {
		w.begin(logTime)
	}
	w.now = max(w.now, logTime)
	w.place++

	n := w.add(b.Node)
	if n == nil || !n.speaks(&b, w.now) {
		return // an older process under this name speaks for nobody
	}
	if b.Last && n.last.N > 0 && n.last.Incarnation != b.Incarnation {
		return // it says that it ends, and another process of this name goes on
	}
	if len(n.run) > 0 && w.now-n.time > MaxHole {
		n.run = n.run[:0]
	}
	n.last, n.time, n.place = b, w.now, w.place
	w.heard(n)
	w.flag()
}

// begin starts again after a hole in everybody's beats.
func (w *Watch) begin(logTime int64) {
	back := logTime < w.now
	w.now = logTime
	w.quiet = logTime + Quiet
	w.witnesses = [2]witness{}
	for _, n := range w.nodes {
		n.run = n.run[:0]
		if back {
			n.time, n.claims = logTime, nil
		}
	}
	w.listen()
}

// heard puts the last beat of a node into its run, and finds what it is witness of.
func (w *Watch) heard(n *node) {
	n.run = append(n.run, mark{n.place, n.time})
	past := 0
	for past < len(n.run) && n.run[past].time <= n.time-SuspectAfter {
		past++
	}
	if past == 0 {
		return
	}
	n.run = append(n.run[:0], n.run[past-1:]...)
	now := witness{n.last.Node, n.run[0].place}
	switch first, second := &w.witnesses[0], &w.witnesses[1]; {
	case first.name == now.name:
		*first = now
	case now.place > first.place:
		*first, *second = now, *first
	case now.place > second.place:
		*second = now
	}
}

// forget drops the nodes that were silent for so long that nobody asks for them.
func (w *Watch) forget() {
	maps.DeleteFunc(w.nodes, func(_ string, n *node) bool { return w.now-n.time > Forget })
}

// Expect makes the silence of a node count from now on: one that has just been let into
// the cluster had no reason to beat before. If its last beat was the end of a process,
// another one runs by now.
func (w *Watch) Expect(name string) {
	if n := w.add(name); n != nil {
		n.place, n.time, n.last.Last = w.place, w.now, false
	}
}

// add returns what is known of a name, nil if that is nothing and cannot be more.
func (w *Watch) add(name string) *node {
	n := w.nodes[name]
	if n == nil {
		w.forget()
		if len(w.nodes) >= maxNodes {
			return nil
		}
		n = new(node)
		w.nodes[name] = n
	}
	return n
}

// Now returns the latest log time, in Unix milliseconds; 0 before the first beat.
func (w *Watch) Now() int64 { return w.now }

// Suspected reports whether a node is suspected of being dead. One that was not heard
// at all is suspected as if it had been silent since the Watch began.
func (w *Watch) Suspected(name string) bool {
	var last uint64
	if n := w.nodes[name]; n != nil {
		if n.last.Last {
			return true
		}
		last = n.place
	}
	if w.now < w.quiet {
		return false
	}
	for _, other := range w.witnesses {
		if other.place > last && other.name != name {
			return true
		}
	}
	return false
}

// Heard reports whether a node has beaten, and is not suspected.
func (w *Watch) Heard(name string) bool {
	n := w.nodes[name]
	return n != nil && n.last.N > 0 && !w.Suspected(name)
}

// Latest returns the last beat of a node, and false if there was none.
func (w *Watch) Latest(name string) (Seen, bool) {
	n := w.nodes[name]
	if n == nil || n.last.N == 0 {
		return Seen{}, false
	}
	return Seen{Beat: n.last, Time: n.time, Suspected: w.Suspected(name)}, true
}

// Nodes returns the last beat of every node that was heard in the last ten minutes,
// ordered by name.
func (w *Watch) Nodes() []Seen {
	seen := make([]Seen, 0, len(w.nodes))
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		if s, ok := w.Latest(name); ok && w.now-s.Time <= Forget {
			seen = append(seen, s)
		}
	}
	return seen
}
