package server

import "time"

const (
	// answersPerLoop is how many sends and token checks the sessions of one loop may
	// be waiting for at once. At the log's usual 2 ms that is two million a second
	// for each loop.
	answersPerLoop = 4096

	// rememberedIDs is how many recent message ids a node remembers, all partitions
	// together: those of 2W at 32,000 records a second. An id takes some 80 bytes,
	// and only while it is recent.
	rememberedIDs = 4_000_000

	// cursorLag is how old the cursor that an idle client was told may become.
	cursorLag = 5 * time.Minute

	// endTimeout bounds the end of the loops, when nothing is left to be done.
	endTimeout = 5 * time.Second

	// eraseTimeout bounds an erasure, all that it asks of the log included. The producer
	// tells the outcome of a send within twenty seconds.
	eraseTimeout = 30 * time.Second

	// readBackPause is how often it is looked whether an erasure was read back.
	readBackPause = 5 * time.Millisecond

	// LeaveTimeout bounds the time in which a node that stops hands its partitions over.
	LeaveTimeout = 30 * time.Second

	// recentPatience is how long a node without a cluster looks for the last records of its
	// partitions when it starts, and recentAtOnce how many it asks for at a time.
	recentPatience = 2 * time.Second
	recentAtOnce   = 16

	// topicTimeout bounds the check of the topic when a node starts.
	topicTimeout = 30 * time.Second
)
