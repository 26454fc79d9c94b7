package timeline

import "sync/atomic"

// Counters count what a Service does. They may be read from any goroutine.
type Counters struct {
	Scans   atomic.Uint64 // scans of the log that were started
	Scanned atomic.Uint64 // records that they read
	// Restarts counts the windows that were started at a position: the first time,
	// after they had been given up, or for readers whom they had left behind.
	Restarts  atomic.Uint64
	Evicted   atomic.Uint64 // records that windows gave up to move on
	Emptied   atomic.Uint64 // windows that were given up for want of memory
	Forgotten atomic.Uint64 // message ids that windows forgot before their time
	Windows   atomic.Int64  // windows there are
	Bytes     atomic.Int64  // memory that they take
	Stored    atomic.Uint64 // reads of the store
	Asked     atomic.Uint64 // questions for the store's applied positions
	Bounds    atomic.Uint64 // questions for the bounds of a partition of the log
	Failed    atomic.Uint64 // reads, scans and questions that failed
}
