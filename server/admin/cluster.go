package admin

import (
	"context"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
)

// Cluster is what the port asks of the node's part in its cluster. Its methods are called
// from the goroutines of requests, several at a time. None but Propose waits for anything,
// and what they return is not changed afterwards.
type Cluster interface {
	// Node returns the id of this node.
	Node() string
	// Snapshot returns what this node has read of the cluster's records. It is nil until
	// the node has read all that was there when it started.
	Snapshot() *cluster.Snapshot
	// Beats returns the latest beat of each node in Snapshot, and whether it is suspected. A
	// node that was not heard has an entry with no beat in it: its N is 0.
	Beats() []beats.Seen
	// Degraded reports whether this node is cut off from the log, so that all it says may
	// be old.
	Degraded() bool
	// Alarm returns why the records of the cluster are not to be trusted any more, nil if they
	// are. What the node has read before stays as it was, and Propose writes nothing.
	Alarm() error
	// Trail returns the latest decisions that this node has made as the controller, oldest
	// first, at most a few hundred. Their versions grow.
	Trail() []control.Entry
	// Changed returns a channel that is closed when, after this call, Snapshot or Trail
	// return something new, another node is suspected, or one is not any more. It may be
	// closed for less.
	Changed() <-chan struct{}
	// Propose appends a request, whose ID is set, to the log, and waits until the controller
	// has answered it. That the controller refuses it is no error but told by the Result.
	// After an error the outcome is not known: the request may be in the log, and be acted
	// on. The error wraps that of ctx when ctx ends first.
	Propose(ctx context.Context, r cluster.Request) (cluster.Result, error)
}
