package ws

import "bytes"

// The header fields of HTTP/1.1 (RFC 9112, section 5), read strictly: a line ends
// with CRLF, a name is a token with the colon right behind it, a value has no
// control characters, and nothing is continued on the next line. Where parsers
// disagree about such things, what one of them lets pass can be used to deceive
// another, for instance a proxy in front.

// nextField splits the first line off the header fields b. name is empty at the
// empty line that ends them; ok is false when the line is not a field.
func nextField(b []byte) (name, value, rest []byte, ok bool) {
	line, rest, ok := nextLine(b)
	if !ok || len(line) == 0 {
		return nil, nil, rest, ok
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 || !isToken(line[:colon]) {
		return nil, nil, nil, false
	}
	value = trimSpace(line[colon+1:])
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, nil, false
		}
	}
	return line[:colon], value, rest, true
}

// nextLine splits the first line off b and takes its CRLF away. What is before the LF
// may still hold a CR elsewhere.
func nextLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, false
	}
	return b[:i-1], b[i+1:], true
}

// nextElement splits the first element off a comma-separated list (RFC 9110, section
// 5.6.1). Lists may have empty elements, which mean nothing.
func nextElement(list []byte) (element, rest []byte) {
	element, rest, _ = bytes.Cut(list, []byte{','})
	return trimSpace(element), rest
}

// hasToken reports whether token, in lower case, is in a comma-separated list.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		var e []byte
		if e, list = nextElement(list); equalFold(e, token) {
			return true
		}
	}
	return false
}

// equalFold reports whether b is the ASCII string lower, which is in lower case,
// whatever the case of b.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// tokenChars has the characters of a token (RFC 9110, section 5.6.2).
var tokenChars = func() (set [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		set[c] = true
	}
	return set
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenChars[c] {
			return false
		}
	}
	return len(b) > 0
}

// appendField appends a header field. Control characters of the value become spaces,
// so that no value can begin another field or end the head.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	for i := range len(value) {
		c := value[i]
		if c < ' ' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, "\r\n"...)
}
