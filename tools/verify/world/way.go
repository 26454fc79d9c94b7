package world

// Way is one of the ways between processes that can be disturbed, for each process that
// uses it by itself.
type Way string

// The ways.
const (
	KafkaWay   Way = "kafka"   // from a node or a history process to all of Kafka
	ClientsWay Way = "clients" // from clients to a node
	StoreWay   Way = "store"   // from a node or a history process to Cassandra
)
