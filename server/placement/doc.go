// Package placement says which node owns each partition.
//
// A Map is one version of that mapping: immutable, complete (every partition
// has exactly one owner) and cheap to ask, so that the message path reads it
// without a lock. Ranges is how partitions are written in settings:
// "0-127,200".
//
// Ownership is for efficiency, not for truth: two nodes that both believe they
// own a partition do no harm, because delivery only reads the log. So this
// package holds no leases and no fences, and it does not decide who owns what;
// it only keeps what was decided.
//
// Everything here is safe to call from any goroutine: a Map never changes
// after New, and the functions are pure.
package placement
