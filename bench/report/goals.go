package report

import "strings"

// Goal is what a metric of a benchmark should reach: at most Most. It belongs to the
// benchmarks whose name is Benchmark or begins with it and a slash.
type Goal struct {
	Benchmark string
	Metric    string
	Most      float64
}

// Goals are the goals of the project.
//
// Density's is the budget of an idle authenticated connection in user space; bare gnet
// with an upgrade needs 453 bytes. The floors (x-floor) are what no server can leave
// out, measured in the same run: see package bench.
var Goals = []Goal{
	{"Density", "B/conn", 1000},
	{"DensityActive", "x-idle", 1.10},
	{"Handshake", "x-floor", 1.3},
	{"Fanout/single", "x-floor", 1.3},
	{"Fanout/backlog", "x-floor", 0.3},
	{"Unicast", "x-floor", 1.5},
	{"Latency", "added-p50-us", 300},
	{"Latency", "added-p99-us", 1000},
	{"SlowReaders", "x-p99", 1.10},
	{"Fairness/greedy", "x-p99", 2},
	{"Resume/missed=0", "x-connect", 1.2},
	{"HistoryWrite/pebble", "x-floor", 1.5},
	{"HistoryWrite/cassandra", "x-floor", 1.3},
	{"SimulatedMillion", "heap-MB", 1000},
	{"SimulatedMillion", "gc-pause-us", 1000},
	{"Million", "lost", 0},
	{"Failover", "detect-ms", 4000},
	{"Failover", "first-message-ms", 5000},
	{"ReconnectStorm/patient", "x-p99", 2},
	{"ConfigPropagation", "p99-ms", 1000},
}

// goalOf returns the goal of a metric, if there is one.
func goalOf(benchmark, metric string) (Goal, bool) {
	for _, g := range Goals {
		if g.Metric == metric && (benchmark == g.Benchmark || strings.HasPrefix(benchmark, g.Benchmark+"/")) {
			return g, true
		}
	}
	return Goal{}, false
}
