package ws

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// AppendRequest appends a client's request to switch to WebSocket (RFC 6455, section
// 4.1). host is the value of the Host field, target the path and the query, which must
// be escaped already; key is 16 random bytes, new for each connection. Each of header
// is a name, which must be a token, and a value.
//
// Characters that would break the request are replaced: in target by their
// percent-escapes, elsewhere by spaces.
func AppendRequest(dst []byte, host, target string, key [16]byte, protocols []string, header ...[2]string) []byte {
	dst = append(dst, "GET "...)
	dst = appendTarget(dst, target)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendField(dst, "Host", host)
	dst = append(dst, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "...)
	dst = base64.StdEncoding.AppendEncode(dst, key[:])
	dst = append(dst, "\r\n"...)
	if len(protocols) > 0 {
		dst = appendField(dst, "Sec-WebSocket-Protocol", strings.Join(protocols, ", "))
	}
	for _, f := range header {
		dst = appendField(dst, f[0], f[1])
	}
	return append(dst, "\r\n"...)
}

func appendTarget(dst []byte, target string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			dst = append(dst, '%', hex[c>>4], hex[c&0xf])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// ParseResponse reads the answer to a request made with key that offered protocols. p
// begins with the head and reaches at least to HeadEnd. It returns the subprotocol
// that the server chose, empty if none; what stands behind the head then are frames.
//
// The error is a *StatusError when the server's status is not 101, for which p should
// reach as far as the caller has read, and otherwise a *ResponseError.
func ParseResponse(p []byte, key [16]byte, protocols []string) (protocol string, err error) {
	end := HeadEnd(p, 0)
	if end < 0 || end > MaxHead {
		return "", &ResponseError{ReasonMalformedResponse}
	}
	line, fields, ok := nextLine(p[:end])
	status, minor, valid := parseStatusLine(line)
	if !ok || !valid || !validFields(fields) {
		return "", &ResponseError{ReasonMalformedResponse}
	}
	if status != http.StatusSwitchingProtocols {
		return "", newStatusError(status, fields, p[end:])
	}
	if minor == 0 {
		return "", &ResponseError{ReasonBadUpgrade}
	}
	return checkSwitch(fields, key, protocols)
}

// parseStatusLine reads a status line of HTTP/1 (RFC 9112, section 4).
func parseStatusLine(line []byte) (status int, minor byte, ok bool) {
	const form = "HTTP/1.x nnn"
	if len(line) < len(form) || string(line[:7]) != form[:7] || !isDigit(line[7]) || line[8] != ' ' ||
		len(line) > len(form) && line[len(form)] != ' ' {
		return 0, 0, false
	}
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return 0, 0, false
		}
		status = status*10 + int(c-'0')
	}
	return status, line[7] - '0', status >= 100
}

func validFields(fields []byte) bool {
	for {
		name, _, rest, ok := nextField(fields)
		if !ok {
			return false
		}
		if len(name) == 0 {
			return len(rest) == 0
		}
		fields = rest
	}
}

// checkSwitch checks the header fields of a response with status 101 by the list of
// RFC 6455, section 4.1.
func checkSwitch(fields []byte, key [16]byte, protocols []string) (protocol string, err error) {
	var upgrade, connection, accept, chosen bool
	for {
		name, value, rest, _ := nextField(fields)
		if len(name) == 0 {
			break
		}
		fields = rest
		switch {
		case equalFold(name, "upgrade"):
			upgrade = equalFold(value, "websocket")
		case equalFold(name, "connection"):
			connection = connection || hasToken(value, "upgrade")
		case equalFold(name, "sec-websocket-accept"):
			want := acceptKey(key)
			if accept || !bytes.Equal(value, want[:]) {
				return "", &ResponseError{ReasonBadAccept}
			}
			accept = true
		case equalFold(name, "sec-websocket-protocol"):
			if chosen {
				return "", &ResponseError{ReasonUnexpectedProtocol}
			}
			if protocol, chosen = offered(value, protocols); !chosen {
				return "", &ResponseError{ReasonUnexpectedProtocol}
			}
		case equalFold(name, "sec-websocket-extensions"):
			return "", &ResponseError{ReasonUnexpectedExtension}
		}
	}
	switch {
	case !upgrade || !connection:
		return "", &ResponseError{ReasonBadUpgrade}
	case !accept:
		return "", &ResponseError{ReasonBadAccept}
	}
	return protocol, nil
}

// offered returns the one of protocols that name is.
func offered(name []byte, protocols []string) (string, bool) {
	for _, p := range protocols {
		if string(name) == p {
			return p, true
		}
	}
	return "", false
}

// acceptGUID is what RFC 6455, section 1.3, appends to a key before hashing it.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// acceptKey returns the Sec-WebSocket-Accept that answers key.
func acceptKey(key [16]byte) (accept [28]byte) {
	var buf [64]byte
	b := base64.StdEncoding.AppendEncode(buf[:0], key[:])
	sum := sha1.Sum(append(b, acceptGUID...))
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}

// StatusError is a server's refusal: an answer with a status other than 101. It holds
// copies only.
type StatusError struct {
	Status int
	// Body is what had arrived of the body, as it was sent, at most as much as
	// Content-Length says.
	Body string

	fields string
}

func newStatusError(status int, fields, body []byte) *StatusError {
	e := &StatusError{Status: status, fields: string(fields)}
	if n, err := strconv.ParseUint(e.Header("Content-Length"), 10, 63); err == nil && n < uint64(len(body)) {
		body = body[:n]
	}
	e.Body = string(body)
	return e
}

func (e *StatusError) Error() string {
	s := "ws: the server answered " + strconv.Itoa(e.Status)
	if text := http.StatusText(e.Status); text != "" {
		s += " " + text
	}
	return s
}

// Header returns the value of the first header field of that name, in any case of its
// letters, or an empty string.
func (e *StatusError) Header(name string) string {
	for fields := []byte(e.fields); ; {
		field, value, rest, _ := nextField(fields)
		if len(field) == 0 {
			return ""
		}
		if bytes.EqualFold(field, []byte(name)) {
			return string(value)
		}
		fields = rest
	}
}
