package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane/cluster"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("godwit_cluster_"+name, help, labels, nil)
}

var (
	versionDesc    = desc("map_version", "The version of the map of partitions that is in force on this node.")
	controllerDesc = desc("controller", "1 if this node is the controller, and able to decide.")
	degradedDesc   = desc("degraded", "1 if nothing of Kafka answers this node any more.")
	alarmDesc      = desc("alarm", "1 if the records of the cluster are not to be trusted, or make no map. Somebody has to look into it.")
	nodesDesc      = desc("nodes", "Nodes of the cluster, by state.", "state")
	suspectedDesc  = desc("nodes_suspected", "Nodes of the cluster that are suspected of being dead.")
	partitionsDesc = desc("partitions", "Partitions that this node has to do with: owned and served, behind (owned and still being read), warming and warm (to be owned next), and leaving (gone elsewhere, with clients that are left).", "state")
	movedDesc      = desc("moved_total", "Times that clients of this node were told that another node serves their users.")
	decisionsDesc  = desc("decisions_total", "Decisions that this node has made as the controller, by kind.", "kind")
	beatAgeDesc    = desc("beat_age_seconds", "Time since the log took a beat of this node, or since it started.")
	heardAgeDesc   = desc("heard_age_seconds", "Time since this node could read beats, or since it started.")
)

// Describe sends nothing: the Agent is an unchecked collector, as its metrics are all made
// in Collect.
func (a *Agent) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. Any goroutine may call it.
func (a *Agent) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	flag := func(d *prometheus.Desc, v bool) {
		if v {
			gauge(d, 1)
		} else {
			gauge(d, 0)
		}
	}
	gauge(versionDesc, float64(a.cfg.Placement.Load().Version()))
	flag(controllerDesc, a.pulse.Load().Controller)
	flag(degradedDesc, a.Degraded())
	flag(alarmDesc, a.Err() != nil)

	states := make(map[cluster.State]int)
	for _, n := range a.Snapshot().Nodes() {
		states[n.State]++
	}
	for _, state := range []cluster.State{cluster.Active, cluster.Standby, cluster.Draining, cluster.Left} {
		gauge(nodesDesc, float64(states[state]), string(state))
	}
	s := a.state.Load()
	gauge(suspectedDesc, float64(len(s.suspected)))
	gauge(partitionsDesc, float64(s.partitions.owned), "owned")
	gauge(partitionsDesc, float64(s.partitions.behind), "behind")
	gauge(partitionsDesc, float64(s.partitions.warming), "warming")
	gauge(partitionsDesc, float64(s.partitions.warm), "warm")
	gauge(partitionsDesc, float64(s.partitions.leaving), "leaving")
	counter(movedDesc, a.mover.told.Load())
	a.mu.Lock()
	for kind, n := range a.decisions {
		counter(decisionsDesc, n, string(kind))
	}
	a.mu.Unlock()

	age := func(last time.Time) float64 {
		if last.IsZero() {
			last = a.began
		}
		return time.Since(last).Seconds()
	}
	gauge(beatAgeDesc, age(a.beater.LastBeat()))
	gauge(heardAgeDesc, age(a.listener.LastRead()))
}
