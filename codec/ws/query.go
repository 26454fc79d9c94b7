package ws

import "bytes"

// Query returns the first value of key in a raw query of name=value pairs joined by
// '&', decoded as browsers encode it: percent-escapes and '+' for a space (the
// application/x-www-form-urlencoded format of the URL standard). Pairs with a
// malformed escape are passed over. ok is false when there is no such key.
//
// The value aliases rawQuery unless there was something to decode.
func Query(rawQuery []byte, key string) (value []byte, ok bool) {
	for len(rawQuery) > 0 {
		var pair []byte
		pair, rawQuery, _ = bytes.Cut(rawQuery, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		if len(pair) == 0 || !decodesTo(name, key) {
			continue
		}
		if value, ok = decode(value); ok {
			return value, true
		}
	}
	return nil, false
}

// decodesTo reports whether key is what s decodes to.
func decodesTo(s []byte, key string) bool {
	for i := range len(key) {
		c, size := decodeByte(s)
		if size == 0 || c != key[i] {
			return false
		}
		s = s[size:]
	}
	return len(s) == 0
}

// decode returns s decoded; ok is false if it has a malformed escape.
func decode(s []byte) (decoded []byte, ok bool) {
	if bytes.IndexByte(s, '%') < 0 && bytes.IndexByte(s, '+') < 0 {
		return s, true
	}
	decoded = make([]byte, 0, len(s))
	for len(s) > 0 {
		c, size := decodeByte(s)
		if size == 0 {
			return nil, false
		}
		decoded = append(decoded, c)
		s = s[size:]
	}
	return decoded, true
}

// decodeByte decodes the first byte of s. size is how much of s stands for it, 0 for
// an empty s and a malformed escape.
func decodeByte(s []byte) (c byte, size int) {
	switch {
	case len(s) == 0:
		return 0, 0
	case s[0] == '+':
		return ' ', 1
	case s[0] != '%':
		return s[0], 1
	case len(s) < 3 || !isHex(s[1]) || !isHex(s[2]):
		return 0, 0
	}
	return unhex(s[1])<<4 | unhex(s[2]), 3
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
