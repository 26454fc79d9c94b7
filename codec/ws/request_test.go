package ws

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// upgradeHead is the request of a browser, with lines replaced or added: a line whose
// name is there already takes its place, and a line that ends in a colon removes it.
func upgradeHead(lines ...string) string {
	head := []string{
		"GET /v1/connect?token=a.b-c_d&device=phone HTTP/1.1",
		"Host: node1.example:8080",
		"Connection: keep-alive, Upgrade",
		"Upgrade: websocket",
		"Origin: https://chat.example",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
		"Sec-WebSocket-Protocol: godwit.v1.json, bearer.aaa.bbb.ccc",
	}
	for _, line := range lines {
		name, value, isField := strings.Cut(line, ":")
		if !isField {
			head[0] = line
			continue
		}
		i := slices.IndexFunc(head[1:], func(l string) bool { return strings.HasPrefix(l, name+":") }) + 1
		switch {
		case i == 0:
			head = append(head, line)
		case value == "":
			head = slices.Delete(head, i, i+1)
		default:
			head[i] = line
		}
	}
	return strings.Join(head, "\r\n") + headEnd
}

func TestHeadEnd(t *testing.T) {
	head := upgradeHead()
	input := []byte(head + "frames\r\n\r\n")
	if got := HeadEnd(input, 0); got != len(head) {
		t.Errorf("got %d, want %d", got, len(head))
	}
	// Byte by byte, each call resuming where the last one stopped.
	for n, from := 0, 0; n <= len(input); n++ {
		want := -1
		if n >= len(head) {
			want = len(head)
		}
		if got := HeadEnd(input[:n], from); got != want {
			t.Fatalf("after %d bytes: got %d, want %d", n, got, want)
		}
		if n < len(head) {
			from = n
		}
	}
	for _, test := range []struct {
		p    string
		from int
		want int
	}{
		{"", 0, -1}, {"\r\n\r\n", 0, 4}, {"\r\n\r\n", 1, 4}, {"\r\n\r\n", 3, 4}, {"\n\n", 0, -1},
		{"a\r\n\r", 0, -1}, {"a\r\r\n\r\n", 0, 6}, {"abc", 9, -1},
	} {
		if got := HeadEnd([]byte(test.p), test.from); got != test.want {
			t.Errorf("HeadEnd(%q, %d) = %d, want %d", test.p, test.from, got, test.want)
		}
	}
}

func TestParseRequest(t *testing.T) {
	head := []byte(upgradeHead("Authorization: Bearer x.y.z"))
	r, err := ParseRequest(head)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		got  []byte
		want string
	}{
		{"Method", r.Method, "GET"},
		{"Target", r.Target, "/v1/connect?token=a.b-c_d&device=phone"},
		{"Path", r.Path, "/v1/connect"},
		{"RawQuery", r.RawQuery, "token=a.b-c_d&device=phone"},
		{"Host", r.Host, "node1.example:8080"},
		{"Origin", r.Origin, "https://chat.example"},
		{"Authorization", r.Authorization, "Bearer x.y.z"},
	} {
		if string(test.got) != test.want {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
		if i := bytes.Index(head, test.got); i < 0 || &head[i] != &test.got[0] {
			t.Errorf("%s is not a slice of the head", test.name)
		}
	}
	if !r.IsUpgrade {
		t.Error("not seen as an upgrade")
	}
	if n := testing.AllocsPerRun(100, func() {
		r, err := ParseRequest(head)
		if err != nil || !r.IsUpgrade {
			t.Fatal(err)
		}
		for p := range r.Protocols() {
			if len(p) == 0 {
				t.Fatal("an empty protocol")
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPlainRequests(t *testing.T) {
	for _, test := range []struct {
		head              string
		method, path, raw string
	}{
		{"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/healthz", ""},
		{"GET /healthz HTTP/1.0\r\n\r\n", "GET", "/healthz", ""},
		{"HEAD / HTTP/1.1\r\nhost:h\r\n\r\n", "HEAD", "/", ""},
		{"GET /v1/route?user=a%20b HTTP/1.1\r\nHOST:\th \r\n\r\n", "GET", "/v1/route", "user=a%20b"},
		{"GET /?a=%41 HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", "a=%41"},
		{"GET /a?b?c HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/a", "b?c"},
		{"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "*", ""},
		{"POST /v1/route HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", "POST", "/v1/route", ""},
		{"GET http://h/path?q=1 HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/path", "q=1"},
		{"GET HTTPS://h:1?q=1 HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", "q=1"},
		{"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", ""},
		{"GET /proxy?to=http://h/x HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/proxy", "to=http://h/x"},
		{"GET /gr\xc3\xbc\xc3\x9fe HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/gr\xc3\xbc\xc3\x9fe", ""},
		{"GET / HTTP/1.1\r\nHost: h\r\nX-Latin: caf\xe9\r\n\r\n", "GET", "/", ""},
	} {
		r, err := ParseRequest([]byte(test.head))
		if err != nil {
			t.Errorf("%q: %v", test.head, err)
			continue
		}
		if string(r.Method) != test.method || string(r.Path) != test.path || string(r.RawQuery) != test.raw || r.IsUpgrade {
			t.Errorf("%q: %q %q %q, upgrade %v", test.head, r.Method, r.Path, r.RawQuery, r.IsUpgrade)
		}
		// The standard library reads it the same way.
		std, err := http.ReadRequest(bufio.NewReader(strings.NewReader(test.head)))
		if err != nil {
			t.Errorf("%q: net/http: %v", test.head, err)
			continue
		}
		if path := std.URL.EscapedPath(); std.Method != test.method || std.URL.RawQuery != test.raw ||
			path != test.path && !(path == "" && test.path == "/") && std.URL.Path != test.path {
			t.Errorf("%q: net/http reads %q %q %q", test.head, std.Method, path, std.URL.RawQuery)
		}
	}
}

func TestBadRequests(t *testing.T) {
	line := func(s string) string { return s + "\r\nHost: h\r\n\r\n" }
	field := func(s string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + s + "\r\n\r\n" }
	for _, test := range []struct {
		head string
		want Reason
	}{
		{"", ReasonMalformedRequest},
		{"\r\n\r\n", ReasonMalformedRequest},
		{line(""), ReasonMalformedRequest},
		{line("GET"), ReasonMalformedRequest},
		{line("GET /"), ReasonMalformedRequest},
		{line("GET  / HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /  HTTP/1.1"), ReasonMalformedRequest},
		{line("GET / HTTP/1.1 "), ReasonMalformedRequest},
		{line(" GET / HTTP/1.1"), ReasonMalformedRequest},
		{line("G(T / HTTP/1.1"), ReasonMalformedRequest},
		{line("GET path HTTP/1.1"), ReasonMalformedRequest},
		{line("GET ?q HTTP/1.1"), ReasonMalformedRequest},
		{line("GET ftp://h/ HTTP/1.1"), ReasonMalformedRequest},
		{line("GET http:/// HTTP/1.1"), ReasonMalformedRequest},
		{line("GET http:// HTTP/1.1"), ReasonMalformedRequest},
		{line("GET *? HTTP/1.1"), ReasonMalformedRequest},
		{line("CONNECT h:80 HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /a#b HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /a\tb HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /a\x00b HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /a\rb HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /a\x7fb HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /% HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /?a=%4 HTTP/1.1"), ReasonMalformedRequest},
		{line("GET /?a=%g0 HTTP/1.1"), ReasonMalformedRequest},
		{line("GET / http/1.1"), ReasonMalformedRequest},
		{line("GET / HTTP/1.:"), ReasonMalformedRequest},
		{line("GET / HTTP/11"), ReasonMalformedRequest},
		{line("GET / HTTP/1.10"), ReasonMalformedRequest},
		{line("GET / HTTP/2.0"), ReasonBadHTTPVersion},
		{line("GET / HTTP/0.9"), ReasonBadHTTPVersion},
		{"GET / HTTP/1.1\nHost: h\n\n", ReasonMalformedRequest},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", ReasonMalformedRequest},
		{"GET / HTTP/1.1\r\nHost: h\r\n", ReasonMalformedRequest},
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\nrest", ReasonMalformedRequest},
		{"GET / HTTP/1.1\r\nHost: h\r\n\n\r\n\r\n", ReasonMalformedRequest},
		{field("no colon"), ReasonMalformedRequest},
		{field(": no name"), ReasonMalformedRequest},
		{field("Space : before"), ReasonMalformedRequest},
		{field(" Folded: line"), ReasonMalformedRequest},
		{field("X: a\r\n folded"), ReasonMalformedRequest},
		{field("X: a\rb"), ReasonMalformedRequest},
		{field("X: a\x00b"), ReasonMalformedRequest},
		{field("X: a\nY: b"), ReasonMalformedRequest},
		{field("X\x80: y"), ReasonMalformedRequest},
		{field("Sec-WebSocket-Protocol: a b"), ReasonMalformedRequest},
		{field("Sec-WebSocket-Protocol: a, \"b\""), ReasonMalformedRequest},
		{field("Host: other"), ReasonBadHost},
		{"GET / HTTP/1.1\r\n\r\n", ReasonBadHost},
		{field("Origin: a\r\nOrigin: a"), ReasonDuplicateField},
		{field("Authorization: a\r\nauthorization: b"), ReasonDuplicateField},
		{field("Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: a"), ReasonDuplicateField},
		{field("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13"), ReasonDuplicateField},
		{field("X: " + strings.Repeat("x", MaxHead)), ReasonHeadTooLong},
	} {
		_, err := ParseRequest([]byte(test.head))
		if e, ok := err.(*RequestError); !ok || e.Reason != test.want {
			t.Errorf("%.60q: got %v, want %s", test.head, err, test.want)
		}
		if _, err := Upgrade([]byte(test.head), "", nil); err == nil {
			t.Errorf("%.60q: upgraded", test.head)
		}
	}
}

func TestLongestHead(t *testing.T) {
	head := upgradeHead("Cookie: x")
	head = upgradeHead("Cookie: " + strings.Repeat("x", MaxHead-len(head)+1))
	if len(head) != MaxHead {
		t.Fatalf("the head has %d bytes", len(head))
	}
	if _, err := ParseRequest([]byte(head)); err != nil {
		t.Errorf("%d bytes: %v", len(head), err)
	}
	if _, err := Upgrade([]byte(head), "godwit.v1.json", nil); err != nil {
		t.Errorf("%d bytes: %v", len(head), err)
	}
}

func TestIsUpgrade(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  bool
	}{
		{nil, true},
		{[]string{"Connection: upgrade"}, true},
		{[]string{"Upgrade: WebSocket"}, true},
		{[]string{"Upgrade: h2c, websocket"}, true},
		{[]string{"Connection: keep-alive"}, false},
		{[]string{"Connection:"}, false},
		{[]string{"Upgrade: h2c"}, false},
		{[]string{"Upgrade:"}, false},
	} {
		r, err := ParseRequest([]byte(upgradeHead(test.lines...)))
		if err != nil || r.IsUpgrade != test.want {
			t.Errorf("%q: %v, %v", test.lines, r.IsUpgrade, err)
		}
	}
}

func TestProtocols(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  []string
	}{
		{[]string{"Sec-WebSocket-Protocol:"}, nil},
		{[]string{"Sec-WebSocket-Protocol: a"}, []string{"a"}},
		{[]string{"Sec-WebSocket-Protocol: a,b ,\tc"}, []string{"a", "b", "c"}},
		{[]string{"Sec-WebSocket-Protocol: ,a,, b,"}, []string{"a", "b"}},
		{[]string{"Sec-WebSocket-Protocol: a, b", "sec-websocket-protocol: c"}, []string{"a", "b", "c"}},
	} {
		r, err := ParseRequest([]byte(upgradeHead(test.lines...)))
		if err != nil {
			t.Errorf("%q: %v", test.lines, err)
			continue
		}
		var got []string
		for p := range r.Protocols() {
			got = append(got, string(p))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.lines, got, test.want)
		}
		for p := range r.Protocols() {
			if string(p) != test.want[0] {
				t.Errorf("%q: first is %q", test.lines, p)
			}
			break
		}
	}
	var empty Request
	for p := range empty.Protocols() {
		t.Errorf("the zero Request offers %q", p)
	}
}
