package ws

import (
	"bytes"
	"iter"
)

// Request is a parsed request head. Its slices alias the head.
type Request struct {
	Method []byte
	// Target is the request target as it was sent.
	Target []byte
	// Path and RawQuery are the parts of Target before and after the first '?', not
	// decoded. Path begins with '/', except that of "OPTIONS *". See Query for RawQuery.
	Path     []byte
	RawQuery []byte

	// Host, Origin and Authorization are the values of the header fields, empty
	// when the request does not have them.
	Host          []byte
	Origin        []byte
	Authorization []byte

	// IsUpgrade says that the request asks to switch to WebSocket. Upgrade tells
	// whether it does so correctly.
	IsUpgrade bool

	key    []byte // Sec-WebSocket-Key
	body   bool   // a body is announced
	fields []byte // the lines after the request line
}

// headEnd is what ends a head: the end of its last line and an empty one.
const headEnd = "\r\n\r\n"

// HeadEnd returns the index just behind the head at the front of p, or -1 when its
// end is not there. from is the length of p at the previous call for the same head,
// which is not searched again; 0 at the first.
//
// When it returns -1 for a p of MaxHead bytes or more, the caller must refuse the
// request (431): ParseRequest would.
func HeadEnd(p []byte, from int) int {
	start := max(from-(len(headEnd)-1), 0)
	if start > len(p) {
		return -1
	}
	i := bytes.Index(p[start:], []byte(headEnd))
	if i < 0 {
		return -1
	}
	return start + i + len(headEnd)
}

// ParseRequest reads the head of a request, exactly the bytes up to HeadEnd. It
// takes any method and header fields, HTTP/1.0 and 1.1, and tells enough to route a
// plain request or an upgrade. A target's percent-escapes are well formed when it
// returns no error. The error is a *RequestError.
//
// ParseRequest does not allocate.
func ParseRequest(head []byte) (Request, error) {
	var r Request
	if len(head) > MaxHead {
		return r, errHeadTooLong
	}
	line, rest, ok := nextLine(head)
	if !ok {
		return r, errMalformedRequest
	}
	minor, err := r.parseLine(line)
	if err != nil {
		return Request{}, err
	}
	r.fields = rest
	if err := r.parseFields(minor); err != nil {
		return Request{}, err
	}
	return r, nil
}

// Protocols gives the subprotocols that the client offers, in its order of preference,
// over all fields that list them.
func (r *Request) Protocols() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := r.fields; ; {
			var name, list []byte
			if name, list, rest, _ = nextField(rest); len(name) == 0 {
				return
			}
			if !equalFold(name, "sec-websocket-protocol") {
				continue
			}
			for len(list) > 0 {
				var p []byte
				if p, list = nextElement(list); len(p) > 0 && !yield(p) {
					return
				}
			}
		}
	}
}

// parseLine reads the request line (RFC 9112, section 3) and returns the minor
// version of HTTP/1.
func (r *Request) parseLine(line []byte) (minor byte, err error) {
	method, rest, _ := bytes.Cut(line, []byte{' '})
	target, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok || !isToken(method) || !validTarget(target) {
		return 0, errMalformedRequest
	}
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" ||
		!isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]) {
		return 0, errMalformedRequest
	}
	if version[5] != '1' {
		return 0, errBadHTTPVersion
	}
	r.Method, r.Target = method, target
	if r.Path, r.RawQuery, ok = splitTarget(target); !ok {
		return 0, errMalformedRequest
	}
	return version[7] - '0', nil
}

// splitTarget splits a target into path and query. It takes the origin form, the
// asterisk, and the absolute form, which a server must accept (RFC 9112, section 3.2).
func splitTarget(target []byte) (path, query []byte, ok bool) {
	if scheme, rest, found := bytes.Cut(target, []byte("://")); found &&
		(equalFold(scheme, "http") || equalFold(scheme, "https")) {
		end := bytes.IndexAny(rest, "/?")
		switch {
		case end == 0 || len(rest) == 0:
			return nil, nil, false
		case end < 0 || rest[end] == '?':
			// No path means the root; the second slash of "://" serves for it.
			root := len(scheme) + len(":/")
			path = target[root : root+1]
			_, query, _ = bytes.Cut(rest, []byte{'?'})
			return path, query, true
		}
		target = rest[end:]
	}
	path, query, _ = bytes.Cut(target, []byte{'?'})
	return path, query, len(path) > 0 && path[0] == '/' || string(target) == "*"
}

// validTarget reports whether target is free of spaces, control characters and
// fragments, and its percent-escapes are whole.
func validTarget(target []byte) bool {
	for i, c := range target {
		switch {
		case c <= ' ' || c == 0x7f || c == '#':
			return false
		case c == '%' && (i+2 >= len(target) || !isHex(target[i+1]) || !isHex(target[i+2])):
			return false
		}
	}
	return len(target) > 0
}

// parseFields reads the header fields, which must fill r.fields to its end.
func (r *Request) parseFields(minor byte) error {
	var upgrade, connection bool
	var version []byte
	for rest := r.fields; ; {
		name, value, after, ok := nextField(rest)
		if !ok {
			return errMalformedRequest
		}
		rest = after
		if len(name) == 0 {
			if len(rest) > 0 {
				return errMalformedRequest
			}
			break
		}
		switch {
		case equalFold(name, "host"):
			if r.Host != nil {
				return errBadHost
			}
			r.Host = value
		case equalFold(name, "origin"):
			ok = once(&r.Origin, value)
		case equalFold(name, "authorization"):
			ok = once(&r.Authorization, value)
		case equalFold(name, "upgrade"):
			upgrade = upgrade || hasToken(value, "websocket")
		case equalFold(name, "connection"):
			connection = connection || hasToken(value, "upgrade")
		case equalFold(name, "sec-websocket-key"):
			ok = once(&r.key, value)
		case equalFold(name, "sec-websocket-version"):
			ok = once(&version, value)
		case equalFold(name, "sec-websocket-protocol"):
			if !isTokenList(value) {
				return errMalformedRequest
			}
		case equalFold(name, "content-length"):
			r.body = r.body || string(value) != "0"
		case equalFold(name, "transfer-encoding"):
			r.body = true
		}
		if !ok {
			return errDuplicateField
		}
	}
	if r.Host == nil && minor > 0 {
		return errBadHost
	}
	r.IsUpgrade = upgrade && connection
	return nil
}

// once keeps the value of a field that a request may have only once, and reports
// whether it was the first.
func once(field *[]byte, value []byte) bool {
	if *field != nil {
		return false
	}
	*field = value
	return true
}

func isTokenList(list []byte) bool {
	for len(list) > 0 {
		var e []byte
		if e, list = nextElement(list); len(e) > 0 && !isToken(e) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
