package kafka

import (
	"encoding/base64"
	"slices"
	"testing"
)

func TestEnvironment(t *testing.T) {
	alone := Node{Port: 9092}
	if env := alone.Environment(); !slices.Equal(env, []string{"KAFKA_PORT=9092"}) || alone.Address() != "127.0.0.1:9092" {
		t.Errorf("a node with defaults is at %s with %v", alone.Address(), env)
	}
	full := Node{Port: 1, Controller: 2, Data: "/data", Heap: "384m", ID: 3, Voters: "v", ClusterID: "c",
		Ways: []Way{{Port: 4, Told: 5}, {Port: 6, Told: 7}}}
	want := []string{"KAFKA_PORT=1", "KAFKA_CONTROLLER_PORT=2", "KAFKA_DATA=/data", "KAFKA_HEAP=384m",
		"KAFKA_NODE_ID=3", "KAFKA_VOTERS=v", "KAFKA_CLUSTER_ID=c", "KAFKA_WAYS=4:5,6:7"}
	if env := full.Environment(); !slices.Equal(env, want) {
		t.Errorf("%v, want %v", env, want)
	}
}

func TestCluster(t *testing.T) {
	nodes := []Node{{Port: 10, Controller: 20}, {Port: 11, Controller: 21}}
	Cluster(nodes)
	for i, n := range nodes {
		if n.ID != i+1 || n.Voters != "1@127.0.0.1:20,2@127.0.0.1:21" || n.ClusterID != nodes[0].ClusterID {
			t.Errorf("node %d is %+v", i, n)
		}
	}
	if b, err := base64.RawURLEncoding.DecodeString(nodes[0].ClusterID); err != nil || len(b) != 16 {
		t.Errorf("the id %q has %d bytes: %v", nodes[0].ClusterID, len(b), err)
	}
}
