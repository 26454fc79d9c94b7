package backplane

// Position names a place in the log: a record's offset in a partition of one
// generation of the messages topic. A generation ends when the number of
// partitions changes or the topic is made anew, so positions of different
// generations do not compare.
type Position struct {
	Generation uint32
	Partition  Partition
	// Offset is the record's offset in Kafka; -1 is the place before the first.
	Offset int64
}
