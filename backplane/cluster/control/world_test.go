package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
)

// t0 is when the tests begin, in log time.
const t0 = 1_700_000_000_000

// world is a cluster without its network: a log, and nodes that each have a Core and do
// what an agent would do, without any time of their own.
type world struct {
	config  cluster.Settings
	now     int64
	log     []cluster.Change
	nodes   map[string]*machine
	holder  *machine // of the controller's id
	dead    []string // nodes whose beats nobody sees, while they run
	failing bool     // the next commit fails, and the controller dies in it

	cannotLead func(id string) bool
	doubting   bool // see doubt

	seen           *cluster.Snapshot // of the first sum records of the log
	sum            int
	next, previous groups   // of seen
	ids            []string // of nodes, in order

	decided func(*machine, Decision)
	results []string // ids, in the order in which they were answered
}

// machine is a node.
type machine struct {
	id          string
	up          bool
	paused      bool // it is stopped, and goes on later as if nothing had happened
	held        bool // it does not get warm, and does not let go
	incarnation uint64
	beats       uint64
	core        *Core // nil in one that cannot be the controller, to save time
	read        int   // how far its core has read the log
}

func newWorld(partitions int32, inFlight int) *world {
	live := cluster.DefaultLive()
	live.MovesInFlight = inFlight
	return &world{
		config:  cluster.Settings{Partitions: partitions, Generation: 1, Live: live},
		now:     t0,
		nodes:   make(map[string]*machine),
		seen:    new(cluster.Snapshot),
		decided: func(*machine, Decision) {},

		cannotLead: func(string) bool { return false },
	}
}

// append puts changes at the end of the log, as their records would be read there.
func (w *world) append(changes ...cluster.Change) {
	for _, c := range changes {
		r := c.Record()
		r.Offset, r.Time = int64(len(w.log)), w.now
		c = cluster.Parse(r)
		w.log = append(w.log, c)
		if result, ok := c.Body.(cluster.Result); ok {
			w.results = append(w.results, result.ID)
		}
	}
}

// snapshot returns the records as they are.
func (w *world) snapshot() *cluster.Snapshot {
	if w.sum == len(w.log) {
		return w.seen
	}
	w.seen = w.seen.With(w.log[w.sum:]...)
	w.sum = len(w.log)
	w.next, w.previous = make(groups), make(groups)
	for p := range backplane.Partition(w.seen.N()) {
		a := w.seen.Assignment(p)
		w.next.add(a.Next, p)
		w.previous.add(a.Previous, p)
	}
	return w.seen
}

// start starts a node, which has read nothing, and lets it ask to join.
func (w *world) start(r cluster.Request) {
	m := w.nodes[r.Node]
	if m == nil {
		m = &machine{id: r.Node}
		w.nodes[r.Node] = m
		w.ids = slices.Sorted(maps.Keys(w.nodes))
	}
	m.up, m.paused, m.incarnation, m.beats = true, false, m.incarnation+1, 0
	m.core, m.read = New(Config{Node: r.Node, Settings: w.config}), 0
	if w.cannotLead(r.Node) {
		m.core = nil
	}
	r.Kind, r.By = cluster.KindJoin, "node "+r.Node
	r.ID = fmt.Sprintf("join-%s-%d", r.Node, m.incarnation)
	w.append(cluster.Put(r))
}

// request asks for something.
func (w *world) request(r cluster.Request) { w.append(cluster.Put(r)) }

func join(node string, role cluster.State, weight, capacity int) cluster.Request {
	return cluster.Request{
		Node: node, Role: role, Weight: &weight, Capacity: capacity,
		URL: "ws://" + node + ":8080", Admin: "http://" + node + ":8081",
	}
}

// running returns the nodes that run, by id.
func (w *world) running() []*machine {
	var ms []*machine
	for _, id := range w.ids {
		if m := w.nodes[id]; m.up && !m.paused {
			ms = append(ms, m)
		}
	}
	return ms
}

// run lets time pass: every 500 ms each node beats, 1 ms after the one before, and each
// time all do what there is to do.
func (w *world) run(ms int64) {
	for end := w.now + ms; w.now < end; {
		start := w.now
		for i, m := range w.running() {
			w.now = start + int64(i)
			w.beat(m)
		}
		w.now = start + beats.Interval
	}
}

// beat lets a node beat. Its beat reaches all others, who act on it.
func (w *world) beat(m *machine) {
	if !m.up { // the one before it took it down
		return
	}
	m.catchUp(w)
	b := w.beatOf(m)
	for _, other := range w.running() {
		if other.core != nil && !slices.Contains(w.dead, m.id) {
			other.core.Beat(b, w.now)
		}
	}
	for _, other := range w.running() {
		if other.core != nil {
			w.act(other)
		}
	}
}

// end lets a node end in order: its last beat says so.
func (w *world) end(m *machine) {
	if !m.up || m.paused {
		m.up = false
		return
	}
	b := w.beatOf(m)
	b.Last, b.Controller = true, false
	m.up = false
	for _, other := range w.running() {
		if other.core != nil && !slices.Contains(w.dead, m.id) {
			other.core.Beat(b, w.now)
		}
	}
	for _, other := range w.running() {
		if other.core != nil {
			w.act(other)
		}
	}
}

// beatOf returns the next beat of a node.
func (w *world) beatOf(m *machine) beats.Beat {
	m.beats++
	s := w.snapshot()
	b := beats.Beat{
		Node: m.id, Incarnation: m.incarnation, N: m.beats,
		Version: s.Version(), Controller: m.core != nil && m.core.Leads(),
	}
	if !m.held {
		b.Warm, b.Released = w.next.of(m.id), w.previous.of(m.id)
	}
	return b
}

// catchUp lets a node read the log to its end.
func (m *machine) catchUp(w *world) {
	if m.core == nil {
		return
	}
	if m.read < len(w.log) {
		m.core.Apply(w.log[m.read:]...)
		m.read = len(w.log)
	}
}

// act lets a node do what an agent does after each beat and each record.
func (w *world) act(m *machine) {
	if !m.core.Leads() && m.core.Snapshot().Understood() && m.core.Watch().Due(m.id) {
		w.holder = m
		m.catchUp(w)
		m.core.Lead()
	}
	for m.up && m.core.Leads() {
		d, ok := m.core.Next(w.now)
		if !ok {
			w.doubt(m)
			return
		}
		if _, again := m.core.Next(w.now); again {
			panic("a second decision while the first is on its way")
		}
		if w.holder != m { // fenced
			m.core.Yield()
			return
		}
		if w.failing {
			w.failing, m.up = false, false
			return
		}
		w.append(d.Changes...)
		w.decided(m, d)
		for _, other := range w.running() {
			other.catchUp(w)
		}
	}
}

// doubt asks a Core that has nothing to decide once more, as if it had not been asked since
// the last record.
func (w *world) doubt(m *machine) {
	if !w.doubting {
		return
	}
	again := *m.core
	again.idle = false
	if d, ok := again.Next(w.now); ok {
		panic(fmt.Sprintf("an idle Core does not see that there is something to decide: %v", d.Entry))
	}
}

// compact writes a decision's records for people: partitions of which the same is said stand
// together.
func compact(changes []cluster.Change) string {
	var b strings.Builder
	said := make(map[string][]backplane.Partition)
	var order []string
	for _, c := range changes {
		a, ok := c.Body.(cluster.Assignment)
		if !ok {
			continue
		}
		text := "owner=" + a.Owner
		if a.Next != "" {
			text += " next=" + a.Next
		}
		if a.Previous != "" {
			text += " previous=" + a.Previous
		}
		if said[text] == nil {
			order = append(order, text)
		}
		said[text] = append(said[text], a.Partition)
	}
	for _, text := range order {
		fmt.Fprintf(&b, "    partition/%s %s\n", cluster.RangesOf(said[text]), text)
	}
	for _, c := range changes {
		switch body := c.Body.(type) {
		case nil:
			fmt.Fprintf(&b, "    %s deleted\n", c.Key)
		case cluster.Settings:
			fmt.Fprintf(&b, "    settings partitions=%d generation=%d\n", body.Partitions, body.Generation)
		case cluster.Node:
			fmt.Fprintf(&b, "    %s %s (%s) weight=%d capacity=%d\n", c.Key, body.State, body.Reason, body.Weight, body.Capacity)
		case cluster.Request:
			fmt.Fprintf(&b, "    %s %s\n", c.Key, body.Kind)
		case cluster.Result:
			fmt.Fprintf(&b, "    %s ok=%v %s\n", c.Key, body.OK, body.Reason)
		}
	}
	return b.String()
}
