package delivery

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/valyala/bytebufferpool"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/buffer"
)

// Frame is one piece of output that connections share: the part of a delivery
// that is the same for all of them, in one or several variants. It is immutable
// once made, and reference-counted: its bytes go back to their pool with the
// last Release.
type Frame struct {
	refs   atomic.Int32
	memory *Memory
	buf    *bytebufferpool.ByteBuffer
	end    [variants]uint32 // variant i is buf.B[end[i-1]:end[i]]; empty if it was not made

	// Position is the record's.
	Position backplane.Position
	// Session is the id of the session that sent the message, 0 for none.
	Session uint64
	// Signal says that the message is not kept: who is not there misses it.
	Signal bool
}

// Variant is one form of a frame: an encoding, and for each encoding the message
// with its body, or without (for the session that sent it and has the body).
type Variant uint8

const variants = 4

// VariantOf returns the variant for an encoding.
func VariantOf(e codec.Encoding, body bool) Variant {
	v := Variant(e)
	if !body {
		v += 2
	}
	return v
}

var frames = sync.Pool{New: func() any { return new(Frame) }}

// newFrame returns an empty frame with one reference and room for size bytes.
func newFrame(m *Memory, size int) *Frame {
	f := frames.Get().(*Frame)
	f.memory = m
	f.buf = buffer.Take(size)
	f.refs.Store(1)
	return f
}

// seal accounts for the frame's bytes; nothing is written to it afterwards.
func (f *Frame) seal() *Frame {
	f.memory.used.Add(f.size())
	return f
}

func (f *Frame) size() int64 { return int64(cap(f.buf.B)) + int64(unsafe.Sizeof(*f)) }

// Raw returns a frame with one reference that holds a copy of finished bytes, whatever
// they are, as its only variant. It is for output of a single connection: acks,
// errors, a close.
func Raw(m *Memory, b []byte) *Frame {
	f := newFrame(m, len(b))
	f.buf.B = append(f.buf.B, b...)
	for i := range f.end {
		f.end[i] = uint32(len(f.buf.B))
	}
	return f.seal()
}

// Bytes returns a variant; nobody may write to it. It is valid while the caller
// holds a reference.
func (f *Frame) Bytes(v Variant) []byte {
	var start uint32
	if v > 0 {
		start = f.end[v-1]
	}
	return f.buf.B[start:f.end[v]]
}

// Retain adds n references.
func (f *Frame) Retain(n int) { f.refs.Add(int32(n)) }

// Release gives one reference back. The caller must not touch the frame after it.
func (f *Frame) Release() {
	switch n := f.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("delivery: a frame was released more often than it was retained")
	}
	f.memory.used.Add(-f.size())
	buffer.Give(f.buf)
	f.memory, f.buf, f.Session, f.Signal = nil, nil, 0, false
	frames.Put(f)
}

// shared returns a frame with one reference that holds the wanted variants of a
// record's message. They are made in scratch, which is returned to be used again.
func shared(mem *Memory, scratch []byte, r *backplane.Record, m *backplane.Message, want [variants]bool) (*Frame, []byte) {
	var end [variants]uint32
	scratch = scratch[:0]
	for v := range Variant(variants) {
		if want[v] {
			scratch = codec.AppendDeliverTail(scratch, codec.Encoding(v&1), r.Position, r.Time, m, r.Value, v < 2)
		}
		end[v] = uint32(len(scratch))
	}
	f := newFrame(mem, len(scratch))
	f.buf.B = append(f.buf.B, scratch...)
	f.end = end
	f.Position, f.Session, f.Signal = r.Position, r.Session, m.Kind == backplane.KindSignal
	return f.seal(), scratch
}

// Single returns a frame with one reference that holds one encoding of a message that
// was read again, with its body, for a single connection.
func Single(mem *Memory, e codec.Encoding, p backplane.Position, time int64, m *backplane.Message, value []byte) *Frame {
	f := newFrame(mem, len(value)+singleOverhead)
	f.buf.B = codec.AppendDeliverTail(f.buf.B, e, p, time, m, value, true)
	f.end = [variants]uint32{}
	for v := VariantOf(e, true); v < variants; v++ {
		f.end[v] = uint32(len(f.buf.B))
	}
	f.Position = p
	return f.seal()
}

// singleOverhead is about what a delivery adds to an encoded message.
const singleOverhead = 128
