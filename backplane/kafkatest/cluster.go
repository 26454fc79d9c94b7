package kafkatest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafka"
)

// Nodes are the nodes of one cluster of Apache Kafka. Each may be killed, paused and
// started again by itself.
type Nodes []*Process

// Cluster starts a cluster of n nodes for one test. They are killed when the test ends.
// It takes some ten seconds, and 400 MB for each node.
func Cluster(t testing.TB, n int) Nodes {
	t.Helper()
	if err := available(); err != nil {
		unavailable(t, err)
	}
	ports, err := freePorts(2 * n)
	if err != nil {
		t.Fatal(err)
	}
	voters := make([]string, n)
	for i := range voters {
		voters[i] = fmt.Sprintf("%d@127.0.0.1:%d", i+1, ports[n+i])
	}
	id := clusterID()
	nodes := make(Nodes, n)
	for i := range nodes {
		nodes[i], err = newProcess(t.TempDir(), ports[i], ports[n+i],
			fmt.Sprintf("KAFKA_NODE_ID=%d", i+1), "KAFKA_VOTERS="+strings.Join(voters, ","), "KAFKA_CLUSTER_ID="+id)
		if err != nil {
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

// clusterID returns an id in the form that Kafka wants: 16 bytes in base64, without
// padding. It does not begin with a hyphen, which a command line would take for an
// option.
func clusterID() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = 0
	return base64.RawURLEncoding.EncodeToString(b)
}

// Config returns the configuration of a new messages topic of the cluster, with as many
// replicas as there are nodes, three at most.
func (nodes Nodes) Config(t testing.TB, partitions int32) kafka.Config {
	t.Helper()
	cfg := newConfig(t, partitions)
	for _, p := range nodes {
		cfg.Brokers = append(cfg.Brokers, p.addr)
	}
	o := kafka.DefaultTopicOptions()
	o.Replicas = int16(min(len(nodes), 3))
	o.MinInsync = min(int(o.Replicas), 2)
	create(t, cfg, o)
	return cfg
}
