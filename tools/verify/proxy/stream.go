package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// chunkBytes is how much is read at a time, and so how much of each direction of a
// connection is in this process.
const chunkBytes = 16 << 10

// stream is a connection through the proxy.
type stream struct {
	p       *Proxy
	client  *net.TCPConn
	aborted chan struct{} // closed by abort

	mu struct {
		sync.Mutex
		server  *net.TCPConn // nil until it is connected
		aborted bool
	}
}

func newStream(p *Proxy, client *net.TCPConn) *stream {
	return &stream{p: p, client: client, aborted: make(chan struct{})}
}

// abort resets both ends, if they are not closed.
func (s *stream) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.aborted {
		return
	}
	s.mu.aborted = true
	close(s.aborted)
	reset(s.client)
	if s.mu.server != nil {
		reset(s.mu.server)
	}
}

// reset closes a connection so that the other end is told of an error, and not that all
// has been said.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // both fail only where it is closed already
	_ = c.Close()
}

// run connects to the server and carries all until both ends have closed.
func (s *stream) run() {
	defer s.p.drop(s)
	if !s.wait(0) {
		return
	}
	c, err := net.DialTimeout("tcp", s.p.target(), dialTimeout)
	if err != nil {
		s.p.unreachable.Add(1)
		s.abort()
		return
	}
	server := c.(*net.TCPConn)
	if bytes := int(s.p.buffer.Load()); bytes > 0 {
		_ = server.SetReadBuffer(bytes) // with larger ones it is still correct
		_ = s.client.SetWriteBuffer(bytes)
	}
	if !s.connected(server) {
		reset(server)
		return
	}
	var up sync.WaitGroup
	up.Go(func() { s.carry(server, s.client) })
	s.carry(s.client, server)
	up.Wait()
	_ = s.client.Close() // all that came has been written
	_ = server.Close()
}

// connected notes the other end, so that it is aborted with this one. It reports false if
// that has happened.
func (s *stream) connected(server *net.TCPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.aborted {
		return false
	}
	s.mu.server = server
	return true
}

// carry copies one direction. That an end has closed for writing goes on to the other, and
// so does an error.
func (s *stream) carry(to, from *net.TCPConn) {
	buf := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buf)
		if !s.wait(n) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				s.abort()
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite() // if it fails, the other direction finds out
			return
		case err != nil:
			s.abort()
			return
		}
	}
}

// wait returns when n bytes that were read may go on. It reports false if the connection was
// aborted.
func (s *stream) wait(n int) bool {
	held, slowed := false, false // whether they are counted
	for {
		now := s.p.state.Load()
		var timer <-chan time.Time // never
		switch now.Mode {
		case Hang:
			if !held {
				held = true
				s.p.heldBytes.Add(int64(n))
			}
		case Slow:
			if !slowed {
				slowed = true
				s.p.slowedBytes.Add(int64(n))
			}
			timer = time.After(now.delay(n))
		default:
			select {
			case <-s.aborted:
				return false
			default:
				return true
			}
		}
		select {
		case <-timer:
			return true
		case <-now.over:
		case <-s.aborted:
			return false
		}
	}
}

// delay returns how much later a chunk of n bytes goes on.
func (t Treatment) delay(n int) time.Duration {
	d := t.Latency
	if t.BytesPerSecond > 0 {
		d += time.Duration(n) * time.Second / time.Duration(t.BytesPerSecond)
	}
	return d
}
