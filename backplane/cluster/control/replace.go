package control

import (
	"maps"
	"slices"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

// replace frees the partitions from the nodes that are suspected, all in one decision.
//
// What others are warm for flips to them. For a node that was active one standby takes the
// rest and becomes active: that brings back the capacity there was, and moves nothing
// else. Where there is no standby, or the node was on its way out anyway, the rest is
// spread. A node that was active is a standby from then on: should it come back, it finds
// so by the records, and an operator says when it is active again; unless it said that it
// ends, for then it is well, and joins as what its settings say.
func (d *step) replace() bool {
	if !slices.ContainsFunc(d.s.Nodes(), d.alive) {
		return false // nobody is there to take anything
	}
	lost := d.flipOff()
	var rest []backplane.Partition
	for _, n := range d.before.Nodes() {
		if !d.m.Suspected[n.ID] {
			continue
		}
		owned := lost[n.ID]
		if n.State == cluster.Active {
			gone, reason := "is silent", cluster.ReasonSuspected
			if seen, ok := d.watch.Latest(n.ID); ok && seen.Last {
				gone, reason = "has ended", cluster.ReasonEnded
			}
			d.become(n, cluster.Standby, reason)
			if spare, ok := d.standby(); ok && len(owned) > 0 {
				d.say("%s %s: the standby %s takes its place and %s.", n.ID, gone, spare.ID, count(lost.of(n.ID)))
				d.become(spare, cluster.Active, cluster.ReasonReplaced)
				d.give(owned, func(backplane.Partition) string { return spare.ID })
				continue
			}
			d.say("%s %s and becomes a standby.", n.ID, gone)
		}
		if len(owned) > 0 {
			d.say("The others take %s of %s.", count(lost.of(n.ID)), n.ID)
			rest = append(rest, owned...)
		}
	}
	d.spread(rest)
	if len(d.changes) == 0 {
		return false
	}
	d.kind = KindReplace
	for _, id := range slices.Sorted(maps.Keys(d.m.Suspected)) {
		if seen, ok := d.watch.Latest(id); ok {
			d.from("last_beat_of_"+id, "%d", seen.Time)
		}
	}
	d.from("log_time", "%d", d.watch.Now())
	return true
}

// promote makes a standby active where no active node is there: whatever is there besides
// is on its way out.
func (d *step) promote() bool {
	spare, ok := d.standby()
	if !ok || slices.ContainsFunc(d.s.Nodes(), d.able) {
		return false
	}
	d.become(spare, cluster.Active, cluster.ReasonPromoted)
	d.kind = KindPromote
	d.say("No active node is there: the standby %s becomes one.", spare.ID)
	return true
}

// flipOff takes suspected nodes out of their roles: their partitions go to who is warm for
// them. It returns those that nobody is warm for, by owner.
func (d *step) flipOff() (lost groups) {
	lost = make(groups)
	flipped := make(groups)
	called := 0
	var changes []cluster.Change
	for p := range backplane.Partition(d.s.N()) {
		before := d.s.Assignment(p)
		if !d.m.Suspected[before.Owner] && !d.m.Suspected[before.Next] && !d.m.Suspected[before.Previous] || !d.ours(before) {
			continue
		}
		a := before
		if d.m.Suspected[a.Previous] {
			a.Previous = ""
		}
		switch {
		case d.m.Suspected[a.Owner] && d.warm(a):
			flipped.add(a.Owner, p)
			a = owned(a, a.Next)
		case d.m.Suspected[a.Owner]:
			lost.add(a.Owner, p)
			continue // it changes when it is given to somebody
		case d.m.Suspected[a.Next]:
			called++
			a.Next = ""
		}
		changes = append(changes, cluster.Put(a))
	}
	for _, owner := range flipped.nodes() {
		d.say("The others are warm for %s of silent %s and take that over.", count(flipped.of(owner)), owner)
	}
	switch {
	case called > 0:
		d.say("%d moves to silent nodes are called off.", called)
	case len(flipped) == 0 && len(changes) > 0:
		d.say("%d partitions need not wait for a silent previous owner.", len(changes))
	}
	d.put(changes...)
	return lost
}

// assign gives owners to partitions that have none: those of a new cluster, and those
// whose owner's record is gone.
func (d *step) assign() bool {
	var ps []backplane.Partition
	for p := range backplane.Partition(d.s.N()) {
		a := d.s.Assignment(p)
		if n, ok := d.s.Node(a.Owner); (!ok || n.State == cluster.Left) && d.ours(a) {
			ps = append(ps, p)
		}
	}
	d.spread(ps)
	if len(d.changes) == 0 {
		return false
	}
	d.kind = KindAssign
	d.say("Nobody owned %s.", count(cluster.RangesOf(ps)))
	return true
}

// spread gives partitions to the nodes that should own them, at once. Where no active
// node is there, a standby becomes active; failing that, nodes that are draining
// keep or take them, since any owner is better than none.
func (d *step) spread(ps []backplane.Partition) {
	if len(ps) == 0 || !slices.ContainsFunc(d.s.Nodes(), d.alive) {
		return
	}
	if !slices.ContainsFunc(d.s.Nodes(), d.able) {
		if spare, ok := d.standby(); ok {
			d.say("No active node is there: the standby %s becomes one.", spare.ID)
			d.become(spare, cluster.Active, cluster.ReasonPromoted)
		}
	}
	if slices.ContainsFunc(d.s.Nodes(), d.able) {
		target := cluster.Target(d.s, d.m)
		d.give(ps, func(p backplane.Partition) string { return target[p] })
		return
	}
	var last []string
	for _, n := range d.s.Nodes() {
		if d.alive(n) {
			last = append(last, n.ID)
		}
	}
	d.say("Only nodes that drain are there.")
	next := 0
	d.give(ps, func(backplane.Partition) string {
		next++
		return last[(next-1)%len(last)]
	})
}

// give makes nodes the owners of partitions, at once.
func (d *step) give(ps []backplane.Partition, to func(backplane.Partition) string) {
	changes := make([]cluster.Change, 0, len(ps))
	for _, p := range ps {
		a := d.s.Assignment(p)
		if d.m.Suspected[a.Previous] {
			a.Previous = ""
		}
		changes = append(changes, cluster.Put(owned(a, to(p))))
	}
	d.put(changes...)
}

// standby returns the standby that is to become active next: one that was heard, since
// nobody is suspected while the beats are young or the log was ill.
func (d *step) standby() (cluster.Node, bool) {
	m := cluster.Moment{Now: d.m.Now, Suspected: maps.Clone(d.m.Suspected)}
	for _, n := range d.s.Nodes() {
		if !d.watch.Heard(n.ID) {
			m.Suspected[n.ID] = true
		}
	}
	return cluster.BestStandby(d.s, m, "")
}

// become changes the state of a node.
func (d *step) become(n cluster.Node, state cluster.State, reason cluster.Reason) {
	n.State, n.Reason, n.Since = state, reason, d.m.Now
	d.put(cluster.Put(n))
}

// owned returns the assignment after its owner was replaced at once. A previous owner
// that is there goes on serving the clients that it has.
func owned(a cluster.Assignment, by string) cluster.Assignment {
	a.Owner, a.Next = by, ""
	if a.Previous == by {
		a.Previous = ""
	}
	return a
}

// alive reports whether a node runs, as far as anybody knows.
func (d *step) alive(n cluster.Node) bool { return n.State != cluster.Left && !d.m.Suspected[n.ID] }

// able reports whether a node gets partitions.
func (d *step) able(n cluster.Node) bool { return n.State == cluster.Active && d.alive(n) }

// ableID is able of an id, which may be unknown.
func (d *step) ableID(id string) bool {
	n, ok := d.s.Node(id)
	return ok && d.able(n)
}

// ours reports whether a partition may be changed: none of the records that it is about
// is of a newer version.
func (d *step) ours(a cluster.Assignment) bool {
	return !d.s.Protected(cluster.PartitionKey(a.Partition)) && !d.s.Protected(cluster.NodeKey(a.Owner)) &&
		!d.s.Protected(cluster.NodeKey(a.Next)) && !d.s.Protected(cluster.NodeKey(a.Previous))
}
