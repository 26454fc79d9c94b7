package ws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rfcKey is the key of the example in RFC 6455, section 1.3.
var rfcKey = [16]byte([]byte("the sample nonce"))

const rfcAccept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

func TestAppendRequest(t *testing.T) {
	got := AppendRequest([]byte("before"), "server.example.com", "/chat?a b", rfcKey, []string{"chat", "superchat"},
		[2]string{"Authorization", "Bearer x"})
	want := "beforeGET /chat?a%20b HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n" +
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Protocol: chat, superchat\r\nAuthorization: Bearer x\r\n\r\n"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHandshake lets both ends of this package shake hands.
func TestHandshake(t *testing.T) {
	for i, test := range []struct {
		offered []string
		chosen  string
	}{
		{nil, ""}, {[]string{"a"}, "a"}, {[]string{"a", "b", "c"}, "c"}, {[]string{"a", "b"}, ""},
	} {
		key := [16]byte{byte(i), 0xff, 0x80}
		head := AppendRequest(nil, "h", "/v1/connect?device=x", key, test.offered)
		r, err := ParseRequest(head)
		if err != nil || !r.IsUpgrade || string(r.Host) != "h" || string(r.RawQuery) != "device=x" {
			t.Fatalf("%v: %+v, %v", test, r, err)
		}
		var offered []string
		for p := range r.Protocols() {
			offered = append(offered, string(p))
		}
		if !slices.Equal(offered, test.offered) {
			t.Errorf("%v: the server sees %q", test, offered)
		}
		response, err := Upgrade(head, test.chosen, nil)
		if err != nil {
			t.Fatalf("%v: %v", test, err)
		}
		// Frames right behind the head are not looked at.
		protocol, err := ParseResponse(append(response, "\x81\x02hi"...), key, test.offered)
		if err != nil || protocol != test.chosen {
			t.Errorf("%v: chose %q, %v", test, protocol, err)
		}
		key[15] ^= 1
		var e *ResponseError
		if _, err := ParseResponse(response, key, test.offered); !errors.As(err, &e) || e.Reason != ReasonBadAccept {
			t.Errorf("%v: with another key: %v", test, err)
		}
	}
}

func TestBadResponses(t *testing.T) {
	offered := []string{"chat"}
	switched := func(lines ...string) string {
		return "HTTP/1.1 101 Switching Protocols\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	const up, conn = "Upgrade: websocket", "Connection: Upgrade"
	for _, test := range []struct {
		response string
		want     Reason // none when it is fine
	}{
		{switched(up, conn, rfcAccept), ""},
		{switched("upgrade: WebSocket", "CONNECTION: keep-alive, upgrade", rfcAccept, "X: y"), ""},
		{"HTTP/1.1 101\r\n" + up + "\r\n" + conn + "\r\n" + rfcAccept + "\r\n\r\n", ""},
		{switched(conn, rfcAccept), ReasonBadUpgrade},
		{switched("Upgrade: h2c", conn, rfcAccept), ReasonBadUpgrade},
		{switched(up, rfcAccept), ReasonBadUpgrade},
		{switched(up, "Connection: close", rfcAccept), ReasonBadUpgrade},
		{"HTTP/1.0 101 OK\r\n" + up + "\r\n" + conn + "\r\n" + rfcAccept + "\r\n\r\n", ReasonBadUpgrade},
		{switched(up, conn), ReasonBadAccept},
		{switched(up, conn, rfcAccept+"x"), ReasonBadAccept},
		{switched(up, conn, strings.ToLower(rfcAccept)), ReasonBadAccept},
		{switched(up, conn, rfcAccept, rfcAccept), ReasonBadAccept},
		{switched(up, conn, rfcAccept, "Sec-WebSocket-Protocol: chat"), ""},
		{switched(up, conn, rfcAccept, "Sec-WebSocket-Protocol: Chat"), ReasonUnexpectedProtocol},
		{switched(up, conn, rfcAccept, "Sec-WebSocket-Protocol: other"), ReasonUnexpectedProtocol},
		{switched(up, conn, rfcAccept, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"), ReasonUnexpectedProtocol},
		{switched(up, conn, rfcAccept, "Sec-WebSocket-Extensions: permessage-deflate"), ReasonUnexpectedExtension},
		{switched(up, conn, rfcAccept, "no colon"), ReasonMalformedResponse},
		{switched(up, conn, rfcAccept, " folded: x"), ReasonMalformedResponse},
		{"", ReasonMalformedResponse},
		{"\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.1 101 Switching Protocols\r\n", ReasonMalformedResponse},
		{"HTTP/2.0 101 X\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.1 10 X\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.1 1010 X\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.1 099 X\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.1 1x1 X\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.x 101 X\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.1  101\r\n\r\n", ReasonMalformedResponse},
		{"HTTP/1.1 200 OK\nX: y\n\r\n\r\n", ReasonMalformedResponse},
		{switched("X: " + strings.Repeat("x", MaxHead)), ReasonMalformedResponse},
	} {
		_, err := ParseResponse([]byte(test.response), rfcKey, offered)
		var e *ResponseError
		if test.want == "" && err != nil || test.want != "" && (!errors.As(err, &e) || e.Reason != test.want) {
			t.Errorf("%.120q: got %v, want %q", test.response, err, test.want)
		}
	}
}

func TestStatusError(t *testing.T) {
	response := AppendResponse(nil, 421, "not mine", [2]string{"Godwit-Node-Url", "wss://node2/v1/connect"})
	for cut := HeadEnd(response, 0); cut <= len(response); cut++ {
		p := slices.Clone(response[:cut])
		protocol, err := ParseResponse(p, rfcKey, nil)
		clear(p)
		var e *StatusError
		if !errors.As(err, &e) || e.Status != 421 || protocol != "" {
			t.Fatalf("cut at %d: %q, %v", cut, protocol, err)
		}
		if got := e.Header("godwit-node-URL"); got != "wss://node2/v1/connect" {
			t.Errorf("cut at %d: the node is %q", cut, got)
		}
		if got := e.Header("Retry-After"); got != "" {
			t.Errorf("cut at %d: a field that is not there is %q", cut, got)
		}
		if want := "not mine"[:8-(len(response)-cut)]; e.Body != want {
			t.Errorf("cut at %d: the body is %q, want %q", cut, e.Body, want)
		}
		if got, want := e.Error(), "ws: the server answered 421 Misdirected Request"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, test := range []struct{ length, want string }{
		{"3", "bod"}, {"0", ""}, {"4", "body"}, {"99", "body"}, {"-1", "body"}, {"x", "body"},
	} {
		_, err := ParseResponse(fmt.Appendf(nil, "HTTP/1.0 599\r\nContent-Length: %s\r\n\r\nbody", test.length), rfcKey, nil)
		var e *StatusError
		if !errors.As(err, &e) || e.Body != test.want || e.Error() != "ws: the server answered 599" {
			t.Errorf("length %s: %v with body %q", test.length, err, e.Body)
		}
	}
}
