// Package historian runs history: it opens the store that the settings name, has a
// history.Writer write into it what a consumer reads of the log, and forgets what is older
// than the retention.
//
// It runs inside the one node that has a Pebble store, and as a process of its own
// ("godwit history run") for a Cassandra that all nodes share: there several may
// run, and Kafka divides the partitions among them.
//
// It is not for reading: nodes read the store through server/timeline.
//
// Any goroutine may call the methods of a Historian.
package historian
