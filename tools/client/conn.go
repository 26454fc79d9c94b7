package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// conn is one connection. Run's goroutine reads it; a goroutine of its own writes it.
type conn struct {
	// Static.
	nc       net.Conn
	at       endpoint // where it leads
	encoding codec.Encoding
	limits   ws.Limits
	sends    chan frame    // has room for all frames that have a slot
	control  chan frame    // pings, pongs, refreshes
	leaving  chan struct{} // closed when a close frame is due
	written  chan struct{} // closed when the writing goroutine has ended
	done     chan struct{} // closed when the connection has ended

	// Static once welcomed.
	welcome   codec.Welcome
	heartbeat time.Duration
	slots     chan struct{} // holds one for each frame that awaits its answer
	pages     chan struct{} // holds one for each of those that asks for a page
	pace      *rate.Limiter

	// Owned by the reading goroutine.
	reader  ws.Reader
	buf     []byte
	unread  []byte // of buf
	frame   codec.ServerFrame
	seq     uint64 // the last number accounted for
	cause   codec.ErrorFrame
	unwatch context.CancelFunc // ends watch, if it runs

	// Guarded by mu.
	mu       sync.Mutex
	attempts map[string]*attempt // by id
	asks     map[string]*ask     // by id
	token    string              // the last that was sent
	pinged   bool                // a ping is out, and nothing has come since
	closed   bool                // to sends and asks: the next connection is for them
	yielding bool                // reading is to return errYield
	move     *move               // to make when the connection ends
	over     bool                // there will be no other move
	closeBy  time.Time           // when the closing handshake has failed; zero before it
	code     uint16              // of the close frame
	failure  error               // why writing failed
}

// frame is a WebSocket message or control frame to write.
type frame struct {
	op      ws.Op
	payload []byte
}

// newConn returns a connection on which the handshake is done. early is what came behind
// it. The connection must be ended.
func newConn(nc net.Conn, at endpoint, enc codec.Encoding, token string, early []byte) *conn {
	k := &conn{
		nc:       nc,
		at:       at,
		encoding: enc,
		limits:   ws.Limits{MessageBytes: codec.MaxServerFrame(enc), Fragments: maxFragments, Client: true},
		sends:    make(chan frame, maxInFlight),
		control:  make(chan frame, controlFrames),
		leaving:  make(chan struct{}),
		written:  make(chan struct{}),
		done:     make(chan struct{}),
		buf:      make([]byte, readBuffer),
		unread:   early,
		attempts: make(map[string]*attempt),
		asks:     make(map[string]*ask),
		token:    token,
	}
	go k.write()
	return k
}

// awaitWelcome reads the frames before the welcome, and the welcome. Whoever is told there
// that it has moved goes where it was told, unless the end is final.
func (k *conn) awaitWelcome() error {
	var moved *MovedError
	for {
		f, err := k.next()
		switch {
		case err == nil:
		case moved != nil && classify(err) != giveUp:
			return moved
		default:
			return err
		}
		switch f.Type {
		case codec.FrameWelcome:
			k.welcomed(&f.Welcome)
			return nil
		case codec.FrameMoved:
			moved = movedError(&f.Moved)
		case codec.FrameError:
			k.cause = f.Error
		case codec.FrameUnknown:
		default:
			return k.violation(fmt.Errorf("%s before the welcome", f.Type))
		}
	}
}

// welcomed takes the limits of the connection. The client sends in bursts of a second's
// worth, and has at most two seconds' worth of sends under way: even if all of those
// come at once, after a stall of the network, the server, which allows bursts of two
// seconds and closes at twice that, has no reason to close.
func (k *conn) welcomed(w *codec.Welcome) {
	k.welcome = *w
	k.welcome.Cursor = append([]byte(nil), w.Cursor...)
	k.heartbeat = w.Heartbeat
	if k.heartbeat <= 0 {
		k.heartbeat = defaultHeartbeat
	}
	inFlight := int64(maxInFlight)
	if told := int64(w.Limits.InFlight); told > 0 {
		inFlight = min(inFlight, told-spareAnswers)
	}
	k.pace = rate.NewLimiter(rate.Inf, 0)
	if perSecond := w.Limits.SendsPerSecond; perSecond > 0 {
		k.pace = rate.NewLimiter(rate.Limit(perSecond), int(perSecond))
		inFlight = min(inFlight, 2*int64(perSecond))
	}
	k.slots = make(chan struct{}, max(inFlight, 1))
	k.pages = make(chan struct{}, maxPages)
}

// next returns the next frame of the protocol, which is valid until the following call.
// Control frames of WebSocket are answered on the way.
func (k *conn) next() (*codec.ServerFrame, error) {
	for {
		ev, err := k.event()
		if err != nil {
			return nil, err
		}
		switch {
		case ev.Op == ws.Ping:
			// If there is no room the socket takes nothing, and the server hears of it.
			k.tell(frame{ws.Pong, append([]byte(nil), ev.Payload...)})
			continue
		case ev.Op == ws.Pong:
			continue
		case ev.Op == ws.Close:
			k.leave(ev.Code)
			return nil, &CloseError{Code: codec.CloseCode(ev.Code), Reason: string(ev.Payload), Cause: k.cause.Code}
		case (ev.Op == ws.Text) != k.encoding.Text():
			return nil, k.violation(errors.New("a message of the other kind"))
		}
		if err := codec.DecodeServer(k.encoding, ev.Payload, &k.frame); err != nil {
			return nil, k.violation(err)
		}
		return &k.frame, nil
	}
}

// event returns the next WebSocket message or control frame.
func (k *conn) event() (ws.Event, error) {
	for {
		ev, n, ok, err := k.reader.Next(k.unread, &k.limits)
		k.unread = k.unread[n:]
		switch {
		case err != nil:
			var e *ws.Error
			errors.As(err, &e)
			k.leave(e.Code)
			return ws.Event{}, &ProtocolError{err}
		case ok:
			return ev, nil
		}
		if err := k.fill(); err != nil {
			return ws.Event{}, err
		}
	}
}

// leave starts the closing handshake, or answers the server's. Any goroutine may call it.
func (k *conn) leave(code uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closeBy.IsZero() {
		return
	}
	k.code = code
	k.closeBy = time.Now().Add(closeTimeout)
	k.nc.SetDeadline(k.closeBy)
	close(k.leaving)
}

func (k *conn) closing() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.closeBy.IsZero()
}

func (k *conn) yields() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.yielding
}

// retired closes the connection to what is not under way yet.
func (k *conn) retired() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
}

// answeredAll reports whether no send and no ask awaits its answer.
func (k *conn) answeredAll() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.attempts) == 0 && len(k.asks) == 0
}

func (k *conn) closeIsLate() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !time.Now().Before(k.closeBy)
}

// violation says goodbye to a server that broke the protocol.
func (k *conn) violation(err error) error {
	k.leave(ws.CloseProtocolError)
	return &ProtocolError{err}
}

// broken returns why the socket failed: if writing did, its reason is the better one.
func (k *conn) broken(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure != nil {
		return k.failure
	}
	return fmt.Errorf("client: the connection is lost: %w", err)
}

// message returns a frame of the protocol as a frame of WebSocket.
func (k *conn) message(f *codec.ClientFrame) frame {
	op := ws.Binary
	if k.encoding.Text() {
		op = ws.Text
	}
	return frame{op, codec.AppendClientFrame(nil, k.encoding, f)}
}

// tell has a frame written that may be lost if too many are waiting.
func (k *conn) tell(f frame) {
	select {
	case k.control <- f:
	default:
	}
}

// write is the goroutine that writes.
func (k *conn) write() {
	defer close(k.written)
	var buf []byte
	for {
		select {
		case f := <-k.sends:
			buf = k.gather(appendFrame(buf[:0], f))
		case f := <-k.control:
			buf = k.gather(appendFrame(buf[:0], f))
		case <-k.leaving:
			buf = ws.AppendMaskedClose(k.gather(buf[:0]), k.code, "", maskingKey())
			k.flush(buf)
			return
		case <-k.done:
			return
		}
		if !k.flush(buf) {
			return
		}
	}
}

// gather appends what is waiting, up to writeBatch bytes or a little more.
func (k *conn) gather(buf []byte) []byte {
	for len(buf) < writeBatch {
		select {
		case f := <-k.sends:
			buf = appendFrame(buf, f)
		case f := <-k.control:
			buf = appendFrame(buf, f)
		default:
			return buf
		}
	}
	return buf
}

// flush writes buf. If that fails, it ends the reading too.
func (k *conn) flush(buf []byte) bool {
	k.armWrite()
	if _, err := k.nc.Write(buf); err != nil {
		k.mu.Lock()
		k.failure = fmt.Errorf("client: the connection takes nothing any more: %w", err)
		k.mu.Unlock()
		k.nc.Close()
		return false
	}
	return true
}

// end releases what the connection holds, once the last frame is written. The reading
// goroutine calls it.
func (k *conn) end() {
	if k.closing() {
		<-k.written
	}
	k.nc.Close()
	close(k.done)
	<-k.written
	k.reader.Release()
}

func appendFrame(dst []byte, f frame) []byte {
	return ws.AppendMasked(dst, f.op, f.payload, maskingKey())
}

// maskingKey returns a new key: RFC 6455, section 5.3, wants it unpredictable.
func maskingKey() (key [4]byte) {
	rand.Read(key[:]) // never fails
	return key
}
