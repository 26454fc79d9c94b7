package backplane

// Partition numbers a partition of the messages topic: 0 to N-1.
type Partition int32

// FNV-1a, 64 bits: the parameters are those of the FNV reference
// (draft-eastlake-fnv, section 5).
const (
	fnvOffset64 = 14695981039346656037
	fnvPrime64  = 1099511628211
)

// PartitionOf returns the partition of a user among n: FNV-1a-64 over the
// bytes of the id, folded to 32 bits by xor of its halves, modulo n. All
// arithmetic is unsigned; a port to a language with signed integers must take
// care that the modulo of a hash with its top bit set is not negative.
// testdata/partition.json holds golden vectors for such ports.
//
// It panics if n is not positive: n is a checked setting, never input.
func PartitionOf[T ~string | ~[]byte](user T, n int32) Partition {
	if n <= 0 {
		panic("backplane: PartitionOf with no partitions")
	}
	return Partition(HashUser(user) % uint32(n))
}

// HashUser returns the folded hash that PartitionOf reduces.
func HashUser[T ~string | ~[]byte](user T) uint32 {
	h := uint64(fnvOffset64)
	for i := 0; i < len(user); i++ {
		h ^= uint64(user[i])
		h *= fnvPrime64
	}
	return uint32(h>>32) ^ uint32(h)
}
