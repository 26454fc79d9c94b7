// Package cluster is what the nodes of a cluster agree on: which nodes there are,
// which of them owns each partition, and the settings that may change while they
// run.
//
// The truth is a compacted topic of the log. This package has the formats of its
// records (Body and its implementations), their sum as a View with watches, and as
// a Snapshot, an immutable value for whoever asks often. On top of these it has the
// rules that need nothing but a Snapshot: Judge says what a request changes or why
// it is refused, Target says who should own what, and a Plan tells people what
// would move.
//
// # Versions
//
// The map version counts decisions. A decision is the set of records that a
// controller writes in one transaction; Seal gives all of them the next version and
// ends them with the controller's own record. The version of a Snapshot is that of
// its controller record: so it grows with every decision, also with one that only
// deletes, it grows once the whole decision has been applied and not before, and it
// does not depend on what compaction left of earlier ones.
//
// # Records of other versions
//
// A record says in "v" which version of its format it has. Fields that this version
// does not know are kept: a record that is read, changed and written has them
// still. A record of a higher version is not understood at all. It stays in the
// View as a Foreign, counts as absent, and nothing here proposes to write over it.
//
// # What this package is not for
//
// It opens nothing, starts no goroutine and reads no clock; times are those of the
// log, and come in as arguments. The records travel in cluster/kafkalog, suspicion
// is the business of cluster/beats, and what to do next that of cluster/control.
// Nothing on the message path is fenced by any of this: ownership is for
// efficiency, the log of messages is the truth.
//
// View.Apply belongs to one goroutine, the one that reads the topic. All else may
// be called from any goroutine: Snapshots never change, and the functions are pure.
package cluster
