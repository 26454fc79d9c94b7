package kafkatest

import (
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafka"
	script "github.com/godwit-im/godwit/tools/kafka"
	"github.com/godwit-im/godwit/tools/process"
)

// Nodes are the nodes of one cluster of Apache Kafka. Each may be killed, paused and
// started again by itself.
type Nodes []*Process

// Cluster starts a cluster of n nodes for one test. They are killed when the test ends.
// It takes some ten seconds, and 400 MB for each node.
func Cluster(t testing.TB, n int) Nodes {
	t.Helper()
	Need(t)
	ports, err := process.FreePorts(2 * n)
	if err != nil {
		t.Fatal(err)
	}
	settings := make([]script.Node, n)
	for i := range settings {
		settings[i] = newNode(t.TempDir(), ports[i], ports[n+i])
	}
	script.Cluster(settings)
	nodes := make(Nodes, n)
	for i := range nodes {
		if nodes[i], err = newProcess(settings[i]); err != nil {
			t.Fatal(err)
		}
		nodes[i].t = t
	}
	// All at once: none serves before most of them are there.
	errs := make([]error, n)
	var starting sync.WaitGroup
	for i, p := range nodes {
		t.Cleanup(p.Kill)
		starting.Go(func() { errs[i] = p.start() })
	}
	starting.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

// Config returns the configuration of a new messages topic of the cluster, with as many
// replicas as there are nodes, three at most.
func (nodes Nodes) Config(t testing.TB, partitions int32) kafka.Config {
	t.Helper()
	cfg := newConfig(t, partitions)
	for _, p := range nodes {
		cfg.Brokers = append(cfg.Brokers, p.node.Address())
	}
	o := kafka.DefaultTopicOptions()
	o.Replicas = int16(min(len(nodes), 3))
	o.MinInsync = min(int(o.Replicas), 2)
	create(t, cfg, o)
	return cfg
}
