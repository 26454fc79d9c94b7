// Package placement says which node owns each partition, as one node sees it.
//
// A Map is one version of that mapping: immutable, complete (every partition
// has exactly one owner) and cheap to ask, so that the message path reads it
// without a lock. New makes one of settings, which name the nodes and what they
// own and hold until the node stops; FromSnapshot makes one of what a cluster has
// agreed on, which changes, so that whoever follows the cluster puts each new Map
// into a Current. Ranges is how partitions are written in settings: "0-127,200".
//
// While a partition moves, up to three nodes serve it, in the roles that Role
// names. Clients are sent to the owner only.
//
// Ownership is for efficiency, not for truth: two nodes that both believe they
// own a partition do no harm, because delivery only reads the log. So this
// package holds no leases and no fences, and it does not decide who owns what;
// it only keeps what was decided.
//
// Everything here is safe to call from any goroutine: a Map never changes, a
// Current is atomic, and the functions are pure.
package placement
