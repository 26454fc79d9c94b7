package placement

import (
	"errors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

// FromSnapshot returns the map of a cluster, as node self sees it. A node that the
// cluster does not know, or not any more, has no role in it. Every partition must
// have an owner that the cluster knows; else the error joins a *SettingsError, an
// *UnownedError and *NodesErrors as they apply.
func FromSnapshot(s *cluster.Snapshot, self string) (*Map, error) {
	n := s.N()
	if n == 0 {
		return nil, &SettingsError{}
	}
	m := &Map{
		version: s.Version(),
		self:    self,
		nodes:   make([]Node, 0, len(s.Nodes())),
		owner:   make([]uint16, n),
		role:    make([]Role, n),
	}
	index := make(map[string]uint16, len(s.Nodes()))
	for i, node := range s.Nodes() {
		m.nodes = append(m.nodes, Node{Name: node.ID, URL: node.URL})
		index[node.ID] = uint16(i)
	}
	var errs []error
	var unowned []backplane.Partition
	missing := make(map[string]bool)
	for p := range backplane.Partition(n) {
		a := s.Assignment(p)
		at, ok := index[a.Owner]
		switch {
		case a.Owner == "":
			unowned = append(unowned, p)
		case !ok && !missing[a.Owner]:
			missing[a.Owner] = true
			errs = append(errs, &NodesError{a.Owner, "owns partitions, and the cluster does not know it"})
		}
		m.owner[p] = at
		if m.role[p] = roleOf(a, self); m.role[p] != None {
			m.mine = append(m.mine, p)
		}
	}
	if len(unowned) > 0 {
		errs = append(errs, &UnownedError{cluster.RangesOf(unowned)})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// roleOf returns what a node is to a partition.
func roleOf(a cluster.Assignment, node string) Role {
	switch node {
	case "":
		return None
	case a.Owner:
		return Owner
	case a.Next:
		return Next
	case a.Previous:
		return Previous
	}
	return None
}

// Unknown returns the map of a node that does not know its cluster yet: its version is 0,
// and nobody owns any of the n partitions.
func Unknown(n int32, self string) *Map {
	return &Map{self: self, nodes: make([]Node, 1), owner: make([]uint16, n), role: make([]Role, n)}
}
