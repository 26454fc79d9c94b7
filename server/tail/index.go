package tail

import (
	"hash/maphash"
	"unsafe"
)

// index finds users by a hash of their ids. It is a table with open addressing and
// linear probing. It has no ids: they are in the records, and whoever looks a user up
// compares. So it has no strings to keep and nothing for the garbage collector to look
// into, unlike a map.
//
// backplane.HashUser would not do: for the users of one partition it is the same
// modulo the number of partitions, and users may choose ids that collide.
type index struct {
	heads []head // a power of two of them, or none
	used  int
}

// head is where the list of a user's links begins and ends. A hash of 0 is a free place.
type head struct {
	hash           uint32
	oldest, newest uint32
}

const headSize = int64(unsafe.Sizeof(head{}))

var seed = maphash.MakeSeed()

// hashUser returns the hash of a user's id, never 0.
func hashUser(user []byte) uint32 { return max(1, uint32(maphash.Bytes(seed, user))) }

// seek returns the first place at or after a place, before one that is free, where the hash
// is that; -1 if there is none. The search for a hash starts at the place hash, and goes on
// at the place after the one that was found. Places wrap.
func (x *index) seek(place int, hash uint32) int {
	if len(x.heads) == 0 {
		return -1
	}
	for {
		place &= len(x.heads) - 1
		switch x.heads[place].hash {
		case hash:
			return place
		case 0:
			return -1
		}
		place++
	}
}

// insert puts a head into the table. What seek returned before is void.
func (x *index) insert(h head) {
	if 4*(x.used+1) > 3*len(x.heads) {
		x.resize(max(minSize, 2*len(x.heads)))
	}
	x.used++
	x.put(h)
}

func (x *index) put(h head) {
	place := int(h.hash) & (len(x.heads) - 1)
	for x.heads[place].hash != 0 {
		place = (place + 1) & (len(x.heads) - 1)
	}
	x.heads[place] = h
}

// remove takes the head at a place out of the table. What seek returned before is
// void. Heads that follow without a free place between move up, if their search would
// otherwise stop at the place that becomes free.
func (x *index) remove(place int) {
	mask := len(x.heads) - 1
	for next := (place + 1) & mask; x.heads[next].hash != 0; next = (next + 1) & mask {
		home := int(x.heads[next].hash) & mask
		if (next-home)&mask >= (next-place)&mask {
			x.heads[place] = x.heads[next]
			place = next
		}
	}
	x.heads[place] = head{}
	x.used--
	switch {
	case x.used == 0:
		x.heads = nil
	case 8*x.used <= len(x.heads) && len(x.heads) > minSize:
		x.resize(len(x.heads) / 2)
	}
}

func (x *index) resize(size int) {
	old := x.heads
	x.heads = make([]head, size)
	for _, h := range old {
		if h.hash != 0 {
			x.put(h)
		}
	}
}

// bytes returns the memory of the table, in bytes.
func (x *index) bytes() int64 { return int64(len(x.heads)) * headSize }
