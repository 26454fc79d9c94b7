package beats

import "slices"

// claim is a process that beats under the name of a node.
type claim struct {
	incarnation uint64
	began       int64 // log time at which it began, at the latest
	last        int64 // log time of its last beat
}

// later reports whether process a began later than b.
//
// When a process began follows from its own count: it cannot have beaten more often than
// every Interval, so each of its beats gives a time before which it began, and the least
// of these is closest. Where the two are as good as equal, the number drawn at random
// decides, so that all nodes decide alike.
func (a *claim) later(b *claim) bool {
	if d := a.began - b.began; d > MaxHole || d < -MaxHole {
		return d > 0
	}
	return a.incarnation > b.incarnation
}

// speaks notes the process that a beat comes from and reports whether it speaks for the
// node: whether no other that is alive began later.
func (n *node) speaks(b *Beat, now int64) bool {
	i := slices.IndexFunc(n.claims, func(c claim) bool { return c.incarnation == b.Incarnation })
	if i < 0 {
		if len(n.claims) >= maxClaims {
			n.claims = append(n.claims[:0], n.claims[1:]...)
		}
		i = len(n.claims)
		n.claims = append(n.claims, claim{incarnation: b.Incarnation, began: now})
	}
	// Those heard last stand last, so that the first is the one to drop.
	c := n.claims[i]
	n.claims = append(append(n.claims[:i], n.claims[i+1:]...), c)
	mine := &n.claims[len(n.claims)-1]
	mine.last = now
	if b.N <= uint64(now)/Interval {
		mine.began = min(mine.began, now-int64(b.N-1)*Interval)
	}
	return !n.superseded(mine, now)
}

// superseded reports whether another process that is alive began later.
func (n *node) superseded(c *claim, now int64) bool {
	return slices.ContainsFunc(n.claims, func(other claim) bool {
		return other.incarnation != c.incarnation && now-other.last <= MaxHole && other.later(c)
	})
}

// Superseded reports whether, besides the process of this incarnation, another one that
// began later beats under the same name. Then the older one must stop: two nodes of
// one name would both answer for the same partitions, and each would say of itself what
// is not true of the other.
func (w *Watch) Superseded(name string, incarnation uint64) bool {
	n := w.nodes[name]
	if n == nil {
		return false
	}
	i := slices.IndexFunc(n.claims, func(c claim) bool { return c.incarnation == incarnation })
	return i >= 0 && n.superseded(&n.claims[i], w.now)
}
