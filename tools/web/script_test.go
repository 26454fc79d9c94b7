package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/godwit-im/godwit/tools/web"
)

// script is a server that does what the test says: it serves the pages, gives out
// tokens that nobody checks, and hands the test each WebSocket.
type script struct {
	t      *testing.T
	server *httptest.Server
	conns  chan *conn
	asked  chan struct{}                  // gets one for each question for the route
	route  atomic.Pointer[map[string]any] // the answer, nil for none
}

func newScript(t *testing.T) *script {
	s := &script{t: t, conns: make(chan *conn, 16), asked: make(chan struct{}, 1000)}
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>empty</title><link rel=icon href=icon.svg>")
	})
	mux.HandleFunc("/dev/token", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"token":%s,"url":%s}`, quote("token-of-"+r.FormValue("user")), quote(s.ws()))
	})
	mux.HandleFunc("/v1/connect", s.connect)
	mux.HandleFunc("/v1/route", func(w http.ResponseWriter, r *http.Request) {
		s.asked <- struct{}{}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		route := s.route.Load()
		if route == nil || r.FormValue("user") != "alice" {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		json.NewEncoder(w).Encode(*route)
	})
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

// tell sets the answer to the question for the route.
func (s *script) tell(node string, at *script, version int) {
	s.route.Store(&map[string]any{"user": "alice", "node": node, "url": at.ws() + "/v1/connect", "map_version": version})
}

// moves tells the client to move.
func (c *conn) moves(node string, at *script, version, retryAfter int) {
	c.t.Helper()
	c.send(map[string]any{"type": "moved", "url": at.ws() + "/v1/connect", "node": node, "map_version": version, "retry_after_ms": retryAfter})
}

// goodbye waits for the client's close frame, answers it, and ends the connection.
func (c *conn) goodbye() {
	c.t.Helper()
	c.net.SetDeadline(time.Now().Add(patience))
	for {
		if _, err := wsutil.ReadClientText(c.net); err != nil {
			if closed := (wsutil.ClosedError{}); !errors.As(err, &closed) {
				c.t.Fatalf("the connection ended with %v, want a close frame", err)
			}
			break
		}
	}
	c.net.Close()
}

// urls returns the seeds for a client, in JavaScript.
func urls(scripts ...*script) string {
	var all []string
	for _, s := range scripts {
		all = append(all, quote(s.ws()))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func (s *script) url(path string) string { return s.server.URL + path }
func (s *script) ws() string             { return "ws" + strings.TrimPrefix(s.server.URL, "http") }

// conn is the server's end of a WebSocket.
type conn struct {
	t         *testing.T
	net       net.Conn
	protocols string // what the client offered
	query     map[string][]string
}

func (s *script) connect(w http.ResponseWriter, r *http.Request) {
	upgrader := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "godwit.v1.json" }}
	c, _, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		s.t.Errorf("upgrade: %v", err)
		return
	}
	s.conns <- &conn{t: s.t, net: c, protocols: strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ", "), query: r.URL.Query()}
}

// accept returns the next WebSocket that a client opens.
func (s *script) accept() *conn {
	s.t.Helper()
	select {
	case c := <-s.conns:
		s.t.Cleanup(func() { c.net.Close() })
		return c
	case <-time.After(patience):
		s.t.Fatal("no client connects")
		return nil
	}
}

// welcome accepts the next client and welcomes it.
func (s *script) welcome(changes ...func(welcome, limits map[string]any)) *conn {
	s.t.Helper()
	c := s.accept()
	limits := map[string]any{
		"body_bytes": 65536, "recipients": 64, "queue_messages": 256, "queue_bytes": 1 << 20,
		"in_flight": 256, "sends_per_second": 0,
	}
	frame := map[string]any{
		"type": "welcome", "session": "00000000000000aa", "user": "alice", "node": "node-1", "map_version": 7,
		"cursor": "c0", "resumed": false, "limits": limits, "heartbeat_ms": 60000,
	}
	for _, change := range changes {
		change(frame, limits)
	}
	c.send(frame)
	return c
}

// send sends a frame.
func (c *conn) send(frame map[string]any) {
	c.t.Helper()
	b, err := json.Marshal(frame)
	if err != nil {
		c.t.Fatal(err)
	}
	c.net.SetWriteDeadline(time.Now().Add(patience))
	if err := wsutil.WriteServerText(c.net, b); err != nil {
		c.t.Fatalf("the client does not take a frame: %v", err)
	}
}

// ack answers a send.
func (c *conn) ack(send map[string]any, status, code string) {
	c.t.Helper()
	frame := map[string]any{"type": "ack", "id": send["id"], "status": status}
	if code != "" {
		frame["code"] = code
	}
	if status == "stored" {
		frame["message_id"], frame["time"] = strings.Repeat("ab", 16), 1700000000000
	}
	c.send(frame)
}

// deliver sends a message of bob to alice.
func (c *conn) deliver(seq int, body string) {
	c.t.Helper()
	c.deliverAt(seq, seq, body)
}

// deliverAt is deliver for a message at another place in the timeline.
func (c *conn) deliverAt(seq, place int, body string) {
	c.t.Helper()
	c.send(map[string]any{
		"type": "deliver", "seq": seq, "cursor": fmt.Sprint("c", place), "time": 1700000000000 + place,
		"message_id": fmt.Sprintf("%032x", place), "from": "bob", "to": []string{"alice"},
		"id": fmt.Sprint("b", place), "kind": "message", "body": body,
	})
}

// read returns the next frame of the client.
func (c *conn) read() map[string]any {
	c.t.Helper()
	c.net.SetReadDeadline(time.Now().Add(patience))
	b, err := wsutil.ReadClientText(c.net)
	if err != nil {
		c.t.Fatalf("no frame of the client: %v", err)
	}
	var frame map[string]any
	if err := json.Unmarshal(b, &frame); err != nil {
		c.t.Fatalf("%q: %v", b, err)
	}
	return frame
}

// readSend returns the next frame, which must be a send.
func (c *conn) readSend() map[string]any {
	c.t.Helper()
	frame := c.read()
	if frame["type"] != "send" {
		c.t.Fatalf("the client sent %v, want a send", frame)
	}
	return frame
}

// readHistory returns the next frame, which must be a request for a page.
func (c *conn) readHistory() map[string]any {
	c.t.Helper()
	frame := c.read()
	if frame["type"] != "history" {
		c.t.Fatalf("the client sent %v, want a history", frame)
	}
	return frame
}

// page answers a request with messages, of which each need only say what is special.
func (c *conn) page(request map[string]any, messages ...map[string]any) {
	c.t.Helper()
	for i, m := range messages {
		for name, value := range map[string]any{
			"cursor": fmt.Sprint("h", i), "time": 1600000000000, "message_id": fmt.Sprint("h", i), "from": "bob",
			"to": []string{"alice"}, "id": fmt.Sprint("h", i), "kind": "message",
		} {
			if m[name] == nil {
				m[name] = value
			}
		}
	}
	if messages == nil {
		messages = []map[string]any{}
	}
	c.send(map[string]any{
		"type": "history_page", "id": request["id"], "messages": messages, "after": "h9", "before": "h0",
		"more_after": false, "more_before": false,
	})
}

// close ends the connection with a close frame and waits for the answer.
func (c *conn) close(code ws.StatusCode, reason string) {
	c.t.Helper()
	c.net.SetDeadline(time.Now().Add(patience))
	if err := ws.WriteFrame(c.net, ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason))); err != nil {
		c.t.Fatalf("close: %v", err)
	}
	for {
		h, err := ws.ReadHeader(c.net)
		if err == nil {
			_, err = io.CopyN(io.Discard, c.net, h.Length)
		}
		if err != nil {
			c.t.Fatalf("no answer to a close: %v", err)
		}
		if h.OpCode == ws.OpClose {
			break
		}
	}
	c.net.Close() // the server's end closes first (RFC 6455, section 7.1.1)
}

// drop ends the connection without a word.
func (c *conn) drop() { c.net.Close() }
