package proxy

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout bounds the connecting to the server, which is on the same machine.
const dialTimeout = 5 * time.Second

// Mode is what a Proxy does to connections.
type Mode int

const (
	// Pass carries everything.
	Pass Mode = iota
	// Cut resets all connections, and new ones as soon as they are made.
	Cut
	// Hang takes new connections and some bytes of all, as much as buffers hold, and passes
	// nothing on, not even that an end has closed: what was taken goes on when the mode is
	// another. That is how a network looks that loses every packet.
	Hang
	// Slow carries everything later, and only so much of it in a second.
	Slow
)

func (m Mode) String() string {
	switch m {
	case Pass:
		return "pass"
	case Cut:
		return "cut"
	case Hang:
		return "hang"
	case Slow:
		return "slow"
	}
	return fmt.Sprintf("Mode(%d)", int(m))
}

// Treatment is a mode with what belongs to it.
type Treatment struct {
	Mode Mode
	// Latency, of Slow, is how much later each chunk of bytes goes on, in each direction. While
	// one waits, what comes behind it becomes the next.
	Latency time.Duration
	// BytesPerSecond, of Slow, bounds each direction of each connection; 0 is no bound.
	BytesPerSecond int
}

// Counts is what a Proxy has done since it was made.
type Counts struct {
	Accepted    int64 // connections that were made to it
	Unreachable int64 // of them, those that were reset because the server could not be reached
	Refused     int64 // of them, those that Cut has reset at once
	Reset       int64 // connections that Cut has ended
	Open        int64 // connections that there are now
	HeldConns   int64 // connections that were made under Hang
	HeldBytes   int64 // bytes that were taken under Hang, and passed on later or never
	SlowedBytes int64 // bytes that went on later because of Slow
}

// Add returns the sums of two counts.
func (c Counts) Add(d Counts) Counts {
	c.Accepted += d.Accepted
	c.Unreachable += d.Unreachable
	c.Refused += d.Refused
	c.Reset += d.Reset
	c.Open += d.Open
	c.HeldConns += d.HeldConns
	c.HeldBytes += d.HeldBytes
	c.SlowedBytes += d.SlowedBytes
	return c
}

// Proxy listens on a port of 127.0.0.1 and carries what comes there to a server.
type Proxy struct {
	listener net.Listener
	serving  sync.WaitGroup // every goroutine

	mu struct {
		sync.Mutex
		target  string
		streams map[*stream]bool
		closed  bool
	}

	// state is never nil, and changed with mu held.
	state atomic.Pointer[state]

	buffer atomic.Int64 // of SetBuffer; 0 leaves it to the kernel

	accepted, unreachable, refused, reset, heldConns, heldBytes, slowedBytes atomic.Int64
}

// state is a treatment for as long as it lasts.
type state struct {
	Treatment
	over chan struct{} // closed when there is another
}

// Listen returns a proxy that passes everything on to target (host:port), which may be set
// later. Until then connections are reset.
func Listen(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{listener: l}
	p.mu.target = target
	p.state.Store(&state{over: make(chan struct{})})
	p.mu.streams = make(map[*stream]bool)
	p.serving.Go(p.serve)
	return p, nil
}

// Addr returns the address where it listens.
func (p *Proxy) Addr() *net.TCPAddr { return p.listener.Addr().(*net.TCPAddr) }

// SetTarget changes where new connections go.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.target = target
}

// SetBuffer changes how many bytes, about, the kernel takes from the server for a new
// connection whose client does not read them, in each of the two sockets. Without it that
// is megabytes, and it takes long until a server feels that a client is slow. Less than
// 64 KB makes loopback slow.
func (p *Proxy) SetBuffer(bytes int) { p.buffer.Store(int64(bytes)) }

// Treat changes what is done to connections, from now on and until the next call. It
// returns when Cut has ended all there are.
func (p *Proxy) Treat(t Treatment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return
	}
	// First, or what Hang holds would go on before it is cut.
	if t.Mode == Cut {
		for s := range p.mu.streams {
			s.abort()
			p.reset.Add(1)
			delete(p.mu.streams, s)
		}
	}
	close(p.state.Swap(&state{Treatment: t, over: make(chan struct{})}).over)
}

// Mode returns what is done to connections.
func (p *Proxy) Mode() Mode { return p.state.Load().Mode }

// Counts returns what was done so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	open := len(p.mu.streams)
	p.mu.Unlock()
	return Counts{
		Accepted: p.accepted.Load(), Unreachable: p.unreachable.Load(), Refused: p.refused.Load(), Reset: p.reset.Load(),
		Open: int64(open), HeldConns: p.heldConns.Load(), HeldBytes: p.heldBytes.Load(), SlowedBytes: p.slowedBytes.Load(),
	}
}

// Close ends all connections and the listener, and returns when nothing of it runs.
func (p *Proxy) Close() {
	_ = p.listener.Close() // it has nothing more to say
	p.mu.Lock()
	p.mu.closed = true
	for s := range p.mu.streams {
		s.abort()
	}
	p.mu.Unlock()
	p.serving.Wait()
}

func (p *Proxy) target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.target
}

// serve takes connections until the listener is closed.
func (p *Proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		p.take(newStream(p, c.(*net.TCPConn)))
	}
}

// take begins to carry a connection, or resets it.
func (p *Proxy) take(s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch mode := p.Mode(); {
	case p.mu.closed:
		s.abort()
		return
	case mode == Cut:
		s.abort()
		p.refused.Add(1)
		return
	case mode == Hang:
		p.heldConns.Add(1)
	}
	p.mu.streams[s] = true
	p.serving.Go(s.run)
}

// drop forgets a connection that has ended.
func (p *Proxy) drop(s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.streams, s)
}
