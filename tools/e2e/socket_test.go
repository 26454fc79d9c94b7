package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// options say how a client connects.
type options struct {
	device   string // "" for a session without a name
	encoding codec.Encoding
	cursor   string // where to go on, "" for nowhere
	start    string // as the parameter, "" to leave it out
	overflow codec.Overflow
	// receiveBuffer is the size of the socket's buffer, 0 for the system's: with a
	// small one the server soon notices that nobody reads.
	receiveBuffer int
	header        [][2]string
	// deaf clients read nothing after the welcome until listen is called.
	deaf bool
	// gate, if there is one, is passed before each message is taken: who waits in it reads
	// slowly.
	gate func()
	// mute clients do not answer the server's close.
	mute bool
}

// socket is a blocking WebSocket connection.
type socket struct {
	conn     *net.TCPConn
	encoding codec.Encoding

	// Owned by the one goroutine that reads.
	reader ws.Reader
	unread []byte // of buf: read from the connection and not yet taken
	buf    [16 << 10]byte

	writing sync.Mutex // held while a frame is written
	closing bool       // guarded by writing: a close was written, and nothing may follow it
}

// errClosing is the error of writing behind a close frame.
var errClosing = errors.New("the close frame was sent already")

// clientLimits are far above what a server sends.
var clientLimits = ws.Limits{MessageBytes: 1 << 20, Fragments: 1, Client: true}

// open opens a TCP connection to the public port of a node. It is closed when the
// test ends.
func open(t testing.TB, n *node, receiveBuffer int) *net.TCPConn {
	t.Helper()
	c, err := openTo(n.url, receiveBuffer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func openTo(address string, receiveBuffer int) (*net.TCPConn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: patience}
	if receiveBuffer > 0 {
		// Before connecting, because the window is agreed on then.
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			return errors.Join(c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
			}), err)
		}
	}
	c, err := d.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// request returns the request of a client, and the key in it.
func request(address, token string, o options) (head []byte, key [16]byte) {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // the node's own address
	}
	q := url.Values{}
	for name, value := range map[string]string{"device": o.device, codec.ParamCursor: o.cursor, codec.ParamStart: o.start} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if o.overflow != codec.OverflowAuto {
		q.Set(codec.ParamOverflow, o.overflow.String())
	}
	header := o.header
	if token != "" {
		header = append(header[:len(header):len(header)], [2]string{"Authorization", "Bearer " + token})
	}
	rand.Read(key[:])
	target := u.Path + "?" + q.Encode()
	return ws.AppendRequest(nil, u.Host, target, key, []string{o.encoding.Subprotocol()}, header...), key
}

// dial connects to an address with a token. The error is a *ws.StatusError when the
// server refuses.
func dial(address, token string, o options) (*socket, error) {
	c, err := openTo(address, o.receiveBuffer)
	if err != nil {
		return nil, err
	}
	head, key := request(address, token, o)
	s := &socket{conn: c, encoding: o.encoding}
	if _, err = c.Write(head); err == nil {
		err = s.handshake(key)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// handshake reads the answer to a request.
func (s *socket) handshake(key [16]byte) error {
	protocols := []string{s.encoding.Subprotocol()}
	var head []byte
	for {
		n, err := s.read()
		head = append(head, s.buf[:n]...)
		if end := ws.HeadEnd(head, 0); end >= 0 {
			protocol, err := ws.ParseResponse(head, key, protocols)
			if status := (*ws.StatusError)(nil); errors.As(err, &status) {
				rest, readErr := io.ReadAll(s.conn)
				_, err = ws.ParseResponse(append(head, rest...), key, protocols)
				return errors.Join(err, readErr)
			}
			if err == nil && protocol != protocols[0] {
				return fmt.Errorf("the server chose the subprotocol %q", protocol)
			}
			s.unread = head[end:]
			return err
		}
		if err != nil {
			return err
		}
	}
}

// silence is how long a client waits for a word of the server: longer than any test
// waits for something, so that only a test that hangs finds out.
const silence = 4 * patience

// read fills buf with what comes next.
func (s *socket) read() (int, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return s.conn.Read(s.buf[:])
}

// next returns the next message or control frame. Its payload is good until the
// next call.
func (s *socket) next() (ws.Event, error) {
	for {
		ev, n, ok, err := s.reader.Next(s.unread, &clientLimits)
		s.unread = s.unread[n:]
		if err != nil || ok {
			return ev, err
		}
		n, err = s.read()
		if err != nil {
			return ws.Event{}, err
		}
		s.unread = s.buf[:n]
	}
}

// write writes bytes as they are.
func (s *socket) write(p []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closing {
		return errClosing
	}
	_, err := s.conn.Write(p)
	return err
}

// writeClose writes a close frame, unless one was written already.
func (s *socket) writeClose(code uint16) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closing {
		return nil
	}
	s.closing = true
	_, err := s.conn.Write(ws.AppendMaskedClose(nil, code, "", maskKey()))
	return err
}

// writeFrame writes a frame with any opcode.
func (s *socket) writeFrame(op ws.Op, payload []byte) error { return s.write(masked(op, payload)) }

// masked returns a client's WebSocket frame.
func masked(op ws.Op, payload []byte) []byte { return ws.AppendMasked(nil, op, payload, maskKey()) }

func maskKey() (key [4]byte) {
	rand.Read(key[:])
	return key
}

// encode returns frames of the protocol as WebSocket frames, one after the other.
func encode(e codec.Encoding, frames ...*codec.ClientFrame) []byte {
	op := ws.Binary
	if e.Text() {
		op = ws.Text
	}
	var b []byte
	for _, f := range frames {
		b = ws.AppendMasked(b, op, codec.AppendClientFrame(nil, e, f), maskKey())
	}
	return b
}

// sendFrame returns the frame of a send.
func sendFrame(id, body string, to ...string) *codec.ClientFrame {
	f := &codec.ClientFrame{Type: codec.FrameSend, Send: codec.Send{ID: []byte(id), Body: []byte(body)}}
	for _, u := range to {
		f.Send.To = append(f.Send.To, []byte(u))
	}
	return f
}
