package agent

import (
	"slices"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
)

// Failed is closed when the node cannot go on: the cluster does not let it in, or another
// process runs under its name. Failure says why.
func (a *Agent) Failed() <-chan struct{} { return a.failed }

// Failure returns why the node cannot go on; nil if it can.
func (a *Agent) Failure() error {
	select {
	case <-a.failed:
		return a.failure
	default:
		return nil
	}
}

// Ready returns nil if the node is in the cluster and serves what it owns, else why not.
func (a *Agent) Ready() error { return a.state.Load().ready }

// Err returns what an operator must look into although the node serves: the records are
// not to be trusted, or make no map. The last good one is in force.
func (a *Agent) Err() error {
	if err := a.records.Err(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.view.Snapshot(); s.Understood() && (s.Version() == 0 || s.N() == 0) {
		return nil // a cluster that is only beginning
	}
	return a.broken
}

// Alarm returns why the records are not to be trusted any more, nil if they are. Then
// nothing more is read, and nothing is written: the node asks nothing of the controller.
func (a *Agent) Alarm() error { return a.records.Err() }

// Degraded reports whether nothing of Kafka answers any more.
func (a *Agent) Degraded() bool { return a.degraded.Load() }

// Node returns the id of this node.
func (a *Agent) Node() string { return a.cfg.Node }

// Snapshot returns what the node has read of the records.
func (a *Agent) Snapshot() *cluster.Snapshot { return a.view.Snapshot() }

// Beats returns the latest beat of each node of the records, and whether it is suspected.
// One that was not heard has an entry with no beat in it: its N is 0.
func (a *Agent) Beats() []beats.Seen {
	s := a.state.Load()
	nodes := a.view.Snapshot().Nodes()
	seen := make([]beats.Seen, 0, len(nodes))
	for _, n := range nodes {
		i := slices.IndexFunc(s.seen, func(heard beats.Seen) bool { return heard.Node == n.ID })
		if i >= 0 {
			seen = append(seen, s.seen[i])
		} else {
			seen = append(seen, beats.Seen{Beat: beats.Beat{Node: n.ID}, Suspected: s.suspected[n.ID]})
		}
	}
	return seen
}

// Trail returns the latest decisions that this node has made, oldest first.
func (a *Agent) Trail() []control.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.trail)
}

// Changed returns a channel that is closed when Snapshot, Trail, Degraded, or who is
// suspected, has changed after this call, or for less.
func (a *Agent) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.news
}
