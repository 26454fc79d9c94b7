package codec

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"

	"github.com/godwit-im/godwit/backplane"
)

// A cursor is the text of a Position: base64 (URL alphabet, no padding) of a
// version byte and three unsigned varints: generation, partition, offset+1. To
// clients it is opaque.
const (
	cursorVersion = 1

	// maxCursorBytes: the version, a varint of 32 bits, one of a number below
	// MaxPartitions, one of 64 bits.
	maxCursorBytes = 1 + binary.MaxVarintLen32 + 2 + binary.MaxVarintLen64

	// MaxCursor is the length of the longest cursor, in bytes of ASCII.
	MaxCursor = (maxCursorBytes*8 + 5) / 6
)

// ErrBadCursor is the error for text that is not a cursor.
var ErrBadCursor = errors.New("codec: not a cursor")

// AppendCursor appends the cursor of p, whose partition must be below
// backplane.MaxPartitions and whose offset is at least -1 and below 2^63-1.
func AppendCursor(dst []byte, p backplane.Position) []byte {
	var buf [maxCursorBytes]byte
	return base64.RawURLEncoding.AppendEncode(dst, appendCursorBytes(buf[:0], p))
}

func appendCursorBytes(dst []byte, p backplane.Position) []byte {
	dst = append(dst, cursorVersion)
	dst = binary.AppendUvarint(dst, uint64(p.Generation))
	dst = binary.AppendUvarint(dst, uint64(p.Partition))
	return binary.AppendUvarint(dst, uint64(p.Offset)+1)
}

// ParseCursor returns the position that a cursor stands for. Every position has
// one text: anything that AppendCursor would not have written is refused with
// ErrBadCursor.
func ParseCursor[T ~string | ~[]byte](text T) (backplane.Position, error) {
	if len(text) > MaxCursor {
		return backplane.Position{}, ErrBadCursor
	}
	var src, again [MaxCursor]byte
	var raw [maxCursorBytes + 2]byte // Decode wants room for whole groups
	n, err := base64.RawURLEncoding.Decode(raw[:], src[:copy(src[:], text)])
	if err != nil || n == 0 || raw[0] != cursorVersion {
		return backplane.Position{}, ErrBadCursor
	}
	rest := raw[1:n]
	var v [3]uint64
	for i := range v {
		u, n := binary.Uvarint(rest)
		if n <= 0 {
			return backplane.Position{}, ErrBadCursor
		}
		v[i], rest = u, rest[n:]
	}
	if len(rest) > 0 || v[0] > math.MaxUint32 || v[1] >= backplane.MaxPartitions || v[2] > math.MaxInt64 {
		return backplane.Position{}, ErrBadCursor
	}
	p := backplane.Position{
		Generation: uint32(v[0]),
		Partition:  backplane.Partition(v[1]),
		Offset:     int64(v[2]) - 1,
	}
	// What decodes to p but is not its text has padded varints, stray bits in its
	// last character, or line breaks, which the base64 decoder skips.
	if string(AppendCursor(again[:0], p)) != string(text) {
		return backplane.Position{}, ErrBadCursor
	}
	return p, nil
}

// ResolveCursor returns the offset that a client's cursor stands for in a partition,
// that of the client's user, of the generation that the log has now. The code is empty,
// or says what is wrong: CodeBadCursor for what is no cursor or one of another
// partition, and so of another user; CodeUnknownCursor for one of another generation,
// whose offsets mean nothing any more. Whether the log reaches that offset is for
// whoever knows the log; if not, the code is CodeUnknownCursor too.
func ResolveCursor[T ~string | ~[]byte](text T, generation uint32, partition backplane.Partition) (offset int64, code backplane.Code) {
	p, err := ParseCursor(text)
	switch {
	case err != nil:
		return 0, CodeBadCursor
	case p.Generation != generation: // which may have had other partitions
		return 0, CodeUnknownCursor
	case p.Partition != partition:
		return 0, CodeBadCursor
	}
	return p.Offset, ""
}
