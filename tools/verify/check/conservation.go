package check

import (
	"maps"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// conservation is about each node's own counters, which begin anew with its process. They are
// read when nothing is under way any more; the latest reading counts.
type conservation struct {
	base
	nodes map[string]*counters
}

// counters are a node's, by name and labels.
type counters struct {
	values map[string]float64
	line   uint32 // of the latest
}

// equations say which sums of counters are equal in a node at rest. A name stands for all
// its labels.
var equations = []struct {
	what        string
	left, right []string
}{
	{
		"records that were consumed, and what became of them",
		[]string{"godwit_kafka_consumer_records_total"},
		[]string{"godwit_records_total"},
	},
	{
		"deliveries to connections, and what became of them",
		[]string{"godwit_targets_total"},
		[]string{"godwit_deliveries_total", "godwit_left_to_catch_up_total", "godwit_drops_total"},
	},
	{"records that the consumer lost", []string{"godwit_kafka_consumer_lost_records_total"}, nil},
	{"records that the consumer has still to read", []string{"godwit_kafka_consumer_lag_records"}, nil},
	{"sends that are under way", []string{"godwit_kafka_producer_inflight_sends"}, nil},
}

func newConservation() check {
	return &conservation{base: promise("conservation",
		"In each node at rest, every record and every delivery is counted under exactly one thing that became of it, and nothing is under way."),
		nodes: make(map[string]*counters)}
}

func (c *conservation) event(_ *index, f *fact) {
	e, ok := f.Event.(*event.Counter)
	if !ok {
		return
	}
	node := c.nodes[e.Node]
	if node == nil {
		node = &counters{values: make(map[string]float64)}
		c.nodes[e.Node] = node
	}
	node.values[e.Name] = e.Value
	node.line = f.line
}

// sum adds up counters. It reports whether each name is there.
func (n *counters) sum(names []string) (sum float64, all bool) {
	all = true
	for _, name := range names {
		found := false
		for full, value := range n.values {
			if bare, _, _ := strings.Cut(full, "{"); bare == name {
				sum += value
				found = true
			}
		}
		all = all && found
	}
	return sum, all
}

func (c *conservation) end(x *index) {
	var silent []string
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		node := c.nodes[name]
		for _, q := range equations {
			left, all := node.sum(q.left)
			right, both := node.sum(q.right)
			if !all || !both {
				silent = append(silent, name+": "+q.what)
				continue
			}
			c.Tested++
			if left != right {
				c.violated(x, none, []uint32{node.line}, "node %s, %s: %.0f is not %.0f", name, q.what, left, right)
			}
		}
	}
	c.settled()
	switch {
	case len(c.nodes) == 0:
		c.untested("no counters were read")
	case len(silent) > 0:
		c.untested("no counters of %s", strings.Join(silent, "; "))
	}
}
