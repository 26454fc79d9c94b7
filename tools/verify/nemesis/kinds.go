package nemesis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/tools/verify/world"
)

// Kind is a kind of fault, by its name in reports and on the command line.
type Kind string

// The kinds of faults.
const (
	NodeKill    Kind = "node-kill"    // a node's process is killed, and started again
	NodePause   Kind = "node-pause"   // its threads are stopped, and go on
	NodeRestart Kind = "node-restart" // it is told to stop, and started again
	// RollingRestart is a NodeRestart of every node, one after the other.
	RollingRestart Kind = "rolling-restart"

	ControllerKill  Kind = "controller-kill" // NodeKill of the node that decides at that time
	ControllerPause Kind = "controller-pause"

	BrokerKill  Kind = "broker-kill" // a node of Kafka
	BrokerPause Kind = "broker-pause"

	// NodeStrand takes Kafka from a node for a moment and kills it before it has it back: what it
	// has taken from clients meanwhile is nowhere else.
	NodeStrand Kind = "node-strand"
	// BrokerStrand pauses the other brokers for a moment and kills this one before they go on:
	// what it has written meanwhile no other has. For that moment Kafka does not serve.
	BrokerStrand Kind = "broker-strand"

	HistoryKill  Kind = "history-kill" // a process that writes history
	HistoryPause Kind = "history-pause"

	// DiskFull fills the disk of a history in Pebble. Half the time the node is killed meanwhile and
	// has to start again.
	DiskFull Kind = "disk-full"

	KafkaCut    Kind = "kafka-cut" // a node's connections to all of Kafka are reset
	KafkaHang   Kind = "kafka-hang"
	KafkaSlow   Kind = "kafka-slow"
	ClientsCut  Kind = "clients-cut" // those of clients to a node
	ClientsHang Kind = "clients-hang"
	ClientsSlow Kind = "clients-slow"
	StoreCut    Kind = "store-cut" // those of a node or a history process to Cassandra
	StoreHang   Kind = "store-hang"

	LeaderMove Kind = "leader-move" // a broker becomes the leader of some partitions of the log

	Move  Kind = "move"  // some partitions move to a node
	Drain Kind = "drain" // a node hands all partitions over, and is added again
)

// part is what a fault is done to.
type part int

const (
	aNode part = iota
	aBroker
	aHistory
	aReader // of the history's store: a node or a history process
	theController
	allNodes
)

// deed is what is done.
type deed int

const (
	kill deed = iota
	pause
	restart
	cut
	hang
	slow
	strand
	fill
	lead
	move
	drain
)

// kind is what is known of a Kind.
type kind struct {
	part part
	deed deed
	way  world.Way // of cut, hang and slow

	// least and most bound its length.
	least, most time.Duration
	// recovery is the time that a schedule leaves until what it was done to works again.
	recovery time.Duration
	// gentle: what it is done to goes on serving.
	gentle bool
}

// A node is suspected when it was silent for 3.5 s, and replaced within 5. So the lengths
// are from half of that, which nobody must notice, to long enough that others have taken
// over for a while. Kafka's nodes are given up by the others after 3 s (tools/kafka/kafka.sh).
const (
	brief = 1500 * time.Millisecond
	long  = 12 * time.Second

	// stranded is for how long a process is cut off before it is killed. Clients send meanwhile,
	// and nobody has noticed yet.
	stranded = 2 * time.Second

	// nodeRecovery is for a node to start, to be added, and to get its partitions.
	nodeRecovery = 10 * time.Second
	// brokerRecovery is for a node of Kafka to start and to catch up.
	brokerRecovery = 10 * time.Second
	// linkRecovery is for connections to be made again.
	linkRecovery = 5 * time.Second
)

var kinds = map[Kind]kind{
	NodeKill:        {part: aNode, deed: kill, least: brief, most: long, recovery: nodeRecovery},
	NodePause:       {part: aNode, deed: pause, least: brief, most: long, recovery: nodeRecovery},
	NodeRestart:     {part: aNode, deed: restart, least: time.Second, most: 3 * time.Second, recovery: nodeRecovery},
	RollingRestart:  {part: allNodes, deed: restart, least: time.Second, most: 2 * time.Second, recovery: nodeRecovery},
	ControllerKill:  {part: theController, deed: kill, least: brief, most: long, recovery: nodeRecovery},
	ControllerPause: {part: theController, deed: pause, least: brief, most: long, recovery: nodeRecovery},
	BrokerKill:      {part: aBroker, deed: kill, least: brief, most: long, recovery: brokerRecovery},
	BrokerPause:     {part: aBroker, deed: pause, least: brief, most: long, recovery: brokerRecovery},
	NodeStrand:      {part: aNode, deed: strand, least: brief, most: long, recovery: nodeRecovery},
	BrokerStrand:    {part: aBroker, deed: strand, least: brief, most: long, recovery: brokerRecovery},
	HistoryKill:     {part: aHistory, deed: kill, least: brief, most: long, recovery: linkRecovery, gentle: true},
	HistoryPause:    {part: aHistory, deed: pause, least: brief, most: long, recovery: linkRecovery, gentle: true},
	DiskFull:        {part: aNode, deed: fill, least: brief, most: long, recovery: nodeRecovery},
	KafkaCut:        {part: aNode, deed: cut, way: world.KafkaWay, least: brief, most: long, recovery: nodeRecovery},
	KafkaHang:       {part: aNode, deed: hang, way: world.KafkaWay, least: brief, most: long, recovery: nodeRecovery},
	KafkaSlow:       {part: aNode, deed: slow, way: world.KafkaWay, least: long / 2, most: long, recovery: linkRecovery, gentle: true},
	ClientsCut:      {part: aNode, deed: cut, way: world.ClientsWay, least: brief, most: long, recovery: linkRecovery},
	ClientsHang:     {part: aNode, deed: hang, way: world.ClientsWay, least: brief, most: long, recovery: linkRecovery},
	ClientsSlow:     {part: aNode, deed: slow, way: world.ClientsWay, least: long / 2, most: long, recovery: linkRecovery, gentle: true},
	StoreCut:        {part: aReader, deed: cut, way: world.StoreWay, least: brief, most: long, recovery: linkRecovery, gentle: true},
	StoreHang:       {part: aReader, deed: hang, way: world.StoreWay, least: brief, most: long, recovery: linkRecovery, gentle: true},
	LeaderMove:      {part: aBroker, deed: lead, recovery: linkRecovery, gentle: true},
	Move:            {part: aNode, deed: move, recovery: linkRecovery, gentle: true},
	Drain:           {part: aNode, deed: drain, least: time.Second, most: 3 * time.Second, recovery: 2 * nodeRecovery},
}

// Kinds returns all kinds, in the order of their names.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

// ParseKinds returns the kinds of a text such as "node-kill,move".
func ParseKinds(text string) ([]Kind, error) {
	var list []Kind
	for name := range strings.SplitSeq(text, ",") {
		k := Kind(strings.TrimSpace(name))
		if _, ok := kinds[k]; !ok {
			return nil, fmt.Errorf("nemesis: %q is no kind of fault: there are %v", name, Kinds())
		}
		if !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list, nil
}
