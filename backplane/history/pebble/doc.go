// Package pebble keeps timelines in a Pebble database, inside the process of one node.
//
// It is the store of a node that stands alone: its files belong to one process at a
// time. A cluster keeps its timelines in history/cassandra.
//
// # Keys
//
// Records lie in days, by log time in UTC, and a partition's day never goes back, so
// that its days hold consecutive ranges of offsets. The day comes first in the key of
// everything that is trimmed, so a trim is one range deletion that drops whole files.
//
//	m                                                       format, namespace, cluster
//	a  generation partition                                 how far the partition has come
//	b  generation partition day                             the first and the last offset of its entries
//	e  day generation len(user) user             offset     an entry
//	p  day generation len(user) user len(peer) peer offset  that the entry belongs to a conversation
//
// All numbers are big-endian. A read takes the days of the partition that its offsets
// touch, and asks in each for the user's prefix: a Bloom filter of the prefixes
// tells without a read of a block that a user has nothing on a day.
//
// The position of a partition is written in the batch of its entries, so a replay is
// known by its offsets and changes nothing. For the same reason an erasure needs no
// marker: what it deletes is at or below the position, and never written again.
//
// # When the disk fails
//
// Pebble ends the process, by itself or by a panic that cannot be caught, when a write
// of its files fails. So no such failure reaches it: a layer below Pebble holds the
// operation back and tries it again until the disk takes it, as if the disk were slow,
// and a failed sync is held back for good, because what was not synced may be lost then.
// Meanwhile every Write returns an error, and reads go on. A Write also leaves a reserve
// of free space, so that a full disk stops new entries before it stops Pebble, and
// Trim can make room.
//
// # Goroutines
//
// All methods of Store may be called from any goroutine, as history.Store says. A
// Write commits on a goroutine of its own, so that it can return when the disk hangs.
package pebble
