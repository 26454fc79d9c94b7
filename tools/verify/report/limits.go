package report

import "time"

const (
	// maxSteps is how many steps a Story is divided into at most: a picture has not many
	// more points across, and a step takes up to 8 KB.
	maxSteps = 600

	// minStep is the length of a step of a run that has no more than maxSteps of them.
	minStep = time.Second

	// keep is how long a message is looked out for that has no outcome, or that a device may
	// miss; and how long a connection is known after its end. A retry comes within 60 s, and
	// half a minute is left for its answer.
	keep = 90 * time.Second

	// maxLatency is the longest latency that is told apart from longer ones.
	maxLatency = time.Hour

	// maxQuote bounds how much of a line of the history file is quoted, in bytes: a page of
	// history is up to a megabyte.
	maxQuote = 1200

	// maxFaults is how many faults that have hit are told on a terminal. Those that have not are
	// always told.
	maxFaults = 30

	// maxLanes is how many rows the bars of faults take in the picture.
	maxLanes = 6
)
