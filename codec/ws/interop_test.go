package ws

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// The tests of this file talk to another implementation, the reading and writing side
// of gobwas/ws, of which this package uses only the header check, the cipher and the
// upgrader.

// serveOnce is a server's connection from the first byte: it upgrades with protocol,
// echoes messages, answers pings, and returns after the close frame.
func serveOnce(conn net.Conn, protocol string) error {
	defer conn.Close()
	var r Reader
	defer r.Release()
	var in []byte
	open := false
	for from := 0; ; {
		buf := make([]byte, 700)
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		in = append(in, buf[:n]...)
		if !open {
			end := HeadEnd(in, from)
			if from = len(in); end < 0 {
				continue
			}
			response, err := Upgrade(in[:end], protocol, nil)
			if e, ok := err.(*RequestError); ok {
				conn.Write(e.Append(nil))
				return err
			}
			if _, err := conn.Write(response); err != nil {
				return err
			}
			in, open = in[end:], true
		}
		for {
			ev, n, ok, err := r.Next(in, server)
			if err != nil {
				return err
			}
			in = in[n:]
			if !ok {
				break
			}
			var out []byte
			switch ev.Op {
			case Text, Binary:
				out = AppendFrame(nil, ev.Op, ev.Payload)
			case Ping:
				out = AppendFrame(nil, Pong, ev.Payload)
			case Close:
				_, err := conn.Write(AppendClose(nil, ev.Code, string(ev.Payload)))
				return err
			}
			if _, err := conn.Write(out); err != nil {
				return err
			}
		}
	}
}

func TestForeignClient(t *testing.T) {
	here, there := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- serveOnce(there, "godwit.v1.proto") }()
	dialer := gobwas.Dialer{
		Protocols: []string{"godwit.v1.json", "godwit.v1.proto"},
		NetDial:   func(context.Context, string, string) (net.Conn, error) { return here, nil },
	}
	conn, _, hs, err := dialer.Dial(context.Background(), "ws://example/v1/connect?device=x")
	if err != nil {
		t.Fatal(err)
	}
	if hs.Protocol != "godwit.v1.proto" {
		t.Errorf("the client got protocol %q", hs.Protocol)
	}
	for _, size := range []int{0, 1, 125, 126, 5000, 65535, 65536, 200000} {
		message := []byte(strings.Repeat("é∈", size)[:size/5*5])
		// The writes go on while the echo is read: a pipe has no buffer.
		sent := make(chan error, 1)
		go func() {
			w := wsutil.NewWriterSize(conn, gobwas.StateClientSide, gobwas.OpText, 4096)
			_, err := w.Write(message)
			sent <- errors.Join(err, w.Flush())
		}()
		got, op, err := wsutil.ReadServerData(conn)
		if err := errors.Join(err, <-sent); err != nil {
			t.Fatal(err)
		}
		if op != gobwas.OpText || !bytes.Equal(got, message) {
			t.Errorf("size %d: got %d bytes with opcode %d", size, len(got), op)
		}
	}
	for _, f := range []gobwas.Frame{
		gobwas.NewPingFrame([]byte("ping")),
		gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(1001, "bye")),
	} {
		if err := gobwas.WriteFrame(conn, gobwas.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
		h, err := gobwas.ReadHeader(conn)
		if err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(conn, payload); err != nil {
			t.Fatal(err)
		}
		want := f.Header.OpCode
		if want == gobwas.OpPing {
			want = gobwas.OpPong
		}
		if h.OpCode != want || !bytes.Equal(payload, f.Payload) {
			t.Errorf("sent %v, got %v with %q", f, h, payload)
		}
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// TestForeignServer sends what AppendRequest and AppendMasked make to the foreign
// upgrader and reader.
func TestForeignServer(t *testing.T) {
	here, there := net.Pipe()
	type result struct {
		got string
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer there.Close()
		hs, err := gobwas.Upgrader{Protocol: func(p []byte) bool { return string(p) == "b" }}.Upgrade(there)
		if err == nil && hs.Protocol != "b" {
			err = errors.New("protocol " + hs.Protocol)
		}
		if err != nil {
			done <- result{"", err}
			return
		}
		got, _, err := wsutil.ReadClientData(there)
		err = errors.Join(err, wsutil.WriteServerText(there, []byte("answer")))
		done <- result{string(got), err}
	}()
	if _, err := here.Write(AppendRequest(nil, "h", "/", rfcKey, []string{"a", "b"})); err != nil {
		t.Fatal(err)
	}
	response := make([]byte, 0, MaxHead)
	for HeadEnd(response, 0) < 0 {
		n, err := here.Read(response[len(response):cap(response)])
		if err != nil {
			t.Fatal(err)
		}
		response = response[:len(response)+n]
	}
	if protocol, err := ParseResponse(response, rfcKey, []string{"a", "b"}); err != nil || protocol != "b" {
		t.Fatalf("protocol %q, %v", protocol, err)
	}
	message := strings.Repeat("hello ", 30)
	if _, err := here.Write(AppendMasked(nil, Text, []byte(message), [4]byte{1, 2, 3, 4})); err != nil {
		t.Fatal(err)
	}
	input, err := io.ReadAll(here)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, client, input); !slices.Equal(got.events, []string{event(Text, "answer")}) {
		t.Errorf("got %v", got)
	}
	if r := <-done; r.err != nil || r.got != message {
		t.Errorf("the server got %q, %v", r.got, r.err)
	}
}

// TestForeignWriter reads random messages, in random fragments with control frames
// between them, that gobwas has written for either end.
func TestForeignWriter(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		lim := server
		if seed%2 == 1 {
			lim = client
		}
		var input bytes.Buffer
		var want []string
		write := func(op gobwas.OpCode, fin bool, payload []byte) {
			f := gobwas.NewFrame(op, fin, payload)
			if !lim.Client {
				f = gobwas.MaskFrame(f)
			}
			if err := gobwas.WriteFrame(&input, f); err != nil {
				t.Fatal(err)
			}
		}
		for range 1 + rng.IntN(8) {
			op := Text
			message := []byte(strings.Repeat("añ∈😀", rng.IntN(100)))
			if rng.IntN(2) == 0 {
				op = Binary
				message = bytes.Repeat([]byte{0xff, 0, 0x80}, rng.IntN(200))
			}
			parts := randomly(rng, message, 40)
			for i, part := range append(parts, nil) {
				frame := gobwas.OpCode(op)
				if i > 0 {
					frame = gobwas.OpContinuation
				}
				write(frame, i == len(parts), part)
				if i < len(parts) && rng.IntN(4) == 0 {
					ping := make([]byte, rng.IntN(MaxControl+1))
					write(gobwas.OpPing, true, ping)
					want = append(want, event(Ping, string(ping)))
				}
			}
			want = append(want, event(op, string(message)))
		}
		got := read(t, &Limits{MessageBytes: 1 << 20, Fragments: 1 << 20, Client: lim.Client},
			randomly(rng, input.Bytes(), 1+rng.IntN(300))...)
		if got.reason != "" || !slices.Equal(got.events, want) {
			t.Fatalf("seed %d: got %v, want %q", seed, got, want)
		}
	}
}
