package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// tape is a connection to a server that says something and hangs up.
type tape struct{ io.Reader }

func (tape) Write(p []byte) (int, error)      { return len(p), nil }
func (tape) Close() error                     { return nil }
func (tape) LocalAddr() net.Addr              { return nil }
func (tape) RemoteAddr() net.Addr             { return nil }
func (tape) SetDeadline(time.Time) error      { return nil }
func (tape) SetReadDeadline(time.Time) error  { return nil }
func (tape) SetWriteDeadline(time.Time) error { return nil }

// Whatever a server sends after the handshake, the client comes to an end, and what it
// tells the callbacks is in order.
func FuzzReceive(f *testing.F) {
	var (
		welcome = codec.AppendWelcome(nil, codec.Proto, &codec.Welcome{User: "alice", Limits: codec.SessionLimits{InFlight: 3, SendsPerSecond: 1}})
		m       = backplane.Message{From: []byte("bob"), To: [][]byte{[]byte("alice")}, ID: []byte("m1"), Body: []byte("hi")}
		deliver = append(codec.AppendDeliverHead(nil, codec.Proto, 1, true), codec.AppendDeliverTail(nil, codec.Proto, backplane.Position{}, 1, &m, backplane.AppendMessage(nil, &m), true)...)
		gap     = codec.AppendGap(nil, codec.Proto, &codec.Gap{FromSeq: 2, ToSeq: 5, Reason: codec.GapOutboxFull})
		gone    = codec.AppendGap(nil, codec.Proto, &codec.Gap{FromSeq: 1, ToSeq: 1, Reason: codec.GapRetention, After: []byte("a"), Before: []byte("b")})
		page    = codec.AppendPageRefusal(nil, codec.Proto, []byte("h1"), codec.CodeNoHistory)
		beat    = codec.AppendHeartbeat(nil, codec.Proto, &codec.Heartbeat{Seq: 5})
		ack     = codec.AppendAck(nil, codec.Proto, &codec.Ack{ID: []byte("m1"), Status: backplane.Stored})
		moved   = codec.AppendMoved(nil, codec.Proto, &codec.Moved{URL: "ws://n", RetryAfter: time.Hour})
		fault   = codec.AppendError(nil, codec.Proto, &codec.ErrorFrame{Code: codec.CodeInternal})
	)
	seed := func(payloads ...[]byte) {
		var p []byte
		for _, payload := range payloads {
			p = append(p, gobwas.MustCompileFrame(gobwas.NewBinaryFrame(payload))...)
		}
		f.Add(append(p, gobwas.CompiledCloseGoingAway...))
	}
	seed(welcome, deliver, gap, beat, ack, moved, fault)
	seed(moved, welcome, welcome)
	seed(welcome, gone, deliver, page, beat)
	seed(welcome, deliver, deliver, ack)
	f.Add(gobwas.MustCompileFrame(gobwas.NewPingFrame([]byte("x"))))
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := New(Options{URLs: []string{"ws://n"}, Token: StaticToken("t"), Dial: nowhere, OnMessage: func(Message) {}, OnGap: func(Gap) {}, OnGone: func(Gone) {}, OnError: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); c.events.run() }()
		r := runner{Client: c, at: c.nodes.next()}
		ctx, cancel := context.WithCancel(t.Context())
		k := newConn(tape{strings.NewReader(string(p))}, r.at, codec.Proto, "t", nil)
		err = k.awaitWelcome()
		if err == nil {
			err = r.receive(ctx, k)
		}
		if err == nil {
			t.Error("a connection that is over goes on")
		}
		cancel()
		if m := k.takeMove(true); m != nil {
			m.abandon()
		}
		r.helpers.Wait()
		k.end()
		c.events.close()
		<-done
	})
}

func nowhere(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("no route to host")
}

// Whatever a server answers to the request, the client understands that it is no upgrade,
// and what it repeats of it is printable.
func FuzzResponse(f *testing.F) {
	f.Add("HTTP/1.1 401 Unauthorized\r\nContent-Length: 20\r\n\r\nunauthorized: no way")
	f.Add("HTTP/1.1 421 Misdirected Request\r\nGodwit-Node-Url: ws://n\r\n\r\n")
	f.Add("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 999999999\r\n\r\n\x1b[31m")
	f.Add("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		early, err := readResponse(tape{strings.NewReader(text)}, [16]byte{}, "godwit.v1.proto")
		if err == nil {
			t.Fatalf("an upgrade was found in %q, with %q behind it", text, early)
		}
		if r, ok := err.(*RefusedError); ok && (r.Status == http.StatusSwitchingProtocols || r.RetryAfter < 0 || strings.ContainsAny(err.Error(), "\x1b\r\n\x00")) {
			t.Errorf("the error is %q", err)
		}
	})
}
