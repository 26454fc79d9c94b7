package placement

import (
	"errors"
	"fmt"

	"github.com/godwit-im/godwit/backplane"
)

// Node is a node and what it owns.
type Node struct {
	Name string
	// URL is where clients of its partitions connect: a ws or wss URL.
	URL        string
	Partitions Ranges
}

// MaxNodes bounds the nodes of a Map: its table names the owner of each
// partition in 16 bits.
const MaxNodes = 1 << 16

// Map is one version of the mapping from partitions to nodes.
type Map struct {
	// Static after New.
	version uint64
	self    string
	nodes   []Node   // without their Partitions
	owner   []uint16 // partition -> index in nodes
	local   []bool
	mine    []backplane.Partition
}

// OverlapError is the error for partitions that two nodes own.
type OverlapError struct {
	A, B       string // the nodes
	Partitions Ranges
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("both %q and %q own partitions %s: every partition has exactly one owner", e.A, e.B, e.Partitions)
}

// UnownedError is the error for partitions that no node owns.
type UnownedError struct{ Partitions Ranges }

func (e *UnownedError) Error() string {
	return fmt.Sprintf("no node owns partitions %s: every partition has exactly one owner", e.Partitions)
}

// OutsideError is the error for partitions that do not exist.
type OutsideError struct {
	Node       string
	Partitions Ranges
	N          int32
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("%q owns partitions %s: with %d partitions the last one is %d", e.Node, e.Partitions, e.N, e.N-1)
}

// NodesError is the error for a list of nodes that names one twice, or none,
// or too many, or not the node whose view the map is.
type NodesError struct {
	Node   string
	Reason string
}

func (e *NodesError) Error() string { return fmt.Sprintf("node %q %s", e.Node, e.Reason) }

// New returns the map in which nodes own their partitions out of n, as node
// self sees it. It reports everything that is wrong at once: the error joins
// values of the error types of this package.
func New(version uint64, n int32, self string, nodes []Node) (*Map, error) {
	if n <= 0 || n > backplane.MaxPartitions {
		return nil, fmt.Errorf("placement: %d partitions: there must be 1 to %d", n, backplane.MaxPartitions)
	}
	if len(nodes) > MaxNodes {
		return nil, &NodesError{self, fmt.Sprintf("is in a map of %d nodes: there may be at most %d", len(nodes), MaxNodes)}
	}
	m := &Map{
		version: version,
		self:    self,
		nodes:   make([]Node, len(nodes)),
		owner:   make([]uint16, n),
		local:   make([]bool, n),
	}
	var errs []error
	index := make(map[string]int, len(nodes))
	for i, node := range nodes {
		if _, twice := index[node.Name]; twice {
			errs = append(errs, &NodesError{node.Name, "is named twice"})
			continue
		}
		index[node.Name] = i
		m.nodes[i] = Node{Name: node.Name, URL: node.URL}
	}
	me, ok := index[self]
	if !ok {
		errs = append(errs, &NodesError{self, "is this node, and the map does not name it"})
	}
	if err := m.assign(nodes, n); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	m.mine = nodes[me].Partitions.Partitions()
	for _, p := range m.mine {
		m.local[p] = true
	}
	return m, nil
}

// assign fills the table of owners, and reports every partition that has not
// exactly one.
func (m *Map) assign(nodes []Node, n int32) error {
	var errs []error
	taken := make([]bool, n)
	type pair struct{ a, b int }
	overlaps := make(map[pair]Ranges)
	var order []pair // of overlaps, as they were found: errors come in a stable order
	for i, node := range nodes {
		var outside Ranges
		for _, r := range node.Partitions {
			for p := r.First; p <= r.Last; p++ {
				switch {
				case int32(p) >= n:
					outside = append(outside, Range{p, p})
				case taken[p]:
					k := pair{int(m.owner[p]), i}
					if overlaps[k] == nil {
						order = append(order, k)
					}
					overlaps[k] = append(overlaps[k], Range{p, p})
				default:
					taken[p] = true
					m.owner[p] = uint16(i)
				}
			}
		}
		if len(outside) > 0 {
			errs = append(errs, &OutsideError{node.Name, outside.joined(), n})
		}
	}
	for _, k := range order {
		errs = append(errs, &OverlapError{nodes[k.a].Name, nodes[k.b].Name, overlaps[k].joined()})
	}
	var unowned Ranges
	for p, ok := range taken {
		if !ok {
			unowned = append(unowned, Range{backplane.Partition(p), backplane.Partition(p)})
		}
	}
	if len(unowned) > 0 {
		errs = append(errs, &UnownedError{unowned.joined()})
	}
	return errors.Join(errs...)
}

// Version returns the version of the mapping: a higher one is newer.
func (m *Map) Version() uint64 { return m.version }

// N returns the number of partitions.
func (m *Map) N() int32 { return int32(len(m.owner)) }

// Self returns the name of the node whose view this is.
func (m *Map) Self() string { return m.self }

// Owner returns the node that owns p, and the URL where its clients connect. p
// must be below N.
func (m *Map) Owner(p backplane.Partition) (node, url string) {
	o := &m.nodes[m.owner[p]]
	return o.Name, o.URL
}

// Local reports whether this node owns p. p must be below N.
func (m *Map) Local(p backplane.Partition) bool { return m.local[p] }

// Lookup returns the partition of a user, and its owner.
func (m *Map) Lookup(user string) (p backplane.Partition, node, url string) {
	p = backplane.PartitionOf(user, m.N())
	node, url = m.Owner(p)
	return p, node, url
}

// Partitions returns the partitions that this node owns, in ascending order. The
// slice is shared and must not be changed.
func (m *Map) Partitions() []backplane.Partition { return m.mine }

// Nodes returns the nodes, without their partitions, in the order given to
// New. The slice is shared and must not be changed.
func (m *Map) Nodes() []Node { return m.nodes }
