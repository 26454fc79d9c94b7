package placement

import "fmt"

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

// SettingsError is the error for a cluster that has no settings yet, so that nobody
// knows how many partitions there are.
type SettingsError struct{}

func (*SettingsError) Error() string { return "the cluster has no settings yet" }
