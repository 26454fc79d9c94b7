package admin

import (
	"context"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
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
	// Trail returns the latest decisions that this node has made as the controller, oldest
	// first, at most a few hundred. Every entry is later than those before it.
	Trail() []ClusterDecision
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

// ClusterDecision is what the controller tells of a decision.
type ClusterDecision struct {
	MapVersion uint64 `json:"map_version"`
	// Time is when it was made, in Unix milliseconds of log time.
	Time int64 `json:"time"`
	// Text says what was decided and why, in a sentence.
	Text string `json:"text"`
	// Inputs are the facts that it was decided from, each as a short text.
	Inputs []string `json:"inputs,omitempty"`
}
