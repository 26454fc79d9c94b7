package e2e

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const upgradeRequest = "GET / HTTP/1.1\r\nHost: peers\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func (p *process) connect() net.Conn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.ready.Addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// TestGnetBareInPieces sends a request and frames a byte at a time, and then all at
// once.
func TestGnetBareInPieces(t *testing.T) {
	p := start(t, "gnet-bare")
	sent := []byte(upgradeRequest)
	sent = append(sent, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("one"))))...)
	sent = append(sent, ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("two"))))...)
	sent = append(sent, ws.MustCompileFrame(ws.MaskFrame(ws.NewPongFrame([]byte("unanswered"))))...)
	sent = append(sent, ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(payload(300))))...)
	sent = append(sent, ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))))...)
	for name, piece := range map[string]int{"a byte at a time": 1, "at once": len(sent)} {
		t.Run(name, func(t *testing.T) {
			c := p.connect()
			for rest := sent; len(rest) > 0; rest = rest[piece:] {
				if _, err := c.Write(rest[:piece]); err != nil {
					t.Fatal(err)
				}
			}
			in := bufio.NewReader(c)
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Fatalf("answered with %+v", answer)
			}
			got := &client{c, in}
			for _, want := range []struct {
				op   ws.OpCode
				body []byte
			}{
				{ws.OpText, []byte("one")},
				{ws.OpPong, []byte("two")},
				{ws.OpBinary, payload(300)},
				{ws.OpClose, ws.NewCloseFrameBody(1000, "bye")},
			} {
				if err := got.want(want.op, want.body); err != nil {
					t.Fatal(err)
				}
			}
			if b, err := io.ReadAll(in); err != nil || len(b) > 0 {
				t.Errorf("after the close frame: %q, %v", b, err)
			}
		})
	}
	p.quit()
}

// TestGnetBareCloses sends what it must not take.
func TestGnetBareCloses(t *testing.T) {
	p := start(t, "gnet-bare")
	unmasked := ws.MustCompileFrame(ws.NewTextFrame([]byte("unmasked")))
	var large bytes.Buffer
	if err := ws.WriteHeader(&large, ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Length: 1<<20 + 1}); err != nil {
		t.Fatal(err)
	}
	for name, sent := range map[string]string{
		"a request without end": strings.Repeat("x", 8<<10+1),
		"no upgrade":            "GET / HTTP/1.1\r\nHost: peers\r\n\r\n",
		"an unmasked frame":     upgradeRequest + string(unmasked),
		"too large a frame":     upgradeRequest + large.String(),
	} {
		c := p.connect()
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v, want the end of the connection", name, err)
		}
	}
	// It still serves.
	if err := echoedFrame(p.dial(), []byte("hello")); err != nil {
		t.Error(err)
	}
	p.quit()
}

// TestEndOfInput ends a peer as a driver does that is gone: in the middle of a push
// that nobody reads.
func TestEndOfInput(t *testing.T) {
	for _, name := range []string{"gnet-bare", "write-loop"} {
		p := start(t, name)
		c := p.dial()
		p.awaitConns(1)
		p.send(`{"cmd":"push","size":1000000,"count":1000,"batch":1}`)
		// The push has begun when its first frame is here.
		if _, _, err := wsutil.ReadServerData(c); err != nil {
			t.Fatal(err)
		}
		if err := p.in.Close(); err != nil {
			t.Fatal(err)
		}
		if why := p.answerError(); !strings.Contains(why, "canceled") {
			t.Errorf("%s: the push ended with %q", name, why)
		}
		p.ended()
	}
}
