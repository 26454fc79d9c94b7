package cluster

import (
	"strconv"

	"github.com/godwit-im/godwit/backplane"
)

// The keys of records, and the prefixes of those that there are many of.
const (
	KeySettings     = "settings"
	KeyController   = "controller"
	PrefixNode      = "node/"
	PrefixPartition = "partition/"
	PrefixRequest   = "request/"
	PrefixResult    = "result/"
)

// NodeKey returns the key of a node's record.
func NodeKey(id string) string { return PrefixNode + id }

// PartitionKey returns the key of a partition's record.
func PartitionKey(p backplane.Partition) string {
	return PrefixPartition + strconv.Itoa(int(p))
}

// RequestKey returns the key of a request.
func RequestKey(id string) string { return PrefixRequest + id }

// ResultKey returns the key of a request's result.
func ResultKey(id string) string { return PrefixResult + id }

// ValidID reports whether id may be the id of a node or a request: 1 to MaxID
// letters, digits, dots, underscores and hyphens.
func ValidID(id string) bool {
	if len(id) == 0 || len(id) > MaxID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// parsePartitionKey returns the partition that the rest of a key names, in the one
// form that PartitionKey writes.
func parsePartitionKey(text string) (backplane.Partition, bool) {
	p, err := strconv.ParseUint(text, 10, 31)
	if err != nil || p >= backplane.MaxPartitions || strconv.FormatUint(p, 10) != text {
		return 0, false
	}
	return backplane.Partition(p), true
}
