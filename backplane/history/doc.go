// Package history keeps users' timelines: it says what a store of them can do, and
// writes what the log says into one.
//
// A timeline is what the log holds for one user, in the order of the user's
// partition, for longer than the log keeps it. The stores are in packages of their
// own (history/pebble, history/cassandra) and pass one conformance suite
// (history/historytest).
//
// It is not for what the log and the memory of a node can tell: whoever reads a
// timeline up to the present puts the three together (server/timeline).
package history
