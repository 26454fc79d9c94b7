package wire

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opContinuation byte = 0x0
	opText         byte = 0x1
	opBinary       byte = 0x2
	opClose        byte = 0x8
	opPing         byte = 0x9
	opPong         byte = 0xA
)

const (
	finBit       = 0x80
	reservedBits = 0x70
	opcodeBits   = 0x0F
	maskBit      = 0x80
	lengthBits   = 0x7F

	length16 = 126 // two bytes of length follow
	length64 = 127 // eight bytes of length follow

	maxControl = 125 // bytes of a control frame's payload
)

// Close codes of RFC 6455, section 7.4.1, that a client needs.
const (
	closeNormal   = 1000
	closeProtocol = 1002
	closeNoCode   = 1005 // stands for a close frame without a code, and is never sent
)

// messageReader takes apart what a server sends: whole messages, and control frames
// as they come between the frames of one.
type messageReader struct {
	r     io.Reader
	data  byte // opText or opBinary, whichever messages must have
	limit int  // messages must be shorter, in bytes

	inside  bool // a message has begun
	message []byte
}

// next returns the next message (with the opcode data) or control frame. The payload
// is the caller's. An error is a *Violation, after which nothing can be made of the
// rest, or of the reader: io.EOF between frames, io.ErrUnexpectedEOF within one.
func (m *messageReader) next() (op byte, payload []byte, err error) {
	for {
		head, err := m.head()
		if err != nil {
			return 0, nil, err
		}
		if head.op >= opClose {
			payload := make([]byte, head.length)
			return head.op, payload, m.fill(payload)
		}
		start := len(m.message)
		m.message = append(m.message, make([]byte, head.length)...)
		if err := m.fill(m.message[start:]); err != nil {
			return 0, nil, err
		}
		m.inside = !head.fin
		if m.inside {
			continue
		}
		payload := m.message
		m.message = nil
		if m.data == opText && !utf8.Valid(payload) {
			return 0, nil, violation(RuleSocket, "a text message is not valid UTF-8")
		}
		return m.data, payload, nil
	}
}

type frameHead struct {
	fin    bool
	op     byte
	length int
}

// head reads the head of a frame, and lets only one pass that may come here.
func (m *messageReader) head() (frameHead, error) {
	var b [8]byte
	if _, err := io.ReadFull(m.r, b[:2]); err != nil {
		return frameHead{}, err
	}
	h := frameHead{fin: b[0]&finBit != 0, op: b[0] & opcodeBits}
	masked, short := b[1]&maskBit != 0, b[1]&lengthBits
	if b[0]&reservedBits != 0 {
		return h, violation(RuleSocket, "a frame has reserved bits %#x", b[0]&reservedBits)
	}
	if masked {
		return h, violation(RuleSocket, "a frame of the server is masked")
	}
	switch h.op {
	case opClose, opPing, opPong:
		if !h.fin || short > maxControl {
			return h, violation(RuleSocket, "a control frame (opcode %#x) is fragmented or too long", h.op)
		}
	case opContinuation:
		if !m.inside {
			return h, violation(RuleSocket, "a continuation without a beginning")
		}
	case opText, opBinary:
		if m.inside {
			return h, violation(RuleSocket, "a message begins inside another one")
		}
		if h.op != m.data {
			return h, violation(RuleSocket, "a message of the type (opcode %#x) that the subprotocol does not have", h.op)
		}
	default:
		return h, violation(RuleSocket, "unknown opcode %#x", h.op)
	}
	length, err := m.length(short)
	if err != nil {
		return h, err
	}
	if length >= uint64(m.limit-len(m.message)) {
		return h, violation(RuleSocket, "a message has %d bytes or more", m.limit)
	}
	h.length = int(length)
	return h, nil
}

// length reads the rest of a length, which must have the shortest form.
func (m *messageReader) length(short byte) (uint64, error) {
	var b [8]byte
	switch short {
	case length16:
		if err := m.fill(b[:2]); err != nil {
			return 0, err
		}
		length := uint64(binary.BigEndian.Uint16(b[:]))
		if length < length16 {
			return 0, violation(RuleSocket, "a length of %d in three bytes", length)
		}
		return length, nil
	case length64:
		if err := m.fill(b[:]); err != nil {
			return 0, err
		}
		length := binary.BigEndian.Uint64(b[:])
		if length < 1<<16 || length >= 1<<63 {
			return 0, violation(RuleSocket, "a length of %d in nine bytes", length)
		}
		return length, nil
	default:
		return uint64(short), nil
	}
}

// fill reads what a frame has promised.
func (m *messageReader) fill(b []byte) error {
	_, err := io.ReadFull(m.r, b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// parseClose takes the payload of a close frame apart.
func parseClose(payload []byte) (code int, reason string, broken *Violation) {
	if len(payload) == 0 {
		return closeNoCode, "", nil
	}
	if len(payload) == 1 {
		return 0, "", violation(RuleSocket, "a close frame with half a code")
	}
	reason = string(payload[2:])
	if !utf8.ValidString(reason) {
		return 0, "", violation(RuleSocket, "the reason of a close frame is not valid UTF-8")
	}
	return int(binary.BigEndian.Uint16(payload)), reason, nil
}

// closePayload returns the payload of a close frame.
func closePayload(code int) []byte {
	if code == closeNoCode {
		return nil
	}
	return binary.BigEndian.AppendUint16(nil, uint16(code))
}

// appendMessage appends a message in so many frames, or in as many as it has bytes.
func appendMessage(b []byte, op byte, payload []byte, frames int) []byte {
	for ; frames > 1 && len(payload) > 1; frames-- {
		size := (len(payload) + frames - 1) / frames
		b = appendFrame(b, false, op, payload[:size])
		op, payload = opContinuation, payload[size:]
	}
	return appendFrame(b, true, op, payload)
}

// appendFrame appends a frame as clients write it: masked, with a new random key.
func appendFrame(b []byte, fin bool, op byte, payload []byte) []byte {
	if fin {
		op |= finBit
	}
	b = append(b, op)
	switch {
	case len(payload) < length16:
		b = append(b, maskBit|byte(len(payload)))
	case len(payload) < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, maskBit|length16), uint16(len(payload)))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskBit|length64), uint64(len(payload)))
	}
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%len(key)])
	}
	return b
}
