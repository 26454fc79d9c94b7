package cluster

// The limits of what the cluster's topic may hold. A record beyond them is not
// understood, and a request beyond them is refused.
const (
	// Format is the version of the records' format that this package writes, and the
	// highest that it understands.
	Format = 1

	// MaxRecord is the longest value of a record that is looked at, in bytes: a
	// request that names every second partition of the largest generation, and room
	// for the rest.
	MaxRecord = 64 << 10

	// MaxNodes is how many nodes a cluster may have, those that have left included.
	// Each of them reads the heartbeats of all.
	MaxNodes = 1000

	// MaxID is the longest id of a node or a request, in bytes.
	MaxID = 64

	// MaxURL is the longest address of a node, in bytes.
	MaxURL = 2048

	// MaxText is the longest text in a record that only people read, in bytes.
	MaxText = 1024

	// MaxWeight bounds a node's weight; it leaves room for fine shares of many nodes.
	MaxWeight = 10_000

	// MaxCapacity bounds the connections that a node may say it holds. It is far above
	// what one does hold.
	MaxCapacity = 10_000_000

	// MaxMovesInFlight bounds how many partitions may have a next owner at a time.
	MaxMovesInFlight = 10_000

	// MaxMovedPerSecond bounds how many clients a node sends elsewhere in a second.
	MaxMovedPerSecond = 1_000_000

	// MaxSends bounds the rate and the burst of a connection's sends.
	MaxSends = 1_000_000
)

// ResultLife is how long a request and its result stay in the topic, in
// milliseconds of log time, so that whoever waits for the result sees it.
const ResultLife = 10 * 60 * 1000

// capacityHeadroom is how far above its share of the cluster's capacity a node may
// get partitions, as a fraction: three halves. Below that, weights alone decide.
const (
	capacityHeadroomNum = 3
	capacityHeadroomDen = 2
)
