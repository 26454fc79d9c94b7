package control

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

// Decision is what the controller has decided, to be written as it is.
type Decision struct {
	// Version is the map version that it makes.
	Version uint64
	// Changes are its records, in the order in which they are to be written, in one
	// transaction.
	Changes []cluster.Change
	// Entry tells people about it.
	Entry Entry
}

// Kind says what a decision is about. The kinds are stable: programs may compare them.
type Kind string

// The kinds of decisions.
const (
	KindTake     Kind = "take"     // the node becomes the controller
	KindBegin    Kind = "begin"    // a new cluster gets its settings
	KindReplace  Kind = "replace"  // others take the place of silent nodes
	KindPromote  Kind = "promote"  // a standby becomes active, for no active node is there
	KindFlip     Kind = "flip"     // partitions change their owners, who are ready
	KindRelease  Kind = "release"  // previous owners have let go
	KindGrant    Kind = "grant"    // a request is granted
	KindRefuse   Kind = "refuse"   // a request is refused
	KindAssign   Kind = "assign"   // partitions that nobody owned get owners
	KindRetire   Kind = "retire"   // a node has handed over all and leaves
	KindMove     Kind = "move"     // moves begin, or are called off
	KindBalanced Kind = "balanced" // all partitions lie where they should
	KindForget   Kind = "forget"   // old results and requests are deleted
)

// Entry is the line of the trail that a decision leaves: what was decided, why, and
// from what. It is written as JSON where people watch.
type Entry struct {
	Version uint64 `json:"version"` // the map version that the decision makes
	At      int64  `json:"at"`      // log time in Unix milliseconds
	By      string `json:"by"`      // the controller
	Kind    Kind   `json:"kind"`
	// Text is one sentence, or some, for people.
	Text string `json:"text"`
	// Inputs are what the decision was made from, besides the records.
	Inputs []Input `json:"inputs,omitempty"`
	// Plan is what it does to partitions and to other records.
	Plan cluster.Plan `json:"plan"`
}

// Input is something that a decision was made from.
type Input struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// String writes the entry as one line.
func (e Entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", e.Version, e.Kind, e.Text)
	for i, in := range e.Inputs {
		value := in.Value
		if strings.ContainsFunc(value, func(r rune) bool { return r == ' ' || r == '"' || !unicode.IsPrint(r) }) {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&b, "%s%s=%s", []string{" [", " "}[min(i, 1)], in.Name, value)
	}
	if len(e.Inputs) > 0 {
		b.WriteByte(']')
	}
	return b.String()
}

// step is a decision in the making.
type step struct {
	*Core
	m      cluster.Moment
	before *cluster.Snapshot
	s      *cluster.Snapshot // before with changes

	changes []cluster.Change
	kind    Kind
	text    []string
	inputs  []Input
}

// step begins a decision.
func (c *Core) step(m cluster.Moment) *step {
	return &step{Core: c, m: m, before: c.snapshot, s: c.snapshot}
}

// put adds changes.
func (d *step) put(changes ...cluster.Change) {
	d.changes = append(d.changes, changes...)
	d.s = d.s.With(changes...)
}

// say adds a sentence to what people are told.
func (d *step) say(format string, args ...any) {
	d.text = append(d.text, fmt.Sprintf(format, args...))
}

// from adds what the decision is made from.
func (d *step) from(name, format string, args ...any) {
	d.inputs = append(d.inputs, Input{name, fmt.Sprintf(format, args...)})
}

// decide ends the decision.
func (d *step) decide() Decision {
	if len(d.m.Suspected) > 0 {
		d.from("suspected", "%s", strings.Join(slices.Sorted(maps.Keys(d.m.Suspected)), ","))
	}
	c := d.Core
	sealed := cluster.Seal(d.before, cluster.Controller{Node: c.config.Node, Epoch: c.epoch, Since: c.since}, d.changes)
	after := d.before.With(sealed...)
	c.awaited = after.Version()
	return Decision{
		Version: after.Version(),
		Changes: sealed,
		Entry: Entry{
			Version: after.Version(), At: d.m.Now, By: c.config.Node,
			Kind: d.kind, Text: strings.Join(d.text, " "), Inputs: d.inputs,
			Plan: cluster.PlanDecision(d.before, after, d.m),
		},
	}
}

// take makes this node the controller.
func (d *step) take() Decision {
	c := d.Core
	before, ok := d.s.Controller()
	c.took, c.epoch, c.since = true, before.Epoch+1, d.m.Now
	d.kind = KindTake
	switch {
	case !ok:
		d.say("%s is the first controller.", c.config.Node)
	case before.Node == c.config.Node:
		d.say("%s takes the place of the controller again.", c.config.Node)
	default:
		d.say("%s takes the place of the controller from %s.", c.config.Node, before.Node)
	}
	d.from("epoch", "%d", c.epoch)
	return d.decide()
}

// begin writes the settings of a new cluster.
func (d *step) begin() bool {
	if d.s.N() > 0 {
		return false
	}
	settings := d.config.Settings
	settings.Created = d.m.Now
	d.put(cluster.Put(settings))
	d.kind = KindBegin
	d.say("The cluster begins with %d partitions of generation %d.", settings.Partitions, settings.Generation)
	return true
}

// groups are partitions by a node.
type groups map[string][]backplane.Partition

func (g groups) add(node string, p backplane.Partition) { g[node] = append(g[node], p) }

// nodes returns the nodes in the order of their ids.
func (g groups) nodes() []string { return slices.Sorted(maps.Keys(g)) }

// of returns the partitions of a node.
func (g groups) of(node string) cluster.Ranges { return cluster.RangesOf(g[node]) }

// all returns the partitions of all nodes.
func (g groups) all() cluster.Ranges {
	return cluster.RangesOf(slices.Concat(slices.Collect(maps.Values(g))...))
}

// fromGroups adds the partitions of nodes to what the decision is made from.
func (d *step) fromGroups(name string, g groups) {
	for _, node := range g.nodes() {
		d.from(name+node, "%s", g.of(node))
	}
}

// count writes a number of partitions for people, and which they are.
func count(rs cluster.Ranges) string {
	if n := rs.Len(); n != 1 {
		return fmt.Sprintf("%d partitions (%s)", n, rs)
	}
	return fmt.Sprintf("partition %s", rs)
}
