package ws

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"github.com/godwit-im/godwit/codec/buffer"
)

// Event is a complete message or control frame of the peer.
type Event struct {
	// Op is Text, Binary, Ping, Pong or Close.
	Op Op
	// Code is the status code of a Close, CloseNoStatus if it came without one. It
	// is 0 for everything else.
	Code uint16
	// Payload is the message, the payload of a Ping or Pong, or the reason of a
	// Close. A Text and a reason are valid UTF-8.
	Payload []byte
}

// Reader turns the bytes that a peer sends after the handshake into events. The
// zero value is ready; Reader is small and meant to be a field of the connection.
// It holds memory of its own only while a message or a frame is incomplete.
//
// A Reader belongs to one goroutine, its connection's loop.
type Reader struct {
	// buf holds the gathered part of the unfinished message, and after it that of
	// an unfinished control frame that came between its fragments. It is nil when
	// there is nothing to hold.
	buf *bytebufferpool.ByteBuffer

	message   int32 // bytes of the unfinished message, all in buf
	frames    int32 // frames begun of the unfinished message, 0 between messages
	remaining int32 // payload bytes yet to come of the frame at hand, 0 between frames

	head  [MaxHeaderSize]byte // the first headN bytes of an incomplete frame header
	mask  [4]byte             // the frame's masking key, turned to the next payload byte
	headN uint8
	open  uint8 // bytes at the end of an unfinished text that begin a rune
	op    Op    // what the unfinished message is
	frame Op    // what the frame at hand is
	final bool  // the frame at hand ends its message
	lent  bool  // the last event's payload is in buf
}

// Next takes bytes from the front of p and returns the first event that they
// complete. n is how many bytes it took. When ok is false and err is nil there was
// no complete event: all of p was taken and the Reader remembers what it needs.
//
// Next unmasks in place and so overwrites p. The payload of the event is a slice of
// p when it lies whole in p and is that of a single frame;
// otherwise it is in a buffer of the Reader. Either way it is valid only until
// the following call of Next or Release. A caller therefore calls Next until it
// says that there is no event, with an empty p at last, and holds no buffer then
// unless something is incomplete:
//
//	for {
//		ev, n, ok, err := r.Next(p, lim)
//		if err != nil || !ok {
//			break
//		}
//		p = p[n:]
//		handle(ev)
//	}
//
// The limits are checked as soon as a frame header is complete, before any of
// the payload is kept, and memory grows with the bytes that arrive, never by what
// a header claims. Text is checked as it arrives. How the input is cut into calls
// makes no difference to the events or to the error.
//
// The error is an *Error. After one, Release is the only method to call.
func (r *Reader) Next(p []byte, lim *Limits) (ev Event, n int, ok bool, err error) {
	r.takeBack()
	for {
		if r.remaining == 0 {
			h, size, minimal := r.header(p[n:])
			if size == 0 {
				return Event{}, len(p), false, nil
			}
			n += size
			if err := r.begin(&h, minimal, lim); err != nil {
				return Event{}, n, false, err
			}
		}
		end := n + min(int(r.remaining), len(p)-n)
		chunk := p[n:end:end]
		n = end
		// A frame that needs no gathering is the common case.
		if len(chunk) == int(r.remaining) && r.standsAlone() {
			ev, err := r.finish(r.unmask(chunk, lim), false)
			return ev, n, err == nil, err
		}
		if err := r.gather(r.unmask(chunk, lim)); err != nil {
			return Event{}, n, false, err
		}
		if r.remaining > 0 {
			return Event{}, n, false, nil
		}
		if r.final {
			ev, err := r.finish(r.gathered(), true)
			return ev, n, err == nil, err
		}
	}
}

// Release gives the Reader's memory back and makes it ready for another
// connection. It is for the end of a connection; the payload of the last event is
// no longer valid.
func (r *Reader) Release() {
	if r.buf != nil {
		buffer.Give(r.buf)
	}
	*r = Reader{}
}

// Idle reports whether nothing is incomplete: a Reader in this state does what the zero
// value does, and need not be kept.
func (r *Reader) Idle() bool {
	return r.buf == nil && r.headN == 0 && r.frames == 0 && r.remaining == 0
}

// Buffered returns the bytes of memory that the Reader holds beyond its own size.
func (r *Reader) Buffered() int {
	if r.buf == nil {
		return 0
	}
	return cap(r.buf.B)
}

// takeBack ends the life of the last event's payload.
func (r *Reader) takeBack() {
	if !r.lent {
		return
	}
	r.lent = false
	if r.buf == nil {
		return
	}
	if r.message > 0 {
		r.buf.B = r.buf.B[:r.message]
		return
	}
	buffer.Give(r.buf)
	r.buf = nil
}

// header reads a frame header from the front of p and from what is kept of it.
// size is how many bytes of p belong to it, or 0 when it is incomplete; then all of p
// is kept. minimal says that the length has its shortest form.
func (r *Reader) header(p []byte) (h gobwas.Header, size int, minimal bool) {
	if r.headN == 0 {
		if h, size, minimal = parseHeader(p); size == 0 {
			r.headN = uint8(copy(r.head[:], p))
		}
		return h, size, minimal
	}
	kept := int(r.headN)
	k := copy(r.head[kept:], p)
	if h, size, minimal = parseHeader(r.head[:kept+k]); size == 0 {
		r.headN += uint8(k)
		return h, 0, false
	}
	r.headN = 0
	return h, size - kept, minimal
}

// parseHeader reads a frame header (RFC 6455, section 5.2) from the front of b. size
// is its length, 0 if b ends before it does. A length above 2^63-1 comes out
// negative.
func parseHeader(b []byte) (h gobwas.Header, size int, minimal bool) {
	if len(b) < 2 {
		return h, 0, false
	}
	length := b[1] & 0x7f
	size = 2
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	h.Masked = b[1]&0x80 != 0
	if h.Masked {
		size += len(h.Mask)
	}
	if len(b) < size {
		return h, 0, false
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] >> 4 & 0x7
	h.OpCode = gobwas.OpCode(b[0] & 0xf)
	switch length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		minimal = h.Length > 125
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
		minimal = h.Length > math.MaxUint16
	default:
		h.Length = int64(length)
		minimal = true
	}
	if h.Masked {
		h.Mask = [4]byte(b[size-len(h.Mask) : size])
	}
	return h, size, minimal
}

// begin checks a frame header and makes its frame the one at hand.
func (r *Reader) begin(h *gobwas.Header, minimal bool, lim *Limits) error {
	state := gobwas.StateServerSide
	if lim.Client {
		state = gobwas.StateClientSide
	}
	if r.frames > 0 {
		state = state.Set(gobwas.StateFragmented)
	}
	if err := gobwas.CheckHeader(*h, state); err != nil {
		return headerError(err)
	}
	if !minimal {
		return errBadLength
	}
	r.frame = Op(h.OpCode)
	if !r.frame.isControl() {
		if int(r.frames) >= max(lim.Fragments, 1) {
			return errTooManyFragments
		}
		if h.Length > int64(min(lim.MessageBytes, math.MaxInt32))-int64(r.message) {
			return errMessageTooBig
		}
		if r.frame != continuation {
			r.op = r.frame
		}
		r.frames++
	}
	r.final = h.Fin
	r.mask = h.Mask
	r.remaining = int32(h.Length)
	return nil
}

// standsAlone reports whether what is to come of the frame at hand is the whole
// payload of its event.
func (r *Reader) standsAlone() bool {
	return r.final && (r.frame.isControl() || r.frames == 1) &&
		(r.buf == nil || len(r.buf.B) == int(r.message) && r.frame.isControl())
}

// unmask unmasks the next bytes of the frame at hand in place and counts them as
// come.
func (r *Reader) unmask(chunk []byte, lim *Limits) []byte {
	if !lim.Client {
		gobwas.Cipher(chunk, r.mask, 0)
		if k := len(chunk) & 3; k != 0 {
			m := r.mask
			r.mask = [4]byte{m[k], m[(k+1)&3], m[(k+2)&3], m[(k+3)&3]}
		}
	}
	r.remaining -= int32(len(chunk))
	return chunk
}

// gather keeps the next bytes of the frame at hand.
func (r *Reader) gather(chunk []byte) error {
	if len(chunk) > 0 {
		r.buf = buffer.Append(r.buf, chunk)
	}
	if r.frame.isControl() {
		return nil
	}
	before := int(r.message) - int(r.open)
	r.message += int32(len(chunk))
	if r.op != Text || len(chunk) == 0 {
		return nil
	}
	open, ok := checkText(r.buf.B[before:])
	if !ok {
		return errInvalidUTF8
	}
	r.open = uint8(open)
	return nil
}

// gathered returns the payload of the event that the frame at hand ends.
func (r *Reader) gathered() []byte {
	switch {
	case r.buf == nil:
		return nil
	case r.frame.isControl():
		return r.buf.B[r.message:len(r.buf.B):len(r.buf.B)]
	default:
		return r.buf.B[:len(r.buf.B):len(r.buf.B)]
	}
}

// finish makes the event of a complete payload. gathered says that payload is in
// buf, where text has been checked already.
func (r *Reader) finish(payload []byte, gathered bool) (Event, error) {
	r.lent = gathered
	if r.frame.isControl() {
		if r.frame == Close {
			return closeEvent(payload)
		}
		return Event{Op: r.frame, Payload: payload}, nil
	}
	if r.op == Text && (r.open > 0 || !gathered && !utf8.Valid(payload)) {
		return Event{}, errInvalidUTF8
	}
	r.message, r.frames = 0, 0
	return Event{Op: r.op, Payload: payload}, nil
}

// closeEvent reads the payload of a close frame: nothing, or a status code and a
// reason (RFC 6455, section 5.5.1).
func closeEvent(payload []byte) (Event, error) {
	if len(payload) == 0 {
		return Event{Op: Close, Code: CloseNoStatus}, nil
	}
	if len(payload) == 1 {
		return Event{}, errBadClose
	}
	code := binary.BigEndian.Uint16(payload)
	if !ValidCloseCode(code) {
		return Event{}, errBadClose
	}
	if !utf8.Valid(payload[2:]) {
		return Event{}, errInvalidUTF8
	}
	return Event{Op: Close, Code: code, Payload: payload[2:]}, nil
}
