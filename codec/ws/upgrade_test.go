package ws

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// rfcHead is the request of RFC 6455, section 1.3.
const rfcHead = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n"

func TestUpgrade(t *testing.T) {
	head := []byte(rfcHead)
	response, err := Upgrade(head, "chat", []byte("before"))
	want := "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
	if err != nil || string(response) != want {
		t.Errorf("got %q, %v; want %q", response, err, want)
	}
	if string(head) != rfcHead {
		t.Error("the head was changed")
	}
	response, err = Upgrade(head, "", nil)
	if want = strings.Replace(want[len("before"):], "Sec-WebSocket-Protocol: chat\r\n", "", 1); err != nil || string(response) != want {
		t.Errorf("without protocol: got %q, %v; want %q", response, err, want)
	}
}

func TestUpgradeChoosesAnyOffer(t *testing.T) {
	head := []byte(upgradeHead("Sec-WebSocket-Protocol: a,, b", "sec-websocket-protocol: c"))
	for _, protocol := range []string{"a", "b", "c"} {
		response, err := Upgrade(head, protocol, nil)
		if n := bytes.Count(response, []byte("Sec-WebSocket-Protocol: "+protocol+"\r\n")); err != nil || n != 1 {
			t.Errorf("%s: %q, %v", protocol, response, err)
		}
	}
}

func TestRefusedUpgrades(t *testing.T) {
	for _, test := range []struct {
		name   string
		head   string
		status int
		reason Reason
	}{
		{"HTTP/1.0", upgradeHead("GET / HTTP/1.0"), 505, ReasonBadHTTPVersion},
		{"HTTP/2.0", upgradeHead("GET / HTTP/2.0"), 505, ReasonBadHTTPVersion},
		{"POST", upgradeHead("POST / HTTP/1.1"), 405, ReasonBadMethod},
		{"HEAD", upgradeHead("HEAD / HTTP/1.1"), 405, ReasonBadMethod},
		{"lower-case get", upgradeHead("get / HTTP/1.1"), 405, ReasonBadMethod},
		{"no line", upgradeHead("nonsense"), 400, ReasonMalformedRequest},
		{"no host", upgradeHead("Host:"), 400, ReasonBadHost},
		{"no upgrade", upgradeHead("Upgrade:"), 426, ReasonUpgradeRequired},
		{"other upgrade", upgradeHead("Upgrade: h2c"), 426, ReasonUpgradeRequired},
		{"no connection", upgradeHead("Connection:"), 400, ReasonBadConnection},
		{"other connection", upgradeHead("Connection: close"), 400, ReasonBadConnection},
		{"no version", upgradeHead("Sec-WebSocket-Version:"), 400, ReasonMissingVersion},
		{"version 8", upgradeHead("Sec-WebSocket-Version: 8"), 426, ReasonUnsupportedVersion},
		{"version 013", upgradeHead("Sec-WebSocket-Version: 013"), 426, ReasonUnsupportedVersion},
		{"versions", upgradeHead("Sec-WebSocket-Version: 13, 8"), 426, ReasonUnsupportedVersion},
		{"no key", upgradeHead("Sec-WebSocket-Key:"), 400, ReasonBadKey},
		{"short key", upgradeHead("Sec-WebSocket-Key: c2hvcnQ="), 400, ReasonBadKey},
		{"key of 15", upgradeHead("Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0"), 400, ReasonBadKey},
		{"key of 17", upgradeHead("Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NTY="), 400, ReasonBadKey},
		{"key of 18", upgradeHead("Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NTY3"), 400, ReasonBadKey},
		{"key not base64", upgradeHead("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q=="), 400, ReasonBadKey},
		{"body", upgradeHead("Content-Length: 1"), 400, ReasonUnexpectedBody},
		{"chunks", upgradeHead("Transfer-Encoding: chunked"), 400, ReasonUnexpectedBody},
		{"other protocols", upgradeHead("Sec-WebSocket-Protocol: godwit.v2.json"), 400, ReasonProtocolNotOffered},
		{"prefix of a protocol", upgradeHead("Sec-WebSocket-Protocol: godwit.v1"), 400, ReasonProtocolNotOffered},
		{"no protocols", upgradeHead("Sec-WebSocket-Protocol:"), 400, ReasonProtocolNotOffered},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, err := Upgrade([]byte(test.head), "godwit.v1.json", []byte("before"))
			e, ok := err.(*RequestError)
			if !ok || e.Status != test.status || e.Reason != test.reason {
				t.Fatalf("got %v, want %d %s", err, test.status, test.reason)
			}
			if string(response) != "before" {
				t.Errorf("something was appended: %q", response)
			}
			refusal := parseHTTP(t, e.Append(nil))
			if refusal.StatusCode != test.status || !refusal.Close {
				t.Errorf("answered with %v", refusal)
			}
			switch test.status {
			case 405:
				if refusal.Header.Get("Allow") != "GET" {
					t.Errorf("no methods in %v", refusal.Header)
				}
			case 426:
				if refusal.Header.Get("Sec-WebSocket-Version") != "13" || refusal.Header.Get("Upgrade") != "websocket" {
					t.Errorf("no version in %v", refusal.Header)
				}
			}
		})
	}
}

// parseHTTP reads a complete response the way the standard library does, with nothing
// left over.
func parseHTTP(t *testing.T, b []byte) *http.Response {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	response, err := http.ReadResponse(r, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || r.Buffered() > 0 {
		t.Fatalf("%q: %v, %d bytes left", b, err, r.Buffered())
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response
}

func TestAppendResponse(t *testing.T) {
	got := AppendResponse([]byte("before"), 421, `{"url":"wss://node2/"}`,
		[2]string{"content-type", "application/json"}, [2]string{"Godwit-Node-Url", "wss://node2/"})
	want := "beforeHTTP/1.1 421 Misdirected Request\r\nConnection: close\r\ncontent-type: application/json\r\n" +
		"Godwit-Node-Url: wss://node2/\r\nContent-Length: 22\r\n\r\n{\"url\":\"wss://node2/\"}"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, test := range []struct {
		status int
		body   string
		typ    string
		length int64
	}{
		{200, "ok\n", "text/plain; charset=utf-8", 3},
		{200, "", "", 0},
		{204, "", "", 0},
		{304, "", "", 0},
		{401, "unauthorized", "text/plain; charset=utf-8", 12},
		{503, "", "", 0},
		{599, "unknown status", "text/plain; charset=utf-8", 14},
	} {
		r := parseHTTP(t, AppendResponse(nil, test.status, []byte(test.body)))
		body, err := io.ReadAll(r.Body)
		if r.StatusCode != test.status || string(body) != test.body || err != nil ||
			r.Header.Get("Content-Type") != test.typ || r.ContentLength != test.length || !r.Close {
			t.Errorf("%d: got %+v with %q", test.status, r, body)
		}
	}
	// RFC 9110, sections 8.6 and 15.4.5.
	for _, status := range []int{204, 304} {
		got := AppendResponse(nil, status, "body")
		if HeadEnd(got, 0) != len(got) || bytes.Contains(got, []byte("Content-")) {
			t.Errorf("with a body: %q", got)
		}
	}
}

// TestHeaderInjection puts into values what would end a field or the head.
func TestHeaderInjection(t *testing.T) {
	for _, evil := range []string{"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\r\n\r\nbody", "\x00\x1b\x7f"} {
		r := parseHTTP(t, AppendResponse(nil, 200, "body", [2]string{"X-Value", evil}))
		if body, _ := io.ReadAll(r.Body); r.Header.Get("X-Evil") != "" || string(body) != "body" {
			t.Errorf("%q got out: %v %q", evil, r.Header, body)
		}
		head := AppendRequest(nil, evil, "/"+evil, [16]byte{}, []string{evil}, [2]string{"X-Value", evil})
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err == nil && std.Header.Get("X-Evil") != "" {
			t.Errorf("%q got out: %v", evil, std.Header)
		}
		if HeadEnd(head, 0) != len(head) {
			t.Errorf("%q ended the head: %q", evil, head)
		}
	}
}
