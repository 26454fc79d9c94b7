package ws

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"
)

// The bits of a frame header's first two bytes (RFC 6455, section 5.2).
const (
	bitFinal  = 0x80
	bitMasked = 0x80
)

// HeaderSize returns the length in bytes of the header that AppendHeader writes for
// a payload of payloadLen bytes: 2, 4 or 10.
func HeaderSize(payloadLen int) int {
	switch {
	case payloadLen <= 125:
		return 2
	case payloadLen <= math.MaxUint16:
		return 4
	default:
		return 10
	}
}

// AppendHeader appends the header of a server's frame: final, unmasked, with a
// payload of payloadLen bytes, which are to follow it. For control frames
// payloadLen must not exceed MaxControl.
func AppendHeader(dst []byte, op Op, payloadLen int) []byte {
	return appendHeader(dst, op, payloadLen, 0)
}

// AppendFrame appends a server's frame with the given payload.
func AppendFrame(dst []byte, op Op, payload []byte) []byte {
	return append(appendHeader(dst, op, len(payload), 0), payload...)
}

// AppendClose appends a server's close frame with a status code that must satisfy
// ValidCloseCode; CloseNoStatus makes a frame without code and reason. Of the reason
// it takes as many whole runes as fit in MaxCloseReason bytes, up to the first byte
// that is not UTF-8.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	if code == CloseNoStatus {
		return appendHeader(dst, Close, 0, 0)
	}
	reason = cutReason(reason)
	dst = appendHeader(dst, Close, 2+len(reason), 0)
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, reason...)
}

// AppendMasked appends a client's frame with the given payload, which is left as it
// is. The key must be new for each frame and unpredictable for the application whose
// data is sent (RFC 6455, section 10.3).
func AppendMasked(dst []byte, op Op, payload []byte, key [4]byte) []byte {
	dst = appendHeader(dst, op, len(payload), bitMasked)
	dst = append(dst, key[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	gobwas.Cipher(dst[start:], key, 0)
	return dst
}

// AppendMaskedClose appends a client's close frame; see AppendClose and AppendMasked.
func AppendMaskedClose(dst []byte, code uint16, reason string, key [4]byte) []byte {
	if code == CloseNoStatus {
		return AppendMasked(dst, Close, nil, key)
	}
	var payload [MaxControl]byte
	binary.BigEndian.PutUint16(payload[:], code)
	n := copy(payload[2:], cutReason(reason))
	return AppendMasked(dst, Close, payload[:2+n], key)
}

func appendHeader(dst []byte, op Op, payloadLen int, masked byte) []byte {
	first := bitFinal | byte(op)
	switch HeaderSize(payloadLen) {
	case 2:
		return append(dst, first, masked|byte(payloadLen))
	case 4:
		dst = append(dst, first, masked|126)
		return binary.BigEndian.AppendUint16(dst, uint16(payloadLen))
	default:
		dst = append(dst, first, masked|127)
		return binary.BigEndian.AppendUint64(dst, uint64(payloadLen))
	}
}

// cutReason returns the longest beginning of s that may be a close reason.
func cutReason(s string) string {
	n := 0
	for n < len(s) {
		c, size := utf8.DecodeRuneInString(s[n:])
		if c == utf8.RuneError && size == 1 || n+size > MaxCloseReason {
			break
		}
		n += size
	}
	return s[:n]
}
