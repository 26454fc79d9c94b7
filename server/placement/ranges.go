package placement

import "github.com/godwit-im/godwit/backplane/cluster"

// The sets of partitions of package cluster, under the names that settings know
// them by.
type (
	// Range is a run of partitions, both ends included.
	Range = cluster.Range
	// Ranges is a set of partitions.
	Ranges = cluster.Ranges
	// RangesError is the error for text that is not a set of partitions.
	RangesError = cluster.RangesError
)

// All returns the partitions 0 to n-1.
func All(n int32) Ranges { return cluster.All(n) }

// ParseRanges reads a set of partitions such as "0-127,200"; see
// cluster.ParseRanges.
func ParseRanges(text string) (Ranges, error) { return cluster.ParseRanges(text) }
