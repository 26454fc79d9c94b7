// Package control decides what becomes of the partitions of a cluster.
//
// A Core is the controller without its hands. It is given the records of the cluster's
// topic (Apply) and the heartbeats (Beat), on every node and all the time, so that
// whichever node has to take the controller's place knows what the last one knew. The
// node that holds the controller's transactional id tells it so (Lead); from then on
// Next returns decisions, one at a time. A Decision is a set of records to be written in
// one transaction, and an Entry that tells people what was decided and why. The next one
// comes when the Core has been given back, by Apply, all records of the last.
//
// # What it decides
//
// In this order, since each step may be what the next one needs:
//
//   - to take the place: the controller's record names this node, with a new epoch.
//   - the settings of a new cluster.
//   - what becomes of nodes that are suspected. Partitions go to the nodes that are warm
//     for them; the rest goes to one standby, or is spread as cluster.Target says.
//   - moves that have come as far as the beats tell: a partition whose next owner is warm
//     flips; a previous owner that has let go is released.
//   - requests to join that are the next in line.
//   - a standby to be active, where no active node is there.
//   - owners for partitions that have none, as in a new cluster, among all that have
//     joined by then.
//   - requests, in the order of the log, each with a result.
//   - nodes that asked to leave and have nothing any more.
//   - moves to begin or to call off, towards cluster.Target.
//   - results and requests that nobody waits for any more.
//
// A move is make before break: Next gets ready while Owner serves, the partition flips
// when Next is ready, and Previous serves the clients that it has until they have gone.
//
// # Intentions
//
// A Core keeps no intention of its own that a successor would not know: all that it is in
// the middle of stands in the records. A partition that is on its way has a next or a
// previous owner. A node that hands over its partitions is draining. And while partitions
// move to where cluster.Target has them, there is a request under BalanceID, which the
// controller writes to itself and ends when they all lie there. Without that request
// partitions stay where an operator has moved them to.
//
// # What this package is not for
//
// It opens nothing, starts no goroutine and reads no clock: time is the log time of the
// beats, or an argument. Writing the decisions is for package kafkalog, doing what they
// ask of a node for package server/cluster. Nothing of this is on the path of messages:
// while there is no controller all nodes go on with what they own.
//
// A Core belongs to one goroutine.
package control
