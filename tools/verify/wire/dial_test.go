package wire

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// script is what a server writes: its answer to the request for an upgrade, in which
// ACCEPT stands for the key's answer, and then bytes. Then it reads until the client
// is gone, and returns what it has read.
type script struct {
	head  string
	then  []byte
	asked chan struct{} // closed when the request has come, unless it is nil
}

const upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: godwit.v1.json\r\n\r\n"

const welcomeText = `{"type":"welcome","session":"00c0ffee00000001","user":"alice","node":"node-1","map_version":7,"cursor":"c0",` +
	`"limits":{"body_bytes":65536,"recipients":64,"queue_messages":256,"queue_bytes":1048576,"in_flight":256,` +
	`"page_messages":100,"start_messages":1000},"heartbeat_ms":60000}`

// text is a text message of a server.
func text(s string) []byte { return serverFrame(true, opText, s) }

func closing(code int, reason string) []byte {
	return serverFrame(true, opClose, string(closePayload(code))+reason)
}

// start runs the script for one client and returns where, and what the client wrote
// after its request.
func (s script) start(t *testing.T) (url string, wrote <-chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan []byte, 1)
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		defer close(result)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if s.asked != nil {
			close(s.asked)
		}
		head := strings.ReplaceAll(s.head, "ACCEPT", acceptOf(req))
		if _, err := conn.Write(append([]byte(head), s.then...)); err != nil {
			return
		}
		if s.then == nil && s.head != "" {
			return
		}
		all, _ := io.ReadAll(r) // until the client has gone, however it goes
		result <- all
	}()
	return "ws://" + l.Addr().String() + "/v1/connect", result
}

// acceptOf is the answer to the key of a request.
func acceptOf(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func dialScript(t *testing.T, s script, o Options) (*Conn, <-chan []byte, error) {
	t.Helper()
	url, wrote := s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.URL, o.Token, o.User, o.Format = url, "token", "alice", JSON
	c, err := Dial(ctx, o)
	if err == nil {
		t.Cleanup(c.Cut)
	}
	return c, wrote, err
}

// TestHandshake has servers answer a request for an upgrade in ways that are wrong.
func TestHandshake(t *testing.T) {
	for name, change := range map[string][2]string{
		"another key":       {"ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		"another protocol":  {"v1.json", "v1.proto"},
		"no protocol":       {"Sec-WebSocket-Protocol: godwit.v1.json\r\n", ""},
		"two protocols":     {"v1.json\r\n", "v1.json\r\nSec-WebSocket-Protocol: godwit.v1.proto\r\n"},
		"extension":         {"v1.json\r\n", "v1.json\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"},
		"another upgrade":   {"Upgrade: websocket", "Upgrade: h2c"},
		"no upgrade":        {"Connection: Upgrade", "Connection: close"},
		"no HTTP":           {"HTTP/1.1", "SMTP"},
		"a head of any":     {"\r\n\r\n", "\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n"},
		"status of any":     {"101 Switching Protocols", "200 OK"},
		"redirect":          {"101 Switching Protocols", "302 Found"},
		"a 503 at any time": {"101 Switching Protocols", "503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			head := strings.Replace(upgraded, change[0], change[1], 1)
			if head == upgraded {
				t.Fatal("nothing is changed")
			}
			_, _, err := dialScript(t, script{head: head}, Options{})
			var v *Violation
			if r := (*Refusal)(nil); errors.As(err, &r) && len(r.Violations) > 0 {
				v = r.Violations[0]
			} else if !errors.As(err, &v) {
				t.Fatalf("error %v", err)
			}
			if v.Rule != RuleHandshake {
				t.Error(v)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	answer := func(status, headers, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, headers, len(body), body)
	}
	here := "Godwit-Node-Url: wss://node-2.example/v1/connect\r\nGodwit-Map-Version: 8\r\n"
	moved := Refusal{Status: 421, Code: "not_owner", Sentence: "go", URL: "wss://node-2.example/v1/connect", MapVersion: 8}
	byFrames := Refusal{CloseCode: 4201, Code: "not_owner", Sentence: "go", URL: moved.URL, MapVersion: 8, RetryAfter: 250 * time.Millisecond}
	movedText := text(`{"type":"moved","url":"wss://node-2.example/v1/connect","node":"node-2","map_version":8,"retry_after_ms":250}`)
	errorText := text(`{"type":"error","code":"not_owner","message":"go"}`)
	for name, test := range map[string]struct {
		script script
		want   Refusal
		broken bool
	}{
		"421":             {script{head: answer("421 Misdirected", here, "not_owner: go\n")}, moved, false},
		"421 to nowhere":  {script{head: answer("421 Misdirected", "Godwit-Map-Version: 8\r\n", "not_owner: go\n")}, Refusal{Status: 421, Code: "not_owner", Sentence: "go", MapVersion: 8}, true},
		"503":             {script{head: answer("503 No", "Retry-After: 5\r\n", "overloaded: full\n")}, Refusal{Status: 503, Code: "overloaded", Sentence: "full", RetryAfter: 5 * time.Second}, false},
		"503 for ever":    {script{head: answer("503 No", "", "overloaded: full\n")}, Refusal{Status: 503, Code: "overloaded", Sentence: "full"}, true},
		"503 for nothing": {script{head: answer("503 No", "Retry-After: 5\r\n", "full\n")}, Refusal{Status: 503, Sentence: "full", RetryAfter: 5 * time.Second}, true},
		"400 and a code":  {script{head: answer("400 No", "", "unknown_cursor: the log is new\n")}, Refusal{Status: 400, Code: "unknown_cursor", Sentence: "the log is new"}, false},
		"404":             {script{head: answer("404 No", "", "nothing here: go away\n")}, Refusal{Status: 404, Sentence: "nothing here: go away"}, false},
		"404, no word":    {script{head: answer("404 No", "", "")}, Refusal{Status: 404}, true},
		"two lines":       {script{head: answer("404 No", "", "nothing\nhere\n")}, Refusal{Status: 404, Sentence: "nothing\nhere"}, true},
		"418":             {script{head: answer("418 Teapot", "", "policy: short\n")}, Refusal{Status: 418, Code: "policy", Sentence: "short"}, true},
		"frames":          {script{head: upgraded, then: join(movedText, errorText, closing(4201, "not_owner"))}, byFrames, false},
		"frames, odd end": {script{head: upgraded, then: join(movedText, errorText, closing(4999, ""))}, Refusal{CloseCode: 4999, Code: "not_owner", Sentence: "go", URL: moved.URL, MapVersion: 8, RetryAfter: 250 * time.Millisecond}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := dialScript(t, test.script, Options{})
			var r *Refusal
			if !errors.As(err, &r) {
				t.Fatalf("error %v", err)
			}
			if (len(r.Violations) > 0) != test.broken {
				t.Errorf("violations %v", r.Violations)
			}
			if events := RefusedEvents(&Options{User: "alice"}, err); len(events) != 1+len(r.Violations) {
				t.Errorf("events %v", events)
			}
			got := *r
			got.Violations = nil
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// TestNoWelcome has servers begin with something else than a welcome.
func TestNoWelcome(t *testing.T) {
	for name, test := range map[string]struct {
		then []byte
		rule Rule // empty if the network is to blame
	}{
		"no frame at all":    {text(`{}`), RuleEncoding},
		"a pong":             {text(`{"type":"pong"}`), RuleWelcome},
		"after an error":     {join(text(`{"type":"error","code":"internal"}`), text(welcomeText)), RuleWelcome},
		"no WebSocket frame": {[]byte("HTTP"), RuleSocket},
		"half a close":       {serverFrame(true, opClose, "x"), RuleSocket},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := dialScript(t, script{head: upgraded, then: test.then}, Options{})
			v, ok := err.(*Violation)
			if !ok || v.Rule != test.rule {
				t.Errorf("error %v, want one of rule %q", err, test.rule)
			}
		})
	}
	for name, s := range map[string]script{
		"nothing":         {head: "HTTP/1.1 101 Sw"},
		"half a refusal":  {head: "HTTP/1.1 421 Misdirected\r\nContent-Length: 100\r\n\r\nnot_ow"},
		"only an upgrade": {head: upgraded},
	} {
		_, _, err := dialScript(t, s, Options{})
		if v, r := (*Violation)(nil), (*Refusal)(nil); err == nil || errors.As(err, &v) || errors.As(err, &r) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestTLS connects through TLS to a server that is known, and to one that is not.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Sec-WebSocket-Accept", acceptOf(r))
		w.Header().Set("Sec-WebSocket-Protocol", r.Header.Get("Sec-WebSocket-Protocol"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = conn.Write(join(text(welcomeText), closing(1012, ""))) // the client tells if it does not come
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the client that does not trust it
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	o := Options{URL: "wss://" + s.Listener.Addr().String() + "/v1/connect", Token: "token", User: "alice", Format: JSON}
	if _, err := Dial(t.Context(), o); err == nil {
		t.Error("a server that nobody knows is trusted")
	}
	o.TLS = &tls.Config{RootCAs: roots}
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if frame, err := c.Next(); frame != nil || !strings.Contains(err.Error(), "1012") {
		t.Errorf("%v, %v", frame, err)
	}
}

// TestDialEnds gives up on a server that takes the request and says nothing.
func TestDialEnds(t *testing.T) {
	asked := make(chan struct{})
	url, _ := script{then: []byte{}, asked: asked}.start(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		<-asked
		cancel(enough)
	}()
	if _, err := Dial(ctx, Options{URL: url, User: "alice", Format: JSON}); !errors.Is(err, enough) {
		t.Fatalf("error %v", err)
	}
}

// TestStream has a server send what is right and what is wrong, and looks at what comes
// out of it, and at what the client answers.
func TestStream(t *testing.T) {
	for name, test := range map[string]struct {
		then []byte
		want string // frames, violations as their rules, and the end
		said []piece
	}{
		"pings and a close": {
			join(text(`{"type":"heartbeat","seq":0,"cursor":"c"}`), serverFrame(true, opPing, "are you there"), closing(1012, "bye")),
			"*wire.Heartbeat 1012",
			[]piece{{opPong, "are you there"}, {opClose, "\x03\xf4"}},
		},
		"violations follow their frame": {
			join(text(`{"type":"pong","x":1}`), text(`[]`), text(`{"type":"pong"}`), closing(1000, "")),
			"*wire.Pong encoding pong encoding *wire.Pong pong close 1000",
			[]piece{{opClose, "\x03\xe8"}},
		},
		"moved": {
			join(text(`{"type":"moved","url":"ws://n/v1/connect","node":"n","map_version":8}`), closing(4200, "moved")),
			"*wire.Moved 4200",
			[]piece{{opClose, "\x10\x68"}},
		},
		"close without a code": {serverFrame(true, opClose, ""), "close 1005", []piece{{opClose, ""}}},
		"framing": {
			join(text(`{"type":"error","code":"slow"}`), []byte{0x7f, 0xff}, text(`{"type":"pong"}`)),
			"*wire.Error websocket 0",
			[]piece{{opClose, "\x03\xea"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, wrote, err := dialScript(t, script{head: upgraded, then: join(text(welcomeText), test.then)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for {
				frame, err := c.Next()
				if end := (*End)(nil); errors.As(err, &end) {
					got = append(got, fmt.Sprint(end.Code))
					break
				}
				if v, ok := frame.(*Violation); ok {
					got = append(got, string(v.Rule))
				} else {
					got = append(got, fmt.Sprintf("%T", frame))
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			_, said := unmask(t, <-wrote)
			pieces, err := readAll(said, opText, 1000)
			if err != io.EOF || fmt.Sprint(pieces) != fmt.Sprint(test.said) {
				t.Errorf("the client said %q, %v; want %q", pieces, err, test.said)
			}
			if _, err := c.Next(); err == nil {
				t.Error("something follows the end")
			}
		})
	}
}

// TestPaused ends connections whose reader waits for a pace.
func TestPaused(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"cut":   (*Conn).Cut,
		"close": func(c *Conn) { _ = c.Close() },
		"slow":  func(c *Conn) { c.SetPace(1 << 20) },
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := dialScript(t, script{head: upgraded, then: text(welcomeText)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			c.SetPace(NoPace)
			go func() {
				end(c)
				c.Cut()
			}()
			if frame, err := c.Next(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v, %v", frame, err)
			}
		})
	}
}
