package load

import (
	"bytes"
	"encoding/hex"
	"strconv"
)

// stamp tells which message one is. Its text is the id of the send and the beginning
// of the body, so that the copy without a body, which the sending session gets, is
// known too.
type stamp struct {
	run    uint32 // of this run of this process: what is left of others does not count
	sender uint32 // the connection that sent it
	number uint32 // counts the messages of the sender's loop
}

const (
	stampBytes = 24 // of text
	timeBytes  = 16

	// MinSize is the smallest body: the stamp, and the time at which the message was
	// meant to be sent.
	MinSize = stampBytes + timeBytes
)

// hash spreads a stamp over 64 bits (the finalizer of splitmix64), so that the sum
// over a set of stamps tells sets apart whatever the order.
func (s stamp) hash() uint64 {
	z := (uint64(s.sender)<<32 | uint64(s.number)) + (uint64(s.run)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// key names a message within its loop and run.
func (s stamp) key() uint64 { return uint64(s.sender)<<32 | uint64(s.number) }

func (s stamp) append(dst []byte) []byte {
	dst = appendHex32(dst, s.run)
	dst = appendHex32(dst, s.sender)
	return appendHex32(dst, s.number)
}

// parseStamp reads the text of a stamp.
func parseStamp(text []byte) (s stamp, ok bool) {
	var raw [stampBytes / 2]byte
	if len(text) != stampBytes {
		return s, false
	}
	if _, err := hex.Decode(raw[:], text); err != nil {
		return s, false
	}
	at := func(i int) uint32 {
		return uint32(raw[i])<<24 | uint32(raw[i+1])<<16 | uint32(raw[i+2])<<8 | uint32(raw[i+3])
	}
	return stamp{at(0), at(4), at(8)}, true
}

// filler is what bodies are filled up with: text, so that JSON carries it as it is.
var filler = bytes.Repeat([]byte("godwits fly from Alaska to New Zealand without a stop; "), 64<<10/55+2)

// appendBody appends a body of size bytes, MinSize or more. at is the time at which
// the message was meant to be sent, on the generator's clock.
func appendBody(dst []byte, s stamp, at int64, size int) []byte {
	dst = s.append(dst)
	dst = appendHex32(dst, uint32(at>>32))
	dst = appendHex32(dst, uint32(at))
	return append(dst, filler[:size-MinSize]...)
}

// parseBody reads a body and reports whether it is whole.
func parseBody(body []byte, size int) (s stamp, at int64, ok bool) {
	if len(body) != size || size < MinSize {
		return s, 0, false
	}
	var raw [timeBytes / 2]byte
	if _, err := hex.Decode(raw[:], body[stampBytes:MinSize]); err != nil {
		return s, 0, false
	}
	for _, b := range raw {
		at = at<<8 | int64(b)
	}
	s, ok = parseStamp(body[:stampBytes])
	return s, at, ok && bytes.Equal(body[MinSize:], filler[:size-MinSize])
}

func appendHex32(dst []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&0xf])
	}
	return dst
}

// appendUser appends the name of a user.
func (c *Config) appendUser(dst []byte, user uint32) []byte {
	return c.appendNumber(dst, c.number(user))
}

func (c *Config) appendNumber(dst []byte, number uint32) []byte {
	dst = append(dst, c.Prefix...)
	return strconv.AppendUint(dst, uint64(number), 10)
}
