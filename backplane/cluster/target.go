package cluster

import (
	"cmp"
	"slices"

	"github.com/godwit-im/godwit/backplane"
)

// Target returns who should own each partition, by its index, in the steady state
// that the records and the suspicions ask for. It is a function of its arguments
// alone.
//
// The nodes that share the partitions are those that are active, not suspected and
// of a weight above 0 (if none has one, all of the active ones, as equals). Each gets
// N x weight / sum of weights, rounded down or up; where that is above its share of
// the capacity by more than half, it gets so much only, and the others the rest.
// Among all ways to do this the result is one with the fewest moves, counted from
// where the partitions are or already go to (Next). Ties go to the lower id and the
// lower partition.
//
// With no such node everything stays where it is. Partitions whose record, or whose
// owner's record, is of a higher version stay, too, and are not counted.
func Target(s *Snapshot, m Moment) []string {
	target := make([]string, s.N())
	share := eligible(s, m)
	index := make(map[string]int, len(share))
	for i, n := range share {
		index[n.ID] = i
	}
	has := make([][]backplane.Partition, len(share))
	var free []backplane.Partition
	count := 0
	for p := range backplane.Partition(s.N()) {
		a := s.Assignment(p)
		target[p] = a.Owner
		if len(share) == 0 || s.untouchable(a) {
			continue
		}
		count++
		at, ok := index[a.Next]
		if !ok {
			at, ok = index[a.Owner]
		}
		if !ok {
			free = append(free, p)
			continue
		}
		target[p] = share[at].ID
		has[at] = append(has[at], p)
	}
	if len(share) == 0 {
		return target
	}

	held := make([]int, len(share))
	for i := range share {
		held[i] = len(has[i])
	}
	quota := quotas(count, share, held)
	for i, ps := range has {
		if over := len(ps) - quota[i]; over > 0 {
			free = append(free, settledLast(s, ps)[len(ps)-over:]...)
			held[i] = quota[i]
		}
	}
	slices.Sort(free)
	for _, p := range free {
		// The node that lacks most takes the next one, so that neighbours in the map, which
		// one topic leader may serve, spread over the nodes.
		to := 0
		for i := range share {
			if quota[i]-held[i] > quota[to]-held[to] {
				to = i
			}
		}
		target[p] = share[to].ID
		held[to]++
	}
	return target
}

// untouchable reports whether a partition's record, or its owner's, must not be
// written over.
func (s *Snapshot) untouchable(a Assignment) bool {
	return len(s.protected) > 0 && // which spares the keys of most clusters
		(s.Protected(a.Key()) || a.Owner != "" && s.Protected(NodeKey(a.Owner)))
}

// settledLast returns partitions with those first that are on their way to where
// they are counted, and otherwise in their order: the last ones are given away first.
func settledLast(s *Snapshot, ps []backplane.Partition) []backplane.Partition {
	slices.SortStableFunc(ps, func(a, b backplane.Partition) int {
		moving := func(p backplane.Partition) int {
			if s.Assignment(p).Next != "" {
				return 0
			}
			return 1
		}
		return cmp.Compare(moving(a), moving(b))
	})
	return ps
}

// eligible returns the nodes that share the partitions, in the order of their ids,
// with weights above 0, or, if there is no such node, all with weight 0.
func eligible(s *Snapshot, m Moment) []Node {
	var weighted, others []Node
	for _, n := range s.Nodes() {
		switch {
		case n.State != Active || !m.alive(n):
		case n.Weight > 0:
			weighted = append(weighted, n)
		default:
			others = append(others, n)
		}
	}
	if len(weighted) > 0 {
		return weighted
	}
	return others
}

// quotas shares n partitions among nodes by weight and capacity. held is how many
// each has: it decides who gets what rounding leaves over.
func quotas(n int, nodes []Node, held []int) []int {
	quota := make([]int, len(nodes))
	capped := make([]bool, len(nodes))
	capacity := 0
	for _, node := range nodes {
		capacity += max(node.Capacity, 1)
	}
	limit := func(node Node) int {
		most := n * max(node.Capacity, 1) * capacityHeadroomNum
		return (most + capacity*capacityHeadroomDen - 1) / (capacity * capacityHeadroomDen)
	}
	weight := func(node Node) int { return max(node.Weight, 1) }

	// A node at its limit takes that much, and what it cannot take raises the share of
	// the others, which may bring one of those to its limit.
	rest, weights := n, 0
	for _, node := range nodes {
		weights += weight(node)
	}
	for again := true; again; {
		again = false
		for i, node := range nodes {
			if most := limit(node); !capped[i] && rest*weight(node) > most*weights {
				quota[i], capped[i], again = most, true, true
				rest -= most
				weights -= weight(node)
			}
		}
	}

	// What is left is shared by weight, rounded down. The parts that are lost by that go
	// one by one to nodes that lost something: first to those that have more than they
	// would get, for each of these saves a move, then by the size of the loss.
	over := rest
	var losers []int
	for i, node := range nodes {
		if !capped[i] {
			quota[i] = rest * weight(node) / weights
			over -= quota[i]
			if rest*weight(node)%weights > 0 {
				losers = append(losers, i)
			}
		}
	}
	slices.SortStableFunc(losers, func(a, b int) int {
		saves := func(i int) int {
			if held[i] > quota[i] {
				return 1
			}
			return 0
		}
		lost := func(i int) int { return rest * weight(nodes[i]) % weights }
		return cmp.Or(cmp.Compare(saves(b), saves(a)), cmp.Compare(lost(b), lost(a)))
	})
	for _, i := range losers[:over] {
		quota[i]++
	}
	return quota
}

// BestStandby returns the standby that takes the place of a node: of those that are
// not suspected the one with the largest capacity, then the lowest id. ok is false
// if there is none besides the node itself.
func BestStandby(s *Snapshot, m Moment, instead string) (best Node, ok bool) {
	for _, n := range s.Nodes() {
		if n.State == Standby && n.ID != instead && m.alive(n) && (!ok || n.Capacity > best.Capacity) {
			best, ok = n, true
		}
	}
	return best, ok
}
