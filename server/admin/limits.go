package admin

import "time"

// The limits of the port. None is a setting: they keep a mistake of the few
// trusted clients from hurting the node, and do not shape what it does.
const (
	// maxConnections bounds the open connections. More wait in the kernel's backlog.
	// They share the process's file descriptors with the connections of users, and
	// when those run out the event loops stop (see package reactor): a stranger
	// who can reach the port, or a monitoring system that leaks, must not do that.
	maxConnections = 512

	// maxSends is how many sends may be read, or wait for the log, at a time. With the
	// largest bodies they hold about 100 MB while they are read, and nearly nothing
	// while they wait. At 5 ms each this is 50,000 a second.
	maxSends = 256

	// maxQuestions is how many questions about timelines may be under way at a time. Each
	// holds a page, of 128 KB and a message, and may wait for a store or for the log.
	maxQuestions = 64

	// maxProposals is how many requests to the controller may wait at a time. Operators make
	// them by hand.
	maxProposals = 16

	// maxWatchers is how many streams of a cluster's changes may be open at a time.
	maxWatchers = 32

	// maxHeader bounds the head of a request in bytes.
	maxHeader = 16 << 10

	// maxTokenTTL is the longest life of a development token.
	maxTokenTTL = 30 * 24 * time.Hour

	// defaultTokenTTL is the life of a development token that names none.
	defaultTokenTTL = time.Hour

	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute

	// writeTimeout is the longest time from a request to the end of its answer, well
	// beyond that to an outcome of the log. Profiles add the seconds they ask for.
	writeTimeout = time.Minute

	// proposeTimeout is how long the controller may take to answer: longer than it takes for
	// another to follow one that is gone.
	proposeTimeout = 20 * time.Second

	// watchPause is how long a stream waits after it has told of changes, so that many in
	// a row are told at once.
	watchPause = 100 * time.Millisecond

	// watchAlive is how long a stream is silent at most, so that its reader notices when
	// the node is gone.
	watchAlive = 5 * time.Second

	// watchWrite is how long a reader of a stream may take for a line.
	watchWrite = 10 * time.Second

	// retryAfter is what a client that may retry is told to wait, in seconds.
	retryAfter = "1"
)
