package placement

import "github.com/godwit-im/godwit/backplane"

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

// Role says what a node is to a partition.
type Role uint8

// The roles of a node. All but None accept the partition's users, so that a move
// from one node to another bounces nobody.
const (
	// None: the partition is no business of this node.
	None Role = iota
	// Owner: clients are sent here.
	Owner
	// Next: this node gets ready to own the partition.
	Next
	// Previous: this node owned the partition, and serves the clients that it has until
	// they have gone.
	Previous
)

func (r Role) String() string {
	return [...]string{"none", "owner", "next", "previous"}[r]
}

// Map is one version of the mapping from partitions to nodes.
type Map struct {
	// Static after it was made.
	version uint64
	self    string
	nodes   []Node   // without their Partitions
	owner   []uint16 // partition -> index in nodes
	role    []Role   // partition -> what this node is to it
	mine    []backplane.Partition
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

// Role returns what this node is to p, which must be below N.
func (m *Map) Role(p backplane.Partition) Role { return m.role[p] }

// Local reports whether this node serves p: as its owner, the next or the previous
// one. p must be below N.
func (m *Map) Local(p backplane.Partition) bool { return m.role[p] != None }

// Lookup returns the partition of a user, and its owner.
func (m *Map) Lookup(user string) (p backplane.Partition, node, url string) {
	p = backplane.PartitionOf(user, m.N())
	node, url = m.Owner(p)
	return p, node, url
}

// Partitions returns the partitions that are Local, in ascending order. The slice is
// shared and must not be changed.
func (m *Map) Partitions() []backplane.Partition { return m.mine }

// Nodes returns the nodes, without their partitions, in the order given to New, or
// in that of their ids. The slice is shared and must not be changed.
func (m *Map) Nodes() []Node { return m.nodes }
