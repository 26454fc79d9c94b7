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
// obligation is never to let a partition go while clients of it are connected here, and
// that is kept by order: the map that sends them elsewhere is in force, and every loop has
// seen it (Settle), before the first look for clients that are left.
//
// An alarm of the log (the topic of records was made anew, or robbed) leaves the last good
// map in force and is told by Err; nothing is guessed.
//
// # Goroutines
//
// One goroutine owns the state; what waits for brokers or for the consumer is done by
// others, one of each kind at a time, which report to it. Any goroutine may call the
// exported methods.
package agent
