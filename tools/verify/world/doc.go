// Package world runs a whole cluster under test on this machine: nodes of a given binary,
// one or three nodes of Kafka, and if wanted a Cassandra with a process that writes
// history. All are processes of their own; each can be killed, paused, stopped and started
// again by its name.
//
// Between them stand proxies, so that a node can lose Kafka while the others keep it, or
// its clients while it keeps Kafka:
//
//	clients -> proxy -> node -> a proxy for each broker -> Kafka
//	                         -> proxy -> Cassandra
//
// Each broker has a listener of its own for each node, and tells whoever comes there to go
// on coming by that node's proxy.
//
// The files of a history in Pebble can be on a disk of their own, in memory, which can be
// filled. It takes a mount namespace, which Mountable tries.
//
// All data, settings and logs are in one folder. Nothing outlives the process that has
// called Start: what Close does not end, because it is not reached, the kernel does.
//
// The package knows godwit from outside: its command line, its admin port, its tokens. It
// is not for production, and not for faults on machines that others use.
//
// Any goroutine may call the methods of a World; what is done to one process is done one
// after the other.
package world
