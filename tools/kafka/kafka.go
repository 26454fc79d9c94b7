package kafka

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
)

const (
	// Script is where the script is in the repository.
	Script = "tools/kafka/kafka.sh"

	// Run is the argument with which it becomes the node.
	Run = "run"

	// Started is what Kafka's log says when it serves.
	Started = "Kafka Server started"
)

// Node is the settings of a node, as the script has them. Where nothing is said otherwise,
// what is missing is as the script's default.
type Node struct {
	Port       int    // that clients use
	Controller int    // port of the controller; 0 is the one after Port
	Data       string // folder, as an absolute path
	Heap       string // of the JVM, such as "384m"

	// ID, Voters and ClusterID are of a node of a cluster.
	ID        int
	Voters    string
	ClusterID string

	// Ways are more ports that clients can use, each for those who come through a proxy.
	Ways []Way
}

// Way is a port for clients who come through a proxy.
type Way struct {
	Port int // where the node listens
	Told int // the port that clients who come here are told to connect to: the proxy's
}

// Address returns the address that clients use.
func (n Node) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.Port)) }

// Environment returns the variables that the script reads.
func (n Node) Environment() []string {
	env := []string{fmt.Sprint("KAFKA_PORT=", n.Port)}
	set := func(name string, value any, given bool) {
		if given {
			env = append(env, fmt.Sprintf("%s=%v", name, value))
		}
	}
	set("KAFKA_CONTROLLER_PORT", n.Controller, n.Controller != 0)
	set("KAFKA_DATA", n.Data, n.Data != "")
	set("KAFKA_HEAP", n.Heap, n.Heap != "")
	set("KAFKA_NODE_ID", n.ID, n.ID != 0)
	set("KAFKA_VOTERS", n.Voters, n.Voters != "")
	set("KAFKA_CLUSTER_ID", n.ClusterID, n.ClusterID != "")
	var ways []string
	for _, w := range n.Ways {
		ways = append(ways, fmt.Sprintf("%d:%d", w.Port, w.Told))
	}
	set("KAFKA_WAYS", strings.Join(ways, ","), len(ways) > 0)
	return env
}

// Cluster makes nodes, whose ports are set, those of one cluster.
func Cluster(nodes []Node) {
	voters := make([]string, len(nodes))
	for i, n := range nodes {
		voters[i] = fmt.Sprintf("%d@127.0.0.1:%d", i+1, n.Controller)
	}
	id := clusterID()
	for i := range nodes {
		nodes[i].ID, nodes[i].Voters, nodes[i].ClusterID = i+1, strings.Join(voters, ","), id
	}
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
