package ws

import (
	"encoding/base64"
	"errors"
	"io"
	"sync"

	gobwas "github.com/gobwas/ws"
)

// keySize is the length of a Sec-WebSocket-Key before its base64 encoding (RFC 6455,
// section 4.1).
const keySize = 16

// Upgrade checks that head, exactly the bytes of a request up to HeadEnd, is a correct
// request to switch to WebSocket (RFC 6455, section 4.2.1) and appends the response
// that does so. protocol is the subprotocol that the server has chosen of those that
// the client offers, or empty for none; it is the only one named in the response.
//
// On an error, a *RequestError, dst is returned as it was.
func Upgrade(head []byte, protocol string, dst []byte) ([]byte, error) {
	r, err := ParseRequest(head)
	switch {
	case err != nil:
		return dst, err
	case r.body:
		// Frames could not be told from the body.
		return dst, errUnexpectedBody
	}
	x := exchanges.Get().(*exchange)
	x.in, x.out, x.protocol = head, dst, protocol
	hs, err := x.upgrader.Upgrade(x)
	response := x.out
	x.in, x.out, x.protocol = nil, nil, ""
	exchanges.Put(x)
	switch {
	case err != nil:
		return dst, upgradeError(err)
	case !validKey(r.key):
		return dst, errBadKey
	case hs.Protocol != protocol:
		return dst, errProtocolNotOffered
	}
	return response, nil
}

// validKey reports whether key is the base64 encoding of keySize bytes. The upgrader
// looks at its length only.
func validKey(key []byte) bool {
	var decoded [keySize + 2]byte
	if len(key) != base64.StdEncoding.EncodedLen(keySize) {
		return false
	}
	n, err := base64.StdEncoding.Decode(decoded[:], key)
	return err == nil && n == keySize
}

// exchange lets the upgrader, which wants a connection, read one request head and
// write one response in memory.
type exchange struct {
	in       []byte // what is still to be read of the head
	out      []byte // the response is appended here
	protocol string

	upgrader gobwas.Upgrader // static
}

// exchanges keeps exchanges, since each has a closure of its own in its upgrader.
var exchanges = sync.Pool{New: func() any {
	x := new(exchange)
	x.upgrader.ProtocolCustom = x.choose
	return x
}}

func (x *exchange) Read(p []byte) (int, error) {
	if len(x.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, x.in)
	x.in = x.in[n:]
	return n, nil
}

func (x *exchange) Write(p []byte) (int, error) {
	x.out = append(x.out, p...)
	return len(p), nil
}

// choose looks for the chosen protocol in one list of those offered.
func (x *exchange) choose(list []byte) (string, bool) {
	for len(list) > 0 {
		var p []byte
		if p, list = nextElement(list); string(p) == x.protocol {
			return x.protocol, true
		}
	}
	return "", true
}

// upgradeError turns an error of the upgrader into ours.
func upgradeError(err error) *RequestError {
	for _, m := range upgradeErrors {
		if errors.Is(err, m.from) {
			return m.to
		}
	}
	return errMalformedRequest
}

var upgradeErrors = []struct {
	from error
	to   *RequestError
}{
	{gobwas.ErrHandshakeBadProtocol, errBadHTTPVersion},
	{gobwas.ErrHandshakeBadMethod, errBadMethod},
	{gobwas.ErrHandshakeBadHost, errBadHost},
	// Whoever asks for something else, or for nothing, is told what to ask for.
	{gobwas.ErrHandshakeBadUpgrade, errUpgradeRequired},
	{gobwas.ErrHandshakeBadConnection, errBadConnection},
	{gobwas.ErrHandshakeBadSecKey, errBadKey},
	{gobwas.ErrHandshakeBadSecVersion, errMissingVersion},
	{gobwas.ErrHandshakeUpgradeRequired, errUnsupportedVersion},
}
