// Package agent is a node's part in its cluster: it does what the records of the
// cluster ask of the node, and decides for all nodes when it is the controller.
//
// Package control has the decisions and kafkalog the records; an Agent brings them
// together with the node. It reads the records and the heartbeats, and from them
//
//   - puts the map of partitions in force (placement.Current), by which sessions take
//     users in, send them on, or let them go;
//   - has the consumer read the partitions in which the node has a role, and no longer
//     those that it has let go (holdings);
//   - tells the clients of partitions that have gone elsewhere, some at a time, and lets a
//     partition go when the last of them has left (mover);
//   - beats, telling which partitions are warm and which released;
//   - takes the controller's place when it is its turn, and carries out the decisions of
//     control.Core (lead);
//   - says that the node is degraded when nothing of Kafka answers any more.
//
// # What it promises
//
// Two nodes that both read a partition do no harm: the log is the truth, and clients
// resume by cursor. So an Agent never has to be sure that it is alone. Its one
// obligation is that a partition is read while clients of it are connected here, and that
// is kept by order:
//
//   - The map that sends them elsewhere is in force, and every loop has seen it (Settle),
//     before the first look for clients that are left.
//   - A partition is let go when a whole look, begun after that, has found no client of it.
//   - While it is being let go, no other map comes in force.
//
// Beats tell what is so by the map in force, and carry its version: what they say is warm
// or released can be relied upon.
//
// An alarm of the log (the topic of records was made anew, or robbed) leaves the last good
// map in force and is told by Err; nothing is guessed, and a node with an alarm is not the
// controller. Records that make no map leave the last one in force as well.
//
// # Goroutines
//
// One goroutine owns the state; what waits for brokers, for loops or for the consumer is
// done by others, one of each kind at a time, which report to it. Any goroutine may call
// the exported methods. Close waits for the consumer if that is adding or removing
// partitions: where it should not, the consumer is closed first.
package agent
