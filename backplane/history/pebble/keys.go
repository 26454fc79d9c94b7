package pebble

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/godwit-im/godwit/backplane"
)

// The kinds of keys; see the package's documentation.
const (
	kindMeta    = 'm'
	kindApplied = 'a'
	kindDay     = 'b'
	kindEntry   = 'e'
	kindPeer    = 'p'
)

// headSize is the length of what precedes the user in the keys of entries and
// conversations: kind, day and generation. offsetSize is that of what ends them.
const (
	headSize   = 1 + 4 + 4
	offsetSize = 8
)

var metaKey = []byte{kindMeta}

// place is a partition of a generation.
type place struct {
	generation uint32
	partition  backplane.Partition
}

// day numbers the days since 1970 in UTC.
type day uint32

const dayLength = int64(24 * time.Hour / time.Millisecond)

// dayOf returns the day of a log time.
func dayOf(time int64) day { return day(max(time, 0) / dayLength) }

func appendPlace(dst []byte, kind byte, at place) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, at.generation)
	return binary.BigEndian.AppendUint32(dst, uint32(at.partition))
}

func appliedKey(at place) []byte { return appendPlace(nil, kindApplied, at) }

func dayKey(at place, d day) []byte {
	return binary.BigEndian.AppendUint32(appendPlace(nil, kindDay, at), uint32(d))
}

// errKey is the error of a key that this package did not write.
var errKey = errors.New("a key of the store has the wrong length")

// parsePlace reads the key of an applied position.
func parsePlace(key []byte) (place, error) {
	if len(key) != 9 {
		return place{}, errKey
	}
	return place{binary.BigEndian.Uint32(key[1:]), backplane.Partition(binary.BigEndian.Uint32(key[5:]))}, nil
}

// parseDay reads the day of a partition's day key.
func parseDay(key []byte) (day, error) {
	if len(key) != 13 {
		return 0, errKey
	}
	return day(binary.BigEndian.Uint32(key[9:])), nil
}

// appendDayStart appends what begins the keys of a kind on a day.
func appendDayStart(dst []byte, kind byte, d day) []byte {
	return binary.BigEndian.AppendUint32(append(dst, kind), uint32(d))
}

// appendUser appends what begins the keys of a user on a day. Of an entry it is all but
// the offset.
func appendUser(dst []byte, kind byte, d day, generation uint32, user []byte) []byte {
	dst = binary.BigEndian.AppendUint32(appendDayStart(dst, kind, d), generation)
	return appendID(dst, user)
}

// appendID appends a user id. Its length comes first, so that no user's keys lie among
// those of another whose id begins with theirs.
func appendID(dst, id []byte) []byte {
	return append(append(dst, byte(len(id))), id...)
}

func appendOffset(dst []byte, offset int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(offset))
}

// parseOffset reads the end of an entry's or a conversation's key that has a prefix.
func parseOffset(key []byte, prefix int) (int64, error) {
	if len(key) != prefix+offsetSize {
		return 0, errKey
	}
	return int64(binary.BigEndian.Uint64(key[prefix:])), nil
}

// after appends the first key behind all those that begin with a prefix. The prefix
// begins with a kind, so there is one.
func after(dst, prefix []byte) []byte {
	dst = append(dst, prefix...)
	for i := len(dst) - 1; ; i-- {
		if dst[i]++; dst[i] != 0 {
			return dst[:i+1]
		}
	}
}

// splitKey returns how much of a key is its prefix, over which the filters are made:
// all but the offset.
func splitKey(key []byte) int {
	if len(key) <= headSize || key[0] != kindEntry && key[0] != kindPeer {
		return len(key)
	}
	n := headSize + 1 + int(key[headSize])
	if key[0] == kindPeer && n < len(key) {
		n += 1 + int(key[n])
	}
	return min(n, len(key))
}
