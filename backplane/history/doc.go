// Package history keeps users' timelines: it says what a store of them can do, and
// writes what the log says into one.
//
// A timeline is what the log holds for one user, in the order of the user's
// partition, for longer than the log keeps it. The stores are in packages of their
// own (history/pebble, history/cassandra) and pass one conformance suite
// (history/historytest).
//
// A Writer takes records from a consumer, as the backplane.Handler of its workers, and
// writes them in batches. It leaves out duplicates by the rule that all readers share
// (backplane.Dedupe), for which a partition is read from some time before what the store
// has (Writer.Start). While the store does not take a batch, its worker waits, and the lag
// stays in the log. What the log lost before it was applied raises the partition's floor,
// so that readers know what timelines lack.
//
// Any goroutine may call the methods of a Writer and of a Store, but a Store's Write for
// one partition from one at a time; a Writer's handlers are each for the goroutine of
// their worker.
//
// It is not for what the log and the memory of a node can tell: whoever reads a
// timeline up to the present puts the three together (server/timeline).
package history
