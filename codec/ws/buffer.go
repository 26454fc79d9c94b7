package ws

import "github.com/valyala/bytebufferpool"

// Buffers for messages that arrive in pieces.
//
// A single pool would break the promise that a peer pays for memory with bytes:
// bytebufferpool hands out what others gave back, up to the size of a large
// message, so one byte of a frame could hold on to 64 KB. There is a pool for each
// class of capacities instead, and a buffer moves up a class when it is full: what
// a message holds is at most minBuffer or bufferStep times what has arrived.
const (
	// minBuffer is the capacity of the smallest class, in bytes.
	minBuffer = 256
	// bufferStep is the ratio between a class and the next.
	bufferStep = 4
	// bufferClasses counts the classes; the largest is 256 KB, above the largest
	// message of the godwit protocol in its longest encoding. Larger buffers are
	// made when needed and left to the garbage collector.
	bufferClasses = 6
)

var buffers [bufferClasses]bytebufferpool.Pool

// takeBuffer returns an empty buffer with room for at least n bytes, n > 0.
func takeBuffer(n int) *bytebufferpool.ByteBuffer {
	size := minBuffer
	for i := range buffers {
		if n <= size {
			b := buffers[i].Get()
			if cap(b.B) < size {
				b.B = make([]byte, 0, size)
			}
			return b
		}
		size *= bufferStep
	}
	for size < n {
		size *= bufferStep
	}
	return &bytebufferpool.ByteBuffer{B: make([]byte, 0, size)}
}

// giveBuffer gives a buffer of takeBuffer back.
func giveBuffer(b *bytebufferpool.ByteBuffer) {
	size := minBuffer
	for i := range buffers {
		if cap(b.B) == size {
			// The pool learns the size of new buffers from the lengths that it
			// sees: in this one all buffers have the capacity of the class.
			b.B = b.B[:size]
			buffers[i].Put(b)
			return
		}
		size *= bufferStep
	}
}

// gather appends p to the buffer b, which may be nil, and returns the buffer that
// then holds both.
func gather(b *bytebufferpool.ByteBuffer, p []byte) *bytebufferpool.ByteBuffer {
	if b == nil {
		b = takeBuffer(len(p))
	} else if need := len(b.B) + len(p); need > cap(b.B) {
		larger := takeBuffer(need)
		larger.B = append(larger.B, b.B...)
		giveBuffer(b)
		b = larger
	}
	b.B = append(b.B, p...)
	return b
}
