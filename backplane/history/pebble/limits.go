package pebble

import "time"

// The limits that are not settings.
const (
	// DefaultCacheBytes is the size of the cache of blocks.
	DefaultCacheBytes = 64 << 20

	// DefaultReserveBytes is how much of the disk a Write leaves free: what a flush of
	// the memtables and a few compactions need.
	DefaultReserveBytes = 256 << 20

	// memtableBytes is the size of a memtable, of which there are memtables at most.
	memtableBytes = 16 << 20
	memtables     = 3

	// openFiles bounds the files that are kept open. A table has 2 to 128 MB.
	openFiles = 500

	// manifestBytes is the size at which Pebble begins a new manifest, which is read whole
	// when the store is opened.
	manifestBytes = 16 << 20

	// filterBits is the size of a Bloom filter's entry: 1 % of the days on which a user
	// has nothing are looked at in vain.
	filterBits = 10

	// reclaimDelay is how long after a range deletion the space begins to be given back.
	reclaimDelay = 10 * time.Second

	// minPause and maxPause bound the pauses between attempts at what the disk refused.
	minPause = 10 * time.Millisecond
	maxPause = time.Second

	// maxID is the longest user id that a key has room for; backplane.MaxUserID is less.
	maxID = 255

	// closePatience is how long Close waits for what is under way.
	closePatience = 10 * time.Second
)
