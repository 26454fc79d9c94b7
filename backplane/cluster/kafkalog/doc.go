// Package kafkalog keeps the records of a cluster, and its nodes' heartbeats, in Kafka.
// It is the only part of the control plane that does IO, and the second user of
// franz-go beside backplane/kafka.
//
// It knows keys and bytes, and not what they mean: package cluster reads and judges
// records, package beats draws conclusions from beats, package control decides. No
// message of a user passes through here.
//
// # The cluster topic
//
// <namespace>.cluster has one partition and is compacted: the last record of each key
// is in force, and a record without a value deletes its key. A Log reads it from its
// beginning and follows it, leaving out what was not committed. When that is up to date
// is found by a barrier: a record of one's own, written now and waited for. (The end of
// the log would not do: transaction markers and compaction leave offsets that no reader
// ever sees.)
//
// A Log that finds the topic to be another one than it was reading, or robbed of records
// in force, raises an alarm and stops. It does not guess: what it has handed out stays.
//
// Anyone appends requests. Decisions are written through a Session, which holds the
// transactional id <namespace>.controller: Kafka knows one holder, and refuses every
// earlier one from the moment when somebody takes it. A decision is one transaction,
// opened with all its records in hand, so it takes a few milliseconds; the brokers abort
// one that is open for 5 s, and whoever takes the id aborts it at once. Until then,
// readers do not see what lies behind it.
//
// # Heartbeats
//
// <namespace>.heartbeats has one partition and keeps beats for minutes. A Beater writes
// one beat every half second, with one on its way at a time and none kept for later. A
// Listener hears those of all nodes, with the log's time.
//
// # A client for each
//
// Log, Session, Beater and Listener have a Kafka client each: a fetch that waits for
// something new, a large decision and a beat must not stand before one another on a
// connection.
//
// # Goroutines
//
// Any goroutine may call anything here. What waits for brokers is bounded in time and
// says so. The functions given to Open, Listen and NewBeater are called by one goroutine
// of their owner each, and a Close waits for them: they must not call it.
package kafkalog
