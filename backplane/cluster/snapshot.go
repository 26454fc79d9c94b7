package cluster

import (
	"errors"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/backplane"
)

// Snapshot is the settings, nodes, partitions and controller of a cluster at one
// moment. It never changes; With makes another one. The zero Snapshot is that of
// an empty topic.
type Snapshot struct {
	settings   *Settings   // nil for none
	controller *Controller // nil for none
	nodes      []Node      // in the order of their ids
	// partitions has the assignment of each partition at its index, with no owner where
	// there is none. Records may come before the settings that tell how many there are,
	// so it is as long as the highest partition that was seen asks for.
	partitions []Assignment
	protected  []string // keys of records of a higher version, in order
}

// With returns s after changes, applied in their order. Changes of requests and
// results make no difference; s is left as it is, and shared where nothing changes.
func (s *Snapshot) With(changes ...Change) *Snapshot {
	b := builder{Snapshot: *s, from: s}
	for _, c := range changes {
		b.apply(c)
	}
	if !b.changed {
		return s
	}
	next := b.Snapshot
	return &next
}

// builder makes a Snapshot of another. It copies a table before it first changes it.
type builder struct {
	Snapshot
	from                                  *Snapshot
	changed                               bool
	ownNodes, ownPartitions, ownProtected bool
}

func (b *builder) apply(c Change) {
	prefix := c.Key
	if slash := strings.IndexByte(c.Key, '/'); slash >= 0 {
		prefix = c.Key[:slash+1]
	}
	if prefix == PrefixRequest || prefix == PrefixResult {
		return
	}
	newer := false
	body := c.Body
	if f, ok := body.(Foreign); ok {
		newer = errors.As(f.Err, new(*NewerError))
		body = nil // it counts as absent
	}
	b.protect(c.Key, newer)
	switch prefix {
	case KeySettings:
		b.changed = true
		b.settings = nil
		if s, ok := body.(Settings); ok {
			b.settings = &s
		}
	case KeyController:
		b.changed = true
		b.controller = nil
		if c, ok := body.(Controller); ok {
			b.controller = &c
		}
	case PrefixNode:
		n, ok := body.(Node)
		b.setNode(c.Key[len(PrefixNode):], n, ok)
	case PrefixPartition:
		if p, ok := parsePartitionKey(c.Key[len(PrefixPartition):]); ok {
			a, _ := body.(Assignment)
			a.Partition = p
			b.setPartition(a)
		}
	}
}

// protect notes whether the record under a key is one of a higher version.
func (b *builder) protect(key string, newer bool) {
	at, found := slices.BinarySearch(b.protected, key)
	if found == newer {
		return
	}
	b.changed = true
	if !b.ownProtected {
		b.protected, b.ownProtected = slices.Clone(b.protected), true
	}
	if newer {
		b.protected = slices.Insert(b.protected, at, key)
	} else {
		b.protected = slices.Delete(b.protected, at, at+1)
	}
}

func (b *builder) setNode(id string, n Node, exists bool) {
	at, found := findNode(b.nodes, id)
	if !found && !exists {
		return
	}
	b.changed = true
	if !b.ownNodes {
		b.nodes, b.ownNodes = slices.Clone(b.nodes), true
	}
	switch {
	case found && exists:
		b.nodes[at] = n
	case found:
		b.nodes = slices.Delete(b.nodes, at, at+1)
	default:
		b.nodes = slices.Insert(b.nodes, at, n)
	}
}

func (b *builder) setPartition(a Assignment) {
	p := int(a.Partition)
	if a.Owner == "" && (p >= len(b.partitions) || b.partitions[p].Owner == "") {
		return
	}
	b.changed = true
	if !b.ownPartitions {
		b.partitions, b.ownPartitions = slices.Clone(b.partitions), true
	}
	for len(b.partitions) <= p {
		b.partitions = append(b.partitions, Assignment{Partition: backplane.Partition(len(b.partitions))})
	}
	b.partitions[p] = a
}

func findNode(nodes []Node, id string) (int, bool) {
	return slices.BinarySearchFunc(nodes, id, func(n Node, id string) int { return strings.Compare(n.ID, id) })
}

// Version returns the map version, 0 before the first decision.
func (s *Snapshot) Version() uint64 {
	if s.controller == nil {
		return 0
	}
	return s.controller.Version
}

// Settings returns the settings; ok is false where there are none.
func (s *Snapshot) Settings() (settings Settings, ok bool) {
	if s.settings == nil {
		return Settings{}, false
	}
	return *s.settings, true
}

// Controller returns the record of the controller; ok is false where there is none.
func (s *Snapshot) Controller() (c Controller, ok bool) {
	if s.controller == nil {
		return Controller{}, false
	}
	return *s.controller, true
}

// N returns the number of partitions, 0 while there are no settings.
func (s *Snapshot) N() int32 {
	if s.settings == nil {
		return 0
	}
	return s.settings.Partitions
}

// Nodes returns all nodes in the order of their ids, those that have left included.
// The slice is shared and must not be changed.
func (s *Snapshot) Nodes() []Node { return s.nodes }

// Node returns a node by its id.
func (s *Snapshot) Node(id string) (n Node, ok bool) {
	at, ok := findNode(s.nodes, id)
	if !ok {
		return Node{}, false
	}
	return s.nodes[at], true
}

// Assignment returns who owns a partition, with an empty Owner if nobody does.
func (s *Snapshot) Assignment(p backplane.Partition) Assignment {
	if p < 0 || int(p) >= len(s.partitions) {
		return Assignment{Partition: p}
	}
	return s.partitions[p]
}

// Understood reports whether the settings and the controller's record are not of a
// higher version. Else a newer godwit decides, and this one must not.
func (s *Snapshot) Understood() bool {
	return !s.Protected(KeySettings) && !s.Protected(KeyController)
}

// Protected reports whether the record under a key is of a higher version, so that
// it must not be written over.
func (s *Snapshot) Protected(key string) bool {
	_, found := slices.BinarySearch(s.protected, key)
	return found
}

// RolesOf returns the partitions that a node owns, is the next owner of, or was the
// previous owner of, in ascending order.
func (s *Snapshot) RolesOf(id string) []backplane.Partition {
	var ps []backplane.Partition
	for p := range backplane.Partition(s.N()) {
		if a := s.Assignment(p); id != "" && (a.Owner == id || a.Next == id || a.Previous == id) {
			ps = append(ps, p)
		}
	}
	return ps
}

// inFlight returns how many partitions have a next owner.
func (s *Snapshot) inFlight() int {
	n := 0
	for p := range backplane.Partition(s.N()) {
		if s.Assignment(p).Next != "" {
			n++
		}
	}
	return n
}
