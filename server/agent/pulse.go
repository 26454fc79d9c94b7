package agent

import (
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
)

// beat returns the next beat. The beating goroutine calls it, and Close for the last.
func (a *Agent) beat(last bool) beats.Beat {
	b := *a.pulse.Load()
	b.Last = last
	b.Controller = b.Controller && !last
	a.beaten++
	b.N = a.beaten
	b.Degraded = a.degraded.Load()
	_, b.Connections = a.cfg.Registry.Len()
	return b
}

// tell puts together what the beats say of the node.
func (a *Agent) tell(now time.Time) {
	// The version is that of the map by which the lists were made, and the loops decide.
	b := beats.Beat{Node: a.cfg.Node, Incarnation: a.incarnation, Version: a.cfg.Placement.Load().Version(), Controller: a.lead.flag(now)}
	var warm, released []backplane.Partition
	for p := range a.holdings.state {
		p := backplane.Partition(p)
		if a.holdings.warm(p) {
			warm = append(warm, p)
		} else if a.holdings.released(p) {
			released = append(released, p)
		}
	}
	b.Warm, b.Released = cluster.RangesOf(warm), cluster.RangesOf(released)
	a.pulse.Store(&b)
}

// touch finds out whether Kafka still answers.
func (a *Agent) touch(now time.Time) {
	degraded := beats.Degraded(now, a.began, a.beater.LastBeat(), a.cfg.Produced(),
		a.listener.LastRead(), a.records.LastRead(), a.cfg.Fetched())
	if a.degraded.Swap(degraded) == degraded {
		return
	}
	a.changed()
	if degraded {
		a.log.Error("agent: Kafka does not answer: the node is degraded, keeps its clients, and refuses what they send")
		a.cfg.Loops.TellDegraded()
	} else {
		a.log.Info("agent: Kafka answers again")
	}
}
