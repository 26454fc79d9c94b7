package reactor

import "time"

const (
	// mailboxEntries and mailboxBytes bound a loop's mailbox. It has to hold what
	// the dispatch workers produce while the loop makes one pass; more would only be
	// lag that is kept in memory rather than in the log.
	mailboxEntries = 4096
	mailboxBytes   = 16 << 20

	// putsPerPass is how many messages a loop puts on outboxes before it writes: many,
	// so that those for one connection meet and share a write.
	putsPerPass = 4096

	// writesPerPass is to how many connections a loop writes before reads get their turn:
	// some milliseconds' worth.
	writesPerPass = 256

	// flushBytes is how much a loop writes to one connection in one pass. Who has
	// more waits for the next pass, after everybody else.
	flushBytes = 64 << 10

	// tick is how often deadlines are looked at. They are kept in whole seconds.
	tick = time.Second

	// tellsPerPass is how many connections a loop tells something in one pass that all are
	// told, such as that the node stops.
	tellsPerPass = 1024

	// maxLoops is how many loops gnet makes at most.
	maxLoops = 256

	// sendBuffer bounds what the kernel takes for a connection before it is full, in
	// bytes; the kernel doubles it for its own use. Left to itself it would take up to
	// 4 MB for each client that does not read, before our bound is even asked.
	sendBuffer = 128 << 10

	// readBuffer is gnet's buffer for reading, one for each loop.
	readBuffer = 64 << 10

	// reservedFiles is how many descriptors are left for all else that is opened after
	// the start: 512 connections of the admin port, and the log's connections, stores and
	// profiles. gnet ends the whole engine when accept fails for want of a descriptor,
	// so it must not come to that.
	reservedFiles = 768
)
