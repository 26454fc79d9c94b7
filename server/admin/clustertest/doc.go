// Package clustertest has a cluster for tests of the admin port and of what asks it: all
// of it but the log and the processes. It is for tests only.
//
// A Cluster is one node's view of several. The real controller decides, by the real rules,
// over heartbeats that are made up: time passes when a test calls Step, nodes are silent
// when it says so, and partitions stay on their way for as long as it holds them. Nothing
// in it waits or starts a goroutine.
//
// Any goroutine may call the methods of a Cluster.
package clustertest
