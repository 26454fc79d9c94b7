package buffer

import (
	"math/bits"
	"sync"

	"github.com/valyala/bytebufferpool"
)

const (
	// Min is the capacity of the smallest class, in bytes: a power of two.
	Min = 1 << minBits

	minBits = 8

	// classes counts the classes: the powers of two from Min to 256 KB, and between each
	// and the next one and a half times it. The largest is above the largest message of the
	// godwit protocol in its longest encoding. Larger buffers are made when needed and left
	// to the garbage collector.
	classes = 2*(18-minBits) + 1
)

// pools has the buffers of each class that are not in use, all of its capacity.
// bytebufferpool's own Pool learns how large new buffers are to be, and rounds that up
// to a power of two, which half of the classes are not.
var pools [classes]sync.Pool

// classOf returns the smallest class with room for n bytes, n > 0. Classes are
// numbered by capacity, from 0; there is no end to them.
func classOf(n int) int {
	if n <= Min {
		return 0
	}
	up := bits.Len(uint(n - 1)) // n is at most 1<<up, and more than half of that
	class := 2 * (up - minBits)
	if n <= 3<<(up-2) {
		class--
	}
	return class
}

// sizeOf returns the capacity of a class.
func sizeOf(class int) int {
	if class%2 == 0 {
		return Min << (class / 2)
	}
	return (Min + Min/2) << (class / 2)
}

// Take returns an empty buffer with room for at least n bytes, n > 0, and not for
// more than Min or one and a half times n.
func Take(n int) *bytebufferpool.ByteBuffer {
	class := classOf(n)
	if class < classes {
		if b, ok := pools[class].Get().(*bytebufferpool.ByteBuffer); ok {
			return b
		}
	}
	return &bytebufferpool.ByteBuffer{B: make([]byte, 0, sizeOf(class))}
}

// Give gives a buffer of Take back. One that has grown otherwise than by Append is
// left to the garbage collector.
func Give(b *bytebufferpool.ByteBuffer) {
	size := cap(b.B)
	if size < Min {
		return
	}
	if class := classOf(size); class < classes && sizeOf(class) == size {
		b.Reset()
		pools[class].Put(b)
	}
}

// Append appends p to the buffer b, which may be nil, and returns the buffer that
// then holds both; b is given back if it was too small.
func Append(b *bytebufferpool.ByteBuffer, p []byte) *bytebufferpool.ByteBuffer {
	if b == nil {
		b = Take(len(p))
	} else if need := len(b.B) + len(p); need > cap(b.B) {
		larger := Take(need)
		larger.B = append(larger.B, b.B...)
		Give(b)
		b = larger
	}
	b.B = append(b.B, p...)
	return b
}
