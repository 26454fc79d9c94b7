package server

import "time"

const (
	// answersPerLoop is how many sends and token checks the sessions of one loop may
	// be waiting for at once. At the log's usual 2 ms that is two million a second
	// for each loop.
	answersPerLoop = 4096

	// dedupeEntries is how many recent message ids a node remembers, all partitions
	// together: enough for 2W at 16,000 messages a second. An id takes some 60
	// bytes, and only while it is recent.
	dedupeEntries = 2_000_000

	// dedupeLeast is what a partition gets at the least.
	dedupeLeast = 2048

	// cursorLag is how old the cursor that an idle client was told may become.
	cursorLag = 5 * time.Minute

	// topicTimeout bounds the check of the topic when a node starts.
	topicTimeout = 30 * time.Second
)
