package history

import "time"

// The limits of a Writer that are not settings.
const (
	// flushEntries is how many entries and erasures the partitions of a worker gather
	// before they are written. A synced write of some hundred entries costs little more
	// than that of one, and a second's worth of a busy worker is about this much.
	flushEntries = 2048

	// flushBytes is how many bytes of values they gather at most, before the record that
	// reaches it. What a worker holds in memory is this and one record for each of its
	// recipients.
	flushBytes = 1 << 20

	// memoryBytes and memoryPeers are the sizes of the pieces in which a worker takes memory
	// for what it gathers. The last ones are partly unused.
	memoryBytes = 64 << 10
	memoryPeers = 256

	// keepEntries is how many entries a partition keeps room for between its batches. It is
	// little, because a worker may have a thousand partitions.
	keepEntries = 128

	// flushParallel is how many partitions of a worker are written at once, so that they
	// share the store's syncs or round trips.
	flushParallel = 16

	// writeTimeout ends the first attempt to write a batch, and twice the time each that
	// follows one that it has ended, so that a store that does not answer is noticed.
	writeTimeout = 30 * time.Second

	// minPause and maxPause bound the pauses between attempts, which double.
	minPause = 50 * time.Millisecond
	maxPause = 5 * time.Second

	// logPause is how often failing attempts are logged at most.
	logPause = 10 * time.Second

	// positionsTimeout bounds how long the store may take to tell its positions.
	positionsTimeout = 10 * time.Second

	// positionsAge is how old the store's positions may be when a partition starts, or that it
	// did not tell them: when many start together, they are asked for once.
	positionsAge = time.Second
)
