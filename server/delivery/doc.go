// Package delivery takes records of the log to the loops that hold the
// connections of their users.
//
// A Dispatcher stands behind each dispatch worker. For a record it drops
// duplicates, adds it to the partition's tail (server/tail), asks the registry
// who is here, makes one Frame with the variants that these connections speak,
// and hands each loop one Entry. Delivering to a loop may wait for room in its
// mailbox; that is the server's only backpressure toward the log, and it is
// felt by this worker's partitions alone.
//
// The package opens no socket and knows no connection: only handles. A
// Dispatcher belongs to its worker's goroutine; Frame and Memory may be used
// from any.
package delivery
