package buffer

import "github.com/valyala/bytebufferpool"

const (
	// Min is the capacity of the smallest class, in bytes.
	Min = 256
	// Step is the ratio between a class and the next.
	Step = 4
	// classes counts the classes; the largest is 256 KB, above the largest message
	// of the godwit protocol in its longest encoding. Larger buffers are made when
	// needed and left to the garbage collector.
	classes = 6
)

var pools [classes]bytebufferpool.Pool

// Take returns an empty buffer with room for at least n bytes, n > 0.
func Take(n int) *bytebufferpool.ByteBuffer {
	size := Min
	for i := range pools {
		if n <= size {
			b := pools[i].Get()
			if cap(b.B) < size {
				b.B = make([]byte, 0, size)
			}
			return b
		}
		size *= Step
	}
	for size < n {
		size *= Step
	}
	return &bytebufferpool.ByteBuffer{B: make([]byte, 0, size)}
}

// Give gives a buffer of Take back. One that has grown otherwise than by Append is
// left to the garbage collector.
func Give(b *bytebufferpool.ByteBuffer) {
	size := Min
	for i := range pools {
		if cap(b.B) == size {
			// The pool learns the size of new buffers from the lengths that it
			// sees: in this one all buffers have the capacity of the class.
			b.B = b.B[:size]
			pools[i].Put(b)
			return
		}
		size *= Step
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
