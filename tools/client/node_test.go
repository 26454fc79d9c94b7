package client

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gobwas "github.com/gobwas/ws"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// The tests play the server, by hand and with another WebSocket library, over pipes. They
// run in bubbles of testing/synctest, where time passes only when all wait for it.

// node takes the connections of a client under test.
type node struct {
	t     *testing.T
	peers chan *peer
}

// peer is the server's end of a connection.
type peer struct {
	t       *testing.T
	address string // that was dialled
	net.Conn
	in      *bufio.Reader
	request *http.Request // once read
	enc     codec.Encoding
	id      []byte // of the last request for a page, if the test keeps it
	lenient bool   // the client may go at any time
}

func newNode(t *testing.T) *node { return &node{t, make(chan *peer)} }

// dial is the Dial of the client's options.
func (n *node) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case n.peers <- &peer{t: n.t, address: address, Conn: ours, in: bufio.NewReader(ours)}:
		return theirs, nil
	case <-ctx.Done():
		ours.Close()
		theirs.Close()
		return nil, ctx.Err()
	}
}

// accept returns the client's next connection, its request read.
func (n *node) accept() *peer {
	n.t.Helper()
	p := <-n.peers
	p.readRequest()
	return p
}

func (p *peer) readRequest() {
	p.t.Helper()
	request, err := http.ReadRequest(p.in)
	p.check(err)
	p.request = request
}

// check fails the test with the error of an exchange with the client.
func (p *peer) check(err error) {
	p.t.Helper()
	if err != nil && !p.lenient {
		p.t.Fatal(err)
	}
}

// welcome accepts the next connection and welcomes it.
func (n *node) welcome(w codec.Welcome) *peer {
	n.t.Helper()
	p := n.accept()
	p.upgrade()
	p.welcome(w)
	return p
}

func (p *peer) upgrade() {
	p.t.Helper()
	protocol := p.request.Header.Get("Sec-WebSocket-Protocol")
	enc, ok := codec.EncodingOf(protocol)
	if !ok || p.request.Header.Get("Upgrade") != "websocket" {
		p.t.Fatalf("the request is %+v", p.request)
	}
	p.enc = enc
	sum := sha1.Sum([]byte(p.request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	p.print("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]), protocol)
}

func (p *peer) print(format string, args ...any) {
	p.t.Helper()
	_, err := fmt.Fprintf(p, format, args...)
	p.check(err)
}

// refuse answers the request with a status and ends the connection.
func (p *peer) refuse(status int, body string, header ...string) {
	p.t.Helper()
	text := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), len(body))
	for _, h := range header {
		text += h + "\r\n"
	}
	p.print("%s\r\n%s", text, body)
	p.Close()
}

func (p *peer) welcome(w codec.Welcome) {
	p.t.Helper()
	if w.User == "" {
		w.User = "alice"
	}
	p.write(codec.AppendWelcome(nil, p.enc, &w))
}

// write sends the payload of a frame of the protocol.
func (p *peer) write(payload []byte) {
	p.t.Helper()
	op := gobwas.OpBinary
	if p.enc.Text() {
		op = gobwas.OpText
	}
	p.writeFrame(gobwas.NewFrame(op, true, payload))
}

func (p *peer) writeFrame(f gobwas.Frame) {
	p.t.Helper()
	_, err := p.Write(gobwas.MustCompileFrame(f))
	p.check(err)
}

// readFrame returns the client's next WebSocket frame, unmasked.
func (p *peer) readFrame() (gobwas.Frame, error) {
	h, err := gobwas.ReadHeader(p.in)
	if err != nil {
		return gobwas.Frame{}, err
	}
	if !h.Masked || h.Length > 1<<20 {
		p.t.Errorf("the client sends a frame with the header %+v", h)
	}
	f := gobwas.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err := io.ReadFull(p.in, f.Payload); err != nil {
		return f, err
	}
	return gobwas.UnmaskFrameInPlace(f), nil
}

// read returns the client's next frame of the protocol.
func (p *peer) read() codec.ClientFrame {
	p.t.Helper()
	f, err := p.readFrame()
	if err != nil {
		p.t.Fatal(err)
	}
	if f.Header.OpCode.IsControl() {
		p.t.Fatalf("a control frame came: %x %q", f.Header.OpCode, f.Payload)
	}
	return p.decode(f)
}

// decode returns the frame of the protocol in a WebSocket frame.
func (p *peer) decode(f gobwas.Frame) codec.ClientFrame {
	p.t.Helper()
	var (
		d codec.Decoder
		c codec.ClientFrame
	)
	if err := d.Decode(p.enc, f.Payload, &codec.DefaultLimits, &c); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// readSend returns the id of the send that comes next.
func (p *peer) readSend() string {
	p.t.Helper()
	f := p.read()
	if f.Type != codec.FrameSend {
		p.t.Fatalf("a %s came, want a send", f.Type)
	}
	return string(f.Send.ID)
}

func (p *peer) ack(id string, status backplane.Status, code backplane.Code) {
	p.t.Helper()
	a := codec.Ack{ID: []byte(id), Status: status, Code: code}
	if status == backplane.Stored {
		a.MessageID, a.Time = backplane.MessageID{1, 2, 3}, 1_767_225_600_123
	}
	p.write(codec.AppendAck(nil, p.enc, &a))
}

// cursor returns the cursor of an offset in alice's partition.
func cursor(offset int64) string {
	return string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: 2, Offset: offset}))
}

// fromBob is a message from bob, a different one for each id.
func fromBob(id, body string) *backplane.Message {
	m := &backplane.Message{From: []byte("bob"), To: [][]byte{[]byte("alice")}, ID: []byte(id), Body: []byte(body)}
	m.MessageID = backplane.Identify(nil, m)
	return m
}

// deliver sends a message from bob, whose offset is its number.
func (p *peer) deliver(seq uint64, body string) {
	p.t.Helper()
	p.deliverAt(seq, int64(seq), fromBob(fmt.Sprint("m", seq), body))
}

// deliverAt sends a message with a number and an offset.
func (p *peer) deliverAt(seq uint64, offset int64, m *backplane.Message) {
	p.t.Helper()
	p.write(append(codec.AppendDeliverHead(nil, p.enc, seq, false),
		codec.AppendDeliverTail(nil, p.enc, backplane.Position{Generation: 1, Partition: 2, Offset: offset}, 1_767_225_600_123, m, backplane.AppendMessage(nil, m), true)...))
}

func (p *peer) gap(from, to uint64, reason codec.GapReason, after, before string) {
	p.t.Helper()
	p.write(codec.AppendGap(nil, p.enc, &codec.Gap{FromSeq: from, ToSeq: to, Reason: reason, After: []byte(after), Before: []byte(before)}))
}

func (p *peer) heartbeat(seq uint64, cursor string) {
	p.t.Helper()
	p.write(codec.AppendHeartbeat(nil, p.enc, &codec.Heartbeat{Seq: seq, Cursor: []byte(cursor)}))
}

// readHistory returns the request for a page that comes next.
func (p *peer) readHistory() codec.History {
	p.t.Helper()
	f := p.read()
	if f.Type != codec.FrameHistory {
		p.t.Fatalf("a %s came, want a history", f.Type)
	}
	return f.History
}

// page answers a request for a page with messages whose offsets begin at first.
func (p *peer) page(id []byte, b codec.PageBounds, first int64, messages ...*backplane.Message) {
	p.t.Helper()
	var w codec.PageWriter
	w.Open(nil, p.enc, id)
	for i, m := range messages {
		at := backplane.Position{Generation: 1, Partition: 2, Offset: first + int64(i)}
		p.check(w.Add([]byte("alice"), at, 1_767_225_600_123, backplane.AppendMessage(nil, m)))
	}
	p.write(w.Close(&b))
}

func (p *peer) fail(code backplane.Code, message string) {
	p.t.Helper()
	p.write(codec.AppendError(nil, p.enc, &codec.ErrorFrame{Code: code, Message: message}))
}

// closeWith does the closing handshake as the side that begins it.
func (p *peer) closeWith(code codec.CloseCode) {
	p.t.Helper()
	p.writeFrame(gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(gobwas.StatusCode(code), "because")))
	p.awaitClose(uint16(code))
	p.Close()
}

// awaitClose reads up to the client's close frame.
func (p *peer) awaitClose(want uint16) {
	p.t.Helper()
	for {
		f, err := p.readFrame()
		if err != nil {
			p.t.Fatalf("the connection ended with %v, want a close frame", err)
		}
		if f.Header.OpCode != gobwas.OpClose {
			continue
		}
		if code, _ := gobwas.ParseCloseFrameData(f.Payload); uint16(code) != want {
			p.t.Fatalf("the client closes with %d, want %d", code, want)
		}
		return
	}
}

// goodbye does the closing handshake that the client begins, and checks that it then ends
// the connection.
func (p *peer) goodbye() {
	p.t.Helper()
	p.awaitClose(closeNormal)
	p.writeFrame(gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(closeNormal, "")))
	if _, err := p.in.ReadByte(); !errors.Is(err, io.EOF) {
		p.t.Errorf("after the closing handshake came %v, want the end", err)
	}
	p.Close()
}

// user is a client under test, with all that it tells.
type user struct {
	*Client
	t    *testing.T
	stop context.CancelFunc
	ran  chan error // the error of Run

	mu     sync.Mutex
	events []string
	errs   []error
	ended  []State // the states Disconnected
}

// start runs a client against n. Its context ends with the test, if not before.
func start(t *testing.T, n *node, change func(*Options)) *user {
	t.Helper()
	u := &user{t: t, ran: make(chan error, 1)}
	opts := Options{
		URLs:      []string{"ws://node-1:8080"},
		Token:     StaticToken("secret"),
		Device:    "phone",
		Dial:      n.dial,
		OnMessage: func(m Message) { u.add(fmt.Sprintf("message %d %s", m.Seq, m.Body)) },
		OnGap:     func(g Gap) { u.add(fmt.Sprintf("gap %d-%d %s", g.FromSeq, g.ToSeq, g.Reason)) },
		OnGone:    func(g Gone) { u.add(fmt.Sprintf("gone %s %s %s", g.After, g.Before, g.Code)) },
		OnState: func(s State) {
			u.add(fmt.Sprintf("%s %s", s.Phase, s.URL))
			if s.Phase == Disconnected {
				u.mu.Lock()
				u.ended = append(u.ended, s)
				u.mu.Unlock()
			}
		},
		OnError: func(err error) {
			u.add("error")
			u.mu.Lock()
			u.errs = append(u.errs, err)
			u.mu.Unlock()
		},
	}
	if change != nil {
		change(&opts)
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	u.Client = c
	ctx, stop := context.WithCancel(t.Context())
	u.stop = stop
	go func() { u.ran <- c.Run(ctx) }()
	return u
}

func (u *user) add(event string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.events = append(u.events, event)
}

// told returns what was told since the last call, once nothing more comes.
func (u *user) told() []string {
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	events := u.events
	u.events = nil
	return events
}

// problems returns the errors that were told, once nothing more comes.
func (u *user) problems() []error {
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.errs)
}

// lastEnd returns the last state Disconnected.
func (u *user) lastEnd() State {
	u.t.Helper()
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ended) == 0 {
		u.t.Fatal("no connection has ended")
	}
	return u.ended[len(u.ended)-1]
}

// leave ends the client while p is its connection.
func (u *user) leave(p *peer) {
	u.t.Helper()
	synctest.Wait() // a client that is not connected yet says no goodbye
	u.stop()
	p.goodbye()
	if err := <-u.ran; err != nil {
		u.t.Errorf("Run returned %v", err)
	}
}

// result is what a Send returned.
type result struct {
	ack Ack
	err error
}

// send calls Send in a goroutine.
func (u *user) send(ctx context.Context, m Outgoing) chan result {
	out := make(chan result, 1)
	go func() {
		ack, err := u.Client.Send(ctx, m)
		out <- result{ack, err}
	}()
	return out
}

func hello(id string) Outgoing { return Outgoing{ID: id, To: []string{"bob"}, Body: []byte("hello")} }

// bubble runs a test in a bubble.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// took returns how much of the bubble's time f takes.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
