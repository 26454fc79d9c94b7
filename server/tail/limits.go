package tail

const (
	// maxErasures is how many users' erasures a partition remembers. They are needed
	// until the history store has applied them, seconds later as a rule; beyond the
	// limit the one furthest back is forgotten.
	maxErasures = 1024

	// erasureSize is what an erasure takes in memory apart from the user's id, in
	// bytes: its place in a map that is between 7/16 and 7/8 full.
	erasureSize = 48

	// mostLooked is how many of a user's records a reader looks at before it lets the writer
	// have the partition. That takes some 10 microseconds.
	mostLooked = 1024

	// minSize is the smallest size of a ring or a table, in elements: most
	// partitions of a node with many have few records. A power of two.
	minSize = 4
)
