package pebble

import (
	"encoding/binary"
	"errors"

	"github.com/godwit-im/godwit/backplane/history"
)

// errValue is the error of a value that this package did not write.
var errValue = errors.New("a value of the store cannot be read")

// formatVersion is the version of keys and values. A store of a higher one is left
// alone.
const formatVersion = 1

// meta says whose timelines a store keeps; cluster is empty if that is not known.
type meta struct{ namespace, cluster string }

func (m meta) encode() []byte {
	b := binary.AppendUvarint(nil, formatVersion)
	for _, s := range []string{m.namespace, m.cluster} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// parseMeta decodes a value of formatVersion.
func parseMeta(b []byte) (m meta, err error) {
	_, n := binary.Uvarint(b)
	for _, s := range []*string{&m.namespace, &m.cluster} {
		if n <= 0 {
			return m, errValue
		}
		b = b[n:]
		var size uint64
		if size, n = binary.Uvarint(b); n <= 0 || size > uint64(len(b)-n) {
			return m, errValue
		}
		*s = string(b[n : n+int(size)])
		n += int(size)
	}
	if n != len(b) {
		return m, errValue
	}
	return m, nil
}

// parseVersion returns the format version of the meta value, which all versions have
// in common.
func parseVersion(b []byte) (uint64, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, errValue
	}
	return v, nil
}

// rangeOf is the first and the last offset of a partition's entries on a day.
type rangeOf struct{ first, last int64 }

func (r rangeOf) encode() []byte {
	return appendOffset(appendOffset(make([]byte, 0, 16), r.first), r.last)
}

func parseRange(b []byte) (rangeOf, error) {
	if len(b) != 16 {
		return rangeOf{}, errValue
	}
	return rangeOf{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}, nil
}

// encodeApplied encodes how far a partition has come, and the day that it writes to.
func encodeApplied(a history.Applied, d day) []byte {
	b := make([]byte, 0, 28)
	for _, n := range []int64{a.Offset, a.Time, a.Floor} {
		b = appendOffset(b, n)
	}
	return binary.BigEndian.AppendUint32(b, uint32(d))
}

func parseApplied(b []byte) (a history.Applied, d day, err error) {
	if len(b) != 28 {
		return a, 0, errValue
	}
	for i, n := range []*int64{&a.Offset, &a.Time, &a.Floor} {
		*n = int64(binary.BigEndian.Uint64(b[8*i:]))
	}
	return a, day(binary.BigEndian.Uint32(b[24:])), nil
}

// maxEntryHead is the most that an entry's value has before the message.
const maxEntryHead = 2 * binary.MaxVarintLen64

// appendEntryHead appends what precedes the message in an entry's value.
func appendEntryHead(dst []byte, e *history.Entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(e.Time))
	return binary.AppendUvarint(dst, uint64(e.Expires))
}

// parseEntry reads an entry's value into e. e.Value aliases b.
func parseEntry(b []byte, e *history.Entry) error {
	time, n := binary.Uvarint(b)
	if n <= 0 {
		return errValue
	}
	expires, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return errValue
	}
	e.Time, e.Expires, e.Value = int64(time), int64(expires), b[n+m:]
	return nil
}
