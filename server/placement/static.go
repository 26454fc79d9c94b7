package placement

import (
	"errors"
	"fmt"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

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
		role:    make([]Role, n),
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
		m.role[p] = Owner
	}
	return m, nil
}

// assign fills the table of owners, and reports every partition that has not
// exactly one.
func (m *Map) assign(nodes []Node, n int32) error {
	var errs []error
	taken := make([]bool, n)
	type pair struct{ a, b int }
	overlaps := make(map[pair][]backplane.Partition)
	var order []pair // of overlaps, as they were found: errors come in a stable order
	for i, node := range nodes {
		var outside []backplane.Partition
		for _, r := range node.Partitions {
			for p := r.First; p <= r.Last; p++ {
				switch {
				case int32(p) >= n:
					outside = append(outside, p)
				case taken[p]:
					k := pair{int(m.owner[p]), i}
					if overlaps[k] == nil {
						order = append(order, k)
					}
					overlaps[k] = append(overlaps[k], p)
				default:
					taken[p] = true
					m.owner[p] = uint16(i)
				}
			}
		}
		if len(outside) > 0 {
			errs = append(errs, &OutsideError{node.Name, cluster.RangesOf(outside), n})
		}
	}
	for _, k := range order {
		errs = append(errs, &OverlapError{nodes[k.a].Name, nodes[k.b].Name, cluster.RangesOf(overlaps[k])})
	}
	var unowned []backplane.Partition
	for p, ok := range taken {
		if !ok {
			unowned = append(unowned, backplane.Partition(p))
		}
	}
	if len(unowned) > 0 {
		errs = append(errs, &UnownedError{cluster.RangesOf(unowned)})
	}
	return errors.Join(errs...)
}
