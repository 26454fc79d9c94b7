// Package tail keeps the recent records of the partitions that a node reads, so
// that a device that was slow or away for a moment gets what it missed without
// the log or a store being asked.
//
// A Tail is one partition's. It knows every record after its floor up to its end:
// those that belong to timelines are in it, and of the others it knows that
// nobody is to get them. Records at or below the floor it has forgotten, or never
// served. Tails are the tails of a node. Each dispatch worker has a Worker, through
// which it writes, and which keeps that worker's part of the budget by giving up
// the oldest records, whatever partition they are of.
//
// It is not for live delivery, for what the log has beyond a tail (server/timeline
// puts the two together), or for telling duplicates: whoever writes has applied
// backplane.Dedupe and passes over what is one.
//
// A tail has one writer at a time: the goroutine of the partition's dispatch
// worker, or whoever made a Tail of its own. Reading is for any goroutine. End and
// Floor take no lock. The others hold the lock of the partition for as long as it takes
// to look something up; Read holds it for some of the user's own records at a time, and looks
// again for the next ones.
//
// # How records are kept
//
// A record is one allocation: the list of its users, then its value. Everything else
// is in three arrays: a ring of records, which point to those allocations, a ring
// of links (one for each user of each record) and a hash table from users to
// their oldest and newest link, both without pointers. A user's links form a list in
// both directions, so that a reader visits the user's records and nobody
// else's, and goes on after the last record of a page without a walk to it. As
// records leave at one end in the order in which they came, a link to one that is gone
// is known by its number and needs no repair.
package tail
