package agent

import (
	"time"

	"github.com/godwit-im/godwit/backplane/cluster/beats"
)

const (
	// turn is how often the agent looks at what depends on time alone: whom to tell that
	// they have moved, and whether Kafka still answers.
	turn = 100 * time.Millisecond

	// retryPause is how long it takes until something that failed is tried again.
	retryPause = 200 * time.Millisecond

	// joinPause is how long it takes until the node asks again to be let in.
	joinPause = 2 * time.Second

	// flagTimeout is how long a controller keeps the flag in its beats that has something to
	// commit, and cannot, or does not read what it has committed; then another may take the
	// place.
	flagTimeout = 4 * time.Second

	// joinTimeout is how long the node waits for the answer to its request to be let in
	// before it asks again.
	joinTimeout = 15 * time.Second

	// flagDelay is how long it may take, in milliseconds of log time, until the flag of a new
	// controller is heard: one beat may be lost, and the one before it was on its way.
	flagDelay = 3 * beats.Interval

	// takePause is how long it takes until a node that could not take the controller's place
	// tries again.
	takePause = 2 * time.Second

	// fencedTimeout is how long a controller that was fenced waits for the flag of the one
	// that did it, which has to read all records first.
	fencedTimeout = 5 * time.Second

	// hearPatience is how long a node that has started waits for the first beat, which tells it
	// log time, until it reads partitions by its own clock: several beats of each node.
	hearPatience = 6 * beats.Interval * time.Millisecond

	// walkClients is about how many clients are looked at in a turn: some ten milliseconds'
	// worth.
	walkClients = 250_000

	// trailLength is how many decisions are remembered for operators.
	trailLength = 256
)
