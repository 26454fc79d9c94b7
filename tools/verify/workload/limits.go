package workload

import "time"

// The sizes of a load.
const (
	// maxUsers bounds what one process can be: a device is a few goroutines.
	maxUsers = 10_000

	// maxRecipients is of a message that is meant to be stored. With maxDevices it makes that
	// all devices that a message concerns fit into the 64 bits that the ledger has for them.
	maxRecipients = 8
	maxDevices    = 64 / (maxRecipients + 1)

	// maxPrefix leaves room for a number within the 128 bytes of a user id.
	maxPrefix = 100

	// underWay is how many messages of a device may wait for their last outcome, retries
	// included, for it to get another one to send.
	underWay = 4

	// remembered is how many of its latest cursors a device can go back to.
	remembered = 64

	// learned is how many nodes a device knows beside those that it begins with.
	learned = 16

	// receiveBuffer is the kernel's for devices of which the server is to feel soon that they
	// do not read. It is more than two segments of loopback, below which TCP makes pauses.
	receiveBuffer = 128 << 10

	// defaultBody is the most bytes of a body before a server has said how many it takes.
	defaultBody = 64 << 10

	// pageSize is how many messages a page of a gap or of a whole timeline is asked for.
	pageSize = 100

	// readers is how many timelines are read at a time at the end.
	readers = 16
)

// What protocol.md says that a client is to do, and when.
const (
	// dialTimeout bounds an attempt to connect, and routeTimeout the question for a route: a
	// node that was stopped takes connections, and says nothing.
	dialTimeout  = 4 * time.Second
	routeTimeout = 2 * time.Second

	// minPause and maxPause bound the bound of the random pauses between attempts, so that
	// everybody is back soon after a fault.
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second

	// stable is how long a connection has lasted when the pauses begin anew.
	stable = 5 * time.Second

	// maxRedirects is how many redirects in a row are followed, and maxOlder how many answers
	// in a row by older maps than one that is known are taken for those of nodes that are behind.
	maxRedirects = 5
	maxOlder     = 8

	// silence is after how long without a frame a client pings, and patience how long it then
	// waits for any frame. The protocol allows a minute for the first: a load has less time.
	silence  = 4 * time.Second
	patience = 5 * time.Second

	// overdue is how long an ack may take on a connection that is read. A node gives a message
	// up after 20 s.
	overdue = 30 * time.Second

	// retire is how long an old connection is read on after a move, for its acks.
	retire = 5 * time.Second

	// degradedSpread is over how long the clients of a node without its log ask others for
	// the route. The protocol has half a minute for a million clients; these are few.
	degradedSpread = 8 * time.Second

	// retryPause bounds the pause before a message is sent again.
	retryPause = 1500 * time.Millisecond

	// retryAfter is how long after its latest attempt a message may be sent again, and
	// retryWindow how long after its first: well within the 60 s in which the log knows it again.
	retryAfter  = 30 * time.Second
	retryWindow = 50 * time.Second

	// nap is how long a device that was told a cursor by a heartbeat stays away.
	nap = 2 * time.Second

	// pageTimeout bounds how long a page is waited for on a connection that does not end.
	pageTimeout = 20 * time.Second
)

// The lifetimes of tokens. Those of some devices are short, so that they need newer ones.
const (
	longToken  = 12 * time.Hour
	shortToken = 12 * time.Second
)

const (
	// poll is how often those who wait look whether it is time.
	poll = 20 * time.Millisecond

	// tick is how often a device looks after its connection.
	tick = time.Second

	// quiet is how long nothing must have come for the load to be settled: also a device that
	// lacks nothing may have gone back, and wait for what it had already.
	quiet = 3 * time.Second

	// stall is how far behind its schedule the pacer may be before it leaves messages out: then
	// this process had no time, and a flood would follow.
	stall = time.Second
)
