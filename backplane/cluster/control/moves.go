package control

import (
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

// BalanceID is the id of the request that the controller writes to itself while
// partitions move to where cluster.Target has them. It has no result; it is deleted
// when they all lie there.
const BalanceID = "balance"

// warm reports whether the next owner of a partition is there and ready. Its beat must
// have been made with this assignment in view: what an earlier one lists may be left of
// an earlier move.
func (d *step) warm(a cluster.Assignment) bool {
	seen, ok := d.watch.Latest(a.Next)
	return ok && !seen.Suspected && seen.Version >= a.Version && seen.Warm.Contains(a.Partition)
}

// flip makes the next owners the owners where they are ready. A partition that a
// previous owner still serves waits, for there is one place for a previous owner, and
// its clients would be cut off; unless it goes back to just that one.
func (d *step) flip() bool {
	ready := make(groups)
	var changes []cluster.Change
	for p := range backplane.Partition(d.s.N()) {
		a := d.s.Assignment(p)
		if a.Next == "" || a.Previous != "" && a.Previous != a.Next || !d.ableID(a.Next) || !d.warm(a) || !d.ours(a) {
			continue
		}
		a.Owner, a.Next, a.Previous = a.Next, "", a.Owner
		ready.add(a.Owner, p)
		changes = append(changes, cluster.Put(a))
	}
	if len(changes) == 0 {
		return false
	}
	d.put(changes...)
	d.kind = KindFlip
	d.say("The next owners are warm and take %s.", count(ready.all()))
	d.fromGroups("warm_at_", ready)
	return true
}

// release notes where the previous owner has let go, or is gone.
func (d *step) release() bool {
	free := make(groups)
	var changes []cluster.Change
	for p := range backplane.Partition(d.s.N()) {
		a := d.s.Assignment(p)
		if a.Previous == "" || !d.released(a) || !d.ours(a) {
			continue
		}
		free.add(a.Previous, p)
		a.Previous = ""
		changes = append(changes, cluster.Put(a))
	}
	if len(changes) == 0 {
		return false
	}
	d.put(changes...)
	d.kind = KindRelease
	d.say("The previous owners have let go of %s.", count(free.all()))
	d.fromGroups("released_by_", free)
	return true
}

func (d *step) released(a cluster.Assignment) bool {
	if n, ok := d.s.Node(a.Previous); !ok || n.State == cluster.Left {
		return true
	}
	seen, ok := d.watch.Latest(a.Previous)
	return ok && seen.Version >= a.Version && seen.Released.Contains(a.Partition)
}

// retire lets nodes go that asked to leave and have handed over everything.
func (d *step) retire() bool {
	for _, n := range d.s.Nodes() {
		if n.State == cluster.Draining && n.Reason == cluster.ReasonLeave && len(d.s.RolesOf(n.ID)) == 0 {
			d.become(n, cluster.Left, cluster.ReasonLeave)
			d.say("%s has handed over everything and leaves.", n.ID)
		}
	}
	d.kind = KindRetire
	return len(d.changes) > 0
}

// move begins moves off the nodes that may not keep what they have and, while there
// is a request to balance, to where Target has the partitions; and calls off the moves
// whose end has become wrong. Not more than moves_in_flight partitions are on
// their way at a time.
func (d *step) move() bool {
	settings, _ := d.s.Settings()
	_, balance := d.requests[BalanceID]
	target := cluster.Target(d.s, d.m)
	room := settings.Live.MovesInFlight
	for p := range backplane.Partition(d.s.N()) {
		if d.s.Assignment(p).Next != "" {
			room--
		}
	}
	var began, called []backplane.Partition
	var changes []cluster.Change
	ahead := 0 // moves that are on their way, or have to wait
	for p := range backplane.Partition(d.s.N()) {
		a, to := d.s.Assignment(p), target[p]
		if a.Owner == to && a.Next == "" || a.Owner == "" || !d.ours(a) {
			continue
		}
		switch {
		case a.Next != "" && (a.Next == to || !balance && d.ableID(a.Next)):
			ahead++
			continue
		case a.Next != "" && (a.Owner == to || !d.ableID(to)):
			a.Next = ""
			room++
			called = append(called, p)
		case a.Next != "":
			a.Next = to
			called, began = append(called, p), append(began, p)
		case !d.ableID(to) || !balance && !d.mustLeave(a.Owner):
			continue
		case a.Previous != "" || room <= 0:
			ahead++
			continue
		default:
			a.Next = to
			room--
			began = append(began, p)
		}
		changes = append(changes, cluster.Put(a))
	}
	if len(changes) == 0 {
		if !balance || ahead > 0 {
			return false
		}
		d.put(cluster.Delete(cluster.RequestKey(BalanceID)))
		d.kind = KindBalanced
		d.say("All partitions are where the weights of the nodes ask for them.")
		return true
	}
	d.put(changes...)
	d.kind = KindMove
	if len(called) > 0 {
		d.say("Moves of %s are called off: the nodes they led to are not to have them any more.", count(cluster.RangesOf(called)))
	}
	switch {
	case len(began) > 0 && balance:
		d.say("The nodes are to have their shares: a move of %s begins.", count(cluster.RangesOf(began)))
	case len(began) > 0:
		d.say("Their owners hand over: a move of %s begins.", count(cluster.RangesOf(began)))
	}
	d.from("in_flight", "%d", settings.Live.MovesInFlight-room)
	d.from("moves_in_flight", "%d", settings.Live.MovesInFlight)
	return true
}

// mustLeave reports whether a node may not keep its partitions.
func (d *step) mustLeave(id string) bool {
	n, ok := d.s.Node(id)
	return !ok || n.State != cluster.Active
}

// askBalance writes the request that keeps partitions moving to where Target has
// them, if any does not lie there.
func (d *step) askBalance() bool {
	target := cluster.Target(d.s, d.m)
	for p, to := range target {
		a := d.s.Assignment(backplane.Partition(p))
		if a.Owner != "" && a.Owner != to && a.Next != to {
			d.put(cluster.Put(cluster.Request{
				ID: BalanceID, Kind: cluster.KindRebalance, By: "controller " + d.config.Node, At: d.m.Now,
			}))
			return true
		}
	}
	return false
}
