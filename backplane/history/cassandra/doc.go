// Package cassandra keeps timelines in Apache Cassandra (4.0 or later), for clusters:
// every node of godwit reads and writes the same store.
//
// Open gives a history.Store, all of whose methods may be called from any goroutine
// (Write for one partition from one at a time). Create makes the tables before. It is
// not for reading the present: what Cassandra has ends where history was applied last.
//
// # Tables
//
//	timeline      ((user, generation, bucket), offset)        the messages, newest first
//	conversation  ((user, generation, peer, bucket), offset)  which of them belong to a peer
//	bucket        ((user, generation), peer, bucket)          the buckets that exist; no peer is the timeline
//	erasure       (user, generation)                          what is hidden
//	applied       ((generation, slice), partition)            how far each partition has come
//	day           ((generation, partition), day)              the last entry before each day
//	setting       (id, name, since)                           format, namespace, cluster, retention
//
// A bucket is a range of bucketSize offsets. Offsets and not days make the buckets, so
// that where a row belongs depends on nothing but its offset: a replay writes each row
// to where it is already, whatever its batches look like, and whatever clocks say; and
// a cursor tells in which bucket to begin.
//
// # What makes replays harmless
//
// No write depends on when it is made. A row of the timeline has its log time as write
// time; what an erasure deletes is deleted with a write time no less than those of the
// rows. Positions, floors and erasures have themselves as write time, so the highest
// one stays, and late writes of a process that has lost its partition change nothing.
// The position of a batch is written when all else is acknowledged, and Read returns
// nothing above it: reads and writes are of quorums, so whoever sees the position sees
// what it promises.
//
// # What ends
//
// Rows live for the retention counted from the end of the day (UTC) that the log had
// reached with their batch, and then a day more, which is for clocks that differ. The
// floor of a partition passes a day's entries before their rows go: it is computed from
// the time, and does not wait for somebody to call Trim. A retention that was changed is
// remembered, for the rows that were written under the old one. Trim moves floors for
// every reader, and leaves it to the retention to give the space back.
//
// # What it asks of the cluster
//
// The guardrails for write times (maximum_timestamp, minimum_timestamp) must be off, as
// they are by default. With LOCAL_QUORUM, all of godwit uses one data centre.
package cassandra
