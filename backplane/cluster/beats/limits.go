package beats

import "github.com/godwit-im/godwit/backplane/cluster"

// Times in milliseconds. They belong together: a beat that is late by less than
// MaxHole is no news, and a node is suspected when another one was heard for
// SuspectAfter without such a hole while it was silent.
const (
	// Interval is how often a node beats, at most: one beat is in flight at a time,
	// and one that fails is not sent again.
	Interval = 500
	// MaxHole is the longest time between two beats that still counts as unbroken. It
	// lets one beat in a row get lost, if only just.
	MaxHole = 1000
	// SuspectAfter is how long the unbroken beats of another node must go on, after the
	// last of a node, until that one is suspected.
	SuspectAfter = 3500
	// Quiet is how long nobody is suspected after a hole in everybody's beats. Then the
	// log was ill and not the nodes, and they need time to come back: a broker that
	// died is replaced after up to 9 s (broker.session.timeout.ms).
	Quiet = 10_000
	// DegradedAfter is how long a node finds nothing of its own to succeed before it
	// counts itself as cut off.
	DegradedAfter = 4000
	// Turn is how much longer each further node waits before it takes the place of a
	// controller that is gone, so that they do not all try at once.
	Turn = 500
	// Forget is how long the beats of a node are remembered after its last. A
	// node that is not known is as suspected as one that is silent.
	Forget = 600_000
)

const (
	// MaxBeat bounds the encoded beat in bytes: two lists of partitions at their
	// longest, and the rest.
	MaxBeat = 2*cluster.MaxRangesText + 1024
	// MaxNode bounds the name of a node in bytes; the configuration asks for the same.
	MaxNode = 64
	// maxClaims bounds the processes that are told apart under one name. More than two
	// at a time are a mistake upon a mistake.
	maxClaims = 4
	// maxNodes bounds the nodes that a Watch remembers, so that whoever can write into
	// the topic cannot fill the memory.
	maxNodes = 1 << 12
)
