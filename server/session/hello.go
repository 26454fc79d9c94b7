package session

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/delivery"
)

// hello is what a client says in its request for a connection.
type hello struct {
	encoding codec.Encoding
	protocol bool // the client offered a subprotocol that we know
	token    []byte
	device   []byte
	cursor   []byte // nil for none
	start    codec.Start
	overflow codec.Overflow
	// mapVersion is that of the map by which the client has come here; 0 for none.
	mapVersion uint64
}

// bearerProtocol is the prefix of the subprotocol that carries a token: the only
// place, beside the URL, where a browser lets a page put one.
const bearerProtocol = "bearer."

// parseHello reads the request. On a refusal, what it has read so far is returned too.
func parseHello(r *ws.Request) (hello, *refusal) {
	var h hello
	for p := range r.Protocols() {
		if token, ok := bytes.CutPrefix(p, []byte(bearerProtocol)); ok {
			h.token = token
		} else if e, ok := codec.EncodingOf(string(p)); ok && !h.protocol {
			h.encoding, h.protocol = e, true
		}
	}
	if token, ok := ws.Query(r.RawQuery, "token"); ok {
		h.token = token
	}
	if scheme, token, ok := bytes.Cut(r.Authorization, []byte(" ")); ok && bytes.EqualFold(scheme, []byte("bearer")) {
		h.token = bytes.TrimSpace(token)
	}
	if !r.IsUpgrade {
		return h, refuse(RefusedUpgrade, "connect here with a WebSocket client")
	}
	if !h.protocol {
		return h, refuse(RefusedParameter, "offer one of the subprotocols "+codec.JSON.Subprotocol()+" and "+codec.Proto.Subprotocol())
	}
	h.device, _ = ws.Query(r.RawQuery, "device")
	if len(h.device) > backplane.MaxDevice || !utf8.Valid(h.device) {
		return h, refuse(RefusedParameter, "device: a name of at most "+strconv.Itoa(backplane.MaxDevice)+" bytes of UTF-8")
	}
	if v, ok := ws.Query(r.RawQuery, codec.ParamOverflow); ok {
		if h.overflow, ok = codec.ParseOverflow(v); !ok {
			return h, refuse(RefusedParameter, "overflow: auto or gap")
		}
	}
	if v, ok := ws.Query(r.RawQuery, codec.ParamStart); ok {
		if h.start, ok = codec.ParseStart(v); !ok {
			return h, refuse(RefusedParameter, "start: live, or last: and a number from 1 to "+strconv.Itoa(codec.MaxStart))
		}
	}
	if v, ok := ws.Query(r.RawQuery, codec.ParamMapVersion); ok {
		var err error
		if h.mapVersion, err = strconv.ParseUint(string(v), 10, 64); err != nil {
			return h, refuse(RefusedParameter, "map_version: a number")
		}
	}
	if v, ok := ws.Query(r.RawQuery, codec.ParamCursor); ok {
		h.cursor = v
		if _, err := codec.ParseCursor(v); err != nil {
			return h, refuseCursor(codec.CodeBadCursor)
		}
	}
	return h, nil
}

// refusal says why a client is not let in.
type refusal struct {
	reason  RefusalReason
	code    backplane.Code
	status  int
	message string
	moved   *codec.Moved // where to go instead
}

func refuse(reason RefusalReason, message string) *refusal {
	r := &refusal{reason: reason, message: message}
	switch reason {
	case RefusedUpgrade:
		r.status, r.code = http.StatusUpgradeRequired, codec.CodeBadParameter
	case RefusedParameter, RefusedCursor:
		r.status, r.code = http.StatusBadRequest, codec.CodeBadParameter
	case RefusedToken:
		r.status, r.code = http.StatusUnauthorized, codec.CodeUnauthorized
	case RefusedNotOwner:
		r.status, r.code = http.StatusMisdirectedRequest, codec.CodeNotOwner
	case RefusedDraining:
		r.status, r.code = http.StatusServiceUnavailable, backplane.CodeShutdown
	case RefusedDegraded:
		r.status, r.code = http.StatusServiceUnavailable, codec.CodeDegraded
	case RefusedNotReady:
		r.status, r.code = http.StatusServiceUnavailable, codec.CodeNotReady
	default: // overloaded
		r.status, r.code = http.StatusServiceUnavailable, backplane.CodeOverloaded
	}
	return r
}

// notServing is the refusal of a node that takes nobody in, nil if it does.
func notServing(l *Loop) *refusal {
	switch {
	case l.draining:
		return refuse(RefusedDraining, "the node is stopping")
	case l.deps.Degraded():
		return refuse(RefusedDegraded, "the node has lost its log")
	case !l.deps.Ready():
		return refuse(RefusedNotReady, "the node is starting")
	}
	return nil
}

// tokenRefusal is the refusal for a token that does not verify.
func tokenRefusal(err error) *refusal {
	r := refuse(RefusedToken, err.Error())
	if e := (*auth.Error)(nil); errors.As(err, &e) && e.Code == auth.CodeExpired {
		r.code = codec.CodeTokenExpired
	}
	return r
}

// refuseHello tells a client that it is not let in: by an HTTP status, or, if a
// browser asks, which hides the status from the page, by a connection that says
// why and is closed.
func (s *Session) refuseHello(l *Loop, head []byte, r *ws.Request, h hello, why *refusal) {
	if len(r.Origin) > 0 && r.IsUpgrade && s.refuseUpgraded(l, head, h, why) {
		return
	}
	var header [][2]string
	switch why.status {
	case http.StatusUnauthorized:
		header = append(header, [2]string{"WWW-Authenticate", "Bearer"})
	case http.StatusServiceUnavailable:
		header = append(header, [2]string{"Retry-After", "1"})
	}
	if why.moved != nil {
		header = append(header, [2]string{codec.HeaderNodeURL, why.moved.URL},
			[2]string{codec.HeaderMapVersion, strconv.FormatUint(why.moved.MapVersion, 10)})
	}
	s.respond(l, why.reason, why.status, string(why.code)+": "+why.message+"\n", header...)
}

func (s *Session) refuseUpgraded(l *Loop, head []byte, h hello, why *refusal) bool {
	if s.upgrade(l, head, h) != nil {
		return false
	}
	l.Counters.Refused(why.reason)
	if why.moved != nil {
		s.pushMoved(l, why.moved)
	}
	s.state = stateOpen
	s.closeFor(l, why.code, why.message)
	return true
}

func (s *Session) pushMoved(l *Loop, m *codec.Moved) {
	s.push(l, s.frameEntry(l, kindOther, func(dst []byte) []byte { return codec.AppendMoved(dst, s.encoding, m) }))
}

// upgrade answers the request with a switch to WebSocket, if it is a correct one.
func (s *Session) upgrade(l *Loop, head []byte, h hello) error {
	protocol := ""
	if h.protocol {
		protocol = h.encoding.Subprotocol()
	}
	response, err := ws.Upgrade(head, protocol, l.output[:0])
	if err != nil {
		return err
	}
	l.output = response
	s.encoding = h.encoding
	s.handle = s.handle.WithEncoding(uint8(h.encoding))
	s.push(l, entry{kind: kindOther, frame: delivery.Raw(l.deps.Memory, response)})
	return nil
}
