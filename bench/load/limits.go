package load

import "time"

const (
	// perSource is how many connections share a source address. Linux gives some
	// 28,000 ports to an address by default; the rest is for ports that wait after a
	// close.
	perSource = 16_700

	// perTable is how many connections a loop has at the most when it has a descriptor
	// table of its own: RLIMIT_NOFILE is often 20,000, and some are for other use.
	perTable = perSource

	// connecting is how many connections of all loops together are on their way at
	// once. It is below the usual backlog of a listener (4,096), beyond which the
	// kernel would drop requests and try them again a second later.
	connecting = 1024

	// maxNodes is how many nodes are known at most, those that were given and those that
	// others direct to.
	maxNodes = 255

	// maxLed is how many times in a row a connection is led to another node without having
	// lasted for stableSeconds, maxOlder how many answers in a row are taken for those of
	// nodes that do not know the newest map yet: both of docs/protocol.md.
	maxLed        = 5
	maxOlder      = 8
	stableSeconds = 30

	// minBackoff is the least bound of a random pause before a connection is tried again,
	// defaultMaxBackoff that of Config.MaxBackoff, and maxPause what a server may ask for:
	// those of tools/client.
	minBackoff        = 500 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second
	maxPause          = time.Minute

	// openTimeout is how long it may take to be welcomed, and routeTimeout to get a route.
	openTimeout  = 10 * time.Second
	routeTimeout = 3 * time.Second

	// readBuffer is the loop's buffer for reading, which all its connections share.
	readBuffer = 256 << 10

	// messageBytes is the largest message that is taken from a server: above the
	// largest delivery of godwit.v1 in its longest encoding.
	messageBytes = 2 << 20

	// maxBacklog is how many bytes may wait for a socket to take them. A connection
	// with more does not send.
	maxBacklog = 1 << 20

	// sendsPerPass is how many messages a loop sends before it reads again.
	sendsPerPass = 128

	// opensPerPass is the same for new connections.
	opensPerPass = 64

	// readsPerPass is how often in a row a loop reads from one connection.
	readsPerPass = 16

	// sweeps is how often within a heartbeat a connection is looked at.
	sweeps = 4

	// sweepEvery is how often a loop looks at some of its connections.
	sweepEvery = time.Second

	// histogramMax is the longest latency that is told apart, in microseconds, and
	// histogramDigits how exactly: to a thousandth.
	histogramMax    = 120_000_000
	histogramDigits = 3

	// defaultPatience is how long a run waits for what is missing after its last send:
	// longer than a node takes to give up on a record.
	defaultPatience = 30 * time.Second

	// checkEvery is how often it looks.
	checkEvery = 20 * time.Millisecond
)
