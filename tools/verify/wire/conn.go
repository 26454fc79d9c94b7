package wire

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"
)

// Conn is a connection that was welcomed. See the comment of the package for which
// goroutine may call what.
type Conn struct {
	// Static.
	socket  net.Conn
	options Options
	paced   *pacedReader
	welcome *Welcome

	// Owned by the goroutine that dials, and then by that which calls Next.
	head     *io.LimitedReader // what may still be read
	buffered *bufio.Reader     // of head
	messages messageReader
	found    findings // of the frame that is looked at
	pending  []Frame
	end      error

	// Guards the socket's writes, so that frames do not mix.
	writing struct {
		sync.Mutex
		closed bool // a close frame was written, after which nothing may follow
	}

	mu struct {
		sync.Mutex
		rules *rules
		own   int // the code with which the client has closed, or 0
		cut   bool
	}
}

// End is the error of Next after the last frame of a connection.
type End struct {
	Code   int    // of the server's close frame, 1005 if that has none; 0 without a frame
	Reason string // of the close frame
	Err    error  // why the connection ended without a close frame
}

func (e *End) Error() string {
	if e.Code != 0 {
		return fmt.Sprintf("wire: closed with code %d: %s", e.Code, e.Reason)
	}
	return fmt.Sprintf("wire: the connection ended: %v", e.Err)
}

func (e *End) Unwrap() error { return e.Err }

func newConn(socket net.Conn, o *Options) *Conn {
	c := &Conn{socket: socket, options: *o, paced: newPacedReader(socket)}
	c.head = &io.LimitedReader{R: c.paced, N: math.MaxInt64}
	c.buffered = bufio.NewReader(c.head)
	c.messages = messageReader{r: c.buffered, data: opText, limit: maxJSONMessage}
	if o.Format == Proto {
		c.messages.data, c.messages.limit = opBinary, maxProtoMessage
	}
	return c
}

// Welcome returns the first frame.
func (c *Conn) Welcome() *Welcome { return c.welcome }

// MessageID returns what the message_id of a send on this connection has to be.
func (c *Conn) MessageID(s *Send) MessageID { return NewMessageID(c.welcome.User, c.device(), s) }

// device is the device of message ids: the parameter, or the session without one.
func (c *Conn) device() string {
	if c.options.Device != "" {
		return c.options.Device
	}
	return c.welcome.Session
}

// Next waits for the next frame: what the server sends after the welcome, each followed
// by the *Violations in it. When all has come the error is an *End, at each further call
// too, and the socket is closed.
func (c *Conn) Next() (Frame, error) {
	for len(c.pending) == 0 {
		if c.end != nil {
			return nil, c.end
		}
		frame, err := c.read()
		c.mu.Lock()
		if frame != nil {
			c.pending = append(c.pending, frame)
			c.mu.rules.received(frame, &c.found)
		}
		if end, ok := err.(*End); ok && end.Err == nil {
			c.mu.rules.closed(end.Code, c.mu.own, &c.found)
		}
		c.mu.Unlock()
		c.queue()
		if err != nil {
			c.end = err
			c.Cut()
		}
	}
	frame := c.pending[0]
	c.pending = c.pending[1:]
	return frame, nil
}

// queue moves what was found to the frames that Next returns.
func (c *Conn) queue() {
	for _, v := range c.found {
		c.pending = append(c.pending, v)
	}
	c.found = nil
}

// read reads a frame, answers what RFC 6455 wants answered, and checks the frame by
// itself. The frame is nil if a message was none. The error is an *End.
func (c *Conn) read() (Frame, error) {
	for {
		op, payload, err := c.messages.next()
		if v, ok := err.(*Violation); ok {
			c.found = append(c.found, v)
			_ = c.write(opClose, closePayload(closeProtocol)) // the server may not hear it
		}
		if err != nil {
			return nil, &End{Err: c.explain(err)}
		}
		switch op {
		case opPing:
			if err := c.write(opPong, payload); err != nil {
				return nil, &End{Err: err}
			}
		case opPong: // RFC 6455, section 5.5.3, allows one that answers nothing
		case opClose:
			return nil, c.closed(payload)
		default:
			frame, found := decode(c.options.Format, payload)
			c.found = append(c.found, found...)
			if frame != nil {
				checkFields(frame, &c.found)
			}
			return frame, nil
		}
	}
}

// explain tells an end that the client has made from one that the server has.
func (c *Conn) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.cut {
		return net.ErrClosed
	}
	return err
}

// closed answers a close frame, unless it is an answer itself.
func (c *Conn) closed(payload []byte) *End {
	code, reason, broken := parseClose(payload)
	if broken != nil {
		c.found = append(c.found, broken)
		_ = c.write(opClose, closePayload(closeProtocol)) // the server has said its last word
		return &End{Err: broken}
	}
	_ = c.write(opClose, closePayload(code)) // as above; and it is not written twice
	return &End{Code: code, Reason: reason}
}

// The frames of a client that are not exported as types.
type (
	refresh string // a token
	ping    struct{}
)

// Send asks for a message to be stored. After an error it is not known whether the
// server will ever see it.
func (c *Conn) Send(s Send) error {
	c.mu.Lock()
	c.mu.rules.sent(&s, c.MessageID(&s))
	c.mu.Unlock()
	return c.writeFrame(&s)
}

// History asks for a page.
func (c *Conn) History(h History) error {
	c.mu.Lock()
	c.mu.rules.asked(&h)
	c.mu.Unlock()
	return c.writeFrame(&h)
}

// Ping asks for a pong.
func (c *Conn) Ping() error {
	c.mu.Lock()
	c.mu.rules.pings++
	c.mu.Unlock()
	return c.writeFrame(ping{})
}

// Refresh gives a newer token.
func (c *Conn) Refresh(token string) error { return c.writeFrame(refresh(token)) }

// SetPace says how fast to read from the socket: in bytes a second, FullPace or NoPace.
// What was read before, at most some KB, still comes. A client that does not read does
// not answer pings of the server either.
func (c *Conn) SetPace(bytesPerSecond int) { c.paced.set(bytesPerSecond, false) }

// Close says goodbye, with code 1000. Next returns what still comes, and its end when
// the server has answered or some seconds are over; so go on calling it, or call Cut.
// The connection is read at full pace from now on.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.mu.own = closeNormal
	c.mu.Unlock()
	c.paced.set(FullPace, true)
	err := c.write(opClose, closePayload(closeNormal))
	_ = c.socket.SetReadDeadline(time.Now().Add(closePatience)) // fails only if it has ended
	return err
}

// Cut ends the connection without a goodbye. What was not read yet is lost.
func (c *Conn) Cut() {
	c.mu.Lock()
	c.mu.cut = true
	c.mu.Unlock()
	_ = c.socket.Close() // there is nothing to do about an error
	c.paced.set(FullPace, true)
}

func (c *Conn) writeFrame(frame any) error {
	if c.options.Format == JSON {
		return c.write(opText, encodeJSON(frame))
	}
	return c.write(opBinary, encodeProto(frame))
}

// write writes a message. A part of one makes all that follows worthless, so an error
// ends the connection.
func (c *Conn) write(op byte, payload []byte) error {
	frames := c.options.Fragments
	if op >= opClose {
		frames = 1
	}
	b := appendMessage(nil, op, payload, frames)
	c.writing.Lock()
	defer c.writing.Unlock()
	switch {
	case c.writing.closed && op < opClose:
		return fmt.Errorf("wire: writing: %w", net.ErrClosed)
	case c.writing.closed:
		return nil // it need not be told any more
	}
	c.writing.closed = op == opClose
	_ = c.socket.SetWriteDeadline(time.Now().Add(writeTimeout)) // the write tells of an ended socket
	if _, err := c.socket.Write(b); err != nil {
		c.Cut()
		return fmt.Errorf("wire: writing: %w", c.explain(err))
	}
	return nil
}
