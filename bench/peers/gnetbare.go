package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/bench/peers/control"
)

const (
	maxRequest = 8 << 10 // the longest request for an upgrade, in bytes
	maxFrame   = 1 << 20 // the largest payload of a frame that is echoed, in bytes
)

// gnetBare is the floor of a server on gnet. Level-triggered, with SO_REUSEPORT
// and one loop for each core, as gnet's documentation advises: each loop accepts for
// itself, and a connection never changes threads.
type gnetBare struct {
	gnet.BuiltinEventEngine

	// Static once it has booted.
	addr   string
	port   int // a descriptor that holds the port
	engine gnet.Engine
	booted chan struct{}
	ended  chan error // what gnet.Run returned

	loops sync.Map // gnet.EventLoop to *bareLoop
	conns atomic.Int64
}

// bareLoop is what belongs to one event loop, and is touched on it only.
type bareLoop struct {
	loop gnet.EventLoop
	// conns has the upgraded connections by descriptor. An index in each connection
	// would cost more memory than the holes that the other loops leave.
	conns []gnet.Conn
	ask   exchange // of the upgrade under way
	out   []byte   // what the read under way is answered with
}

// exchange is the connection that an upgrade sees: a request and nothing behind it.
type exchange struct {
	request bytes.Reader
	reply   bytes.Buffer
}

func (e *exchange) Read(b []byte) (int, error)  { return e.request.Read(b) }
func (e *exchange) Write(b []byte) (int, error) { return e.reply.Write(b) }

// A connection's context says what is kept for it. An idle connection keeps nothing.
type (
	// asking has the beginning of a request; nil stands for an empty one.
	asking struct{ request []byte }
	// open stands for an upgraded connection of which nothing is kept.
	open struct{}
	// partial has the beginning of a frame.
	partial struct{ frame []byte }
)

var isOpen = new(open)

// gnetLogger logs what matters. gnet's own logger also tells that it starts.
type gnetLogger struct{}

func (gnetLogger) Debugf(string, ...any)             {}
func (gnetLogger) Infof(string, ...any)              {}
func (gnetLogger) Warnf(format string, args ...any)  { log.Printf("gnet: "+format, args...) }
func (gnetLogger) Errorf(format string, args ...any) { log.Printf("gnet: "+format, args...) }
func (gnetLogger) Fatalf(format string, args ...any) { log.Fatalf("gnet: "+format, args...) }

func startGnetBare(cfg config) (control.Peer, error) { return newGnetBare(cfg) }

func newGnetBare(cfg config) (*gnetBare, error) {
	port, addr, err := holdPort(cfg.addr)
	if err != nil {
		return nil, err
	}
	b := &gnetBare{addr: addr, port: port, booted: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		b.ended <- gnet.Run(b, "tcp://"+addr,
			gnet.WithReusePort(true),
			gnet.WithReuseAddr(true),
			gnet.WithNumEventLoop(cfg.loops),
			gnet.WithReadBufferCap(64<<10),
			gnet.WithLogger(gnetLogger{}),
		)
	}()
	select {
	case <-b.booted:
		return b, nil
	case err := <-b.ended:
		return nil, errors.Join(fmt.Errorf("gnet did not start: %v", err), syscall.Close(port))
	}
}

// holdPort binds a socket, which is never listened on, to addr, so that every loop
// can bind the same port when addr leaves it open. It returns the address.
func holdPort(addr string) (fd int, bound string, err error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, failed)
	}}
	// Package net binds and listens at once, so it only finds the port; a listener
	// that is never accepted from would get its share of the connections.
	l, err := lc.Listen(context.Background(), "tcp4", addr)
	if err != nil {
		return -1, "", err
	}
	defer l.Close()
	at := l.Addr().(*net.TCPAddr)
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, "", os.NewSyscallError("socket", err)
	}
	sa := &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.Bind(fd, sa),
	); err != nil {
		return -1, "", errors.Join(fmt.Errorf("holding %v: %w", at, err), unix.Close(fd))
	}
	return fd, at.String(), nil
}

func (b *gnetBare) Ready() control.Ready { return control.Ready{Addr: b.addr, PID: os.Getpid()} }

func (b *gnetBare) Conns() int { return int(b.conns.Load()) }

func (b *gnetBare) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := b.engine.Stop(ctx)
	return errors.Join(err, <-b.ended, syscall.Close(b.port))
}

// OnBoot implements gnet.EventHandler.
func (b *gnetBare) OnBoot(e gnet.Engine) gnet.Action {
	b.engine = e
	close(b.booted)
	return gnet.None
}

func (b *gnetBare) loopOf(c gnet.Conn) *bareLoop {
	key := c.EventLoop()
	if l, ok := b.loops.Load(key); ok {
		return l.(*bareLoop)
	}
	l := &bareLoop{loop: key}
	b.loops.Store(key, l) // nobody else has this loop
	return l
}

// OnClose implements gnet.EventHandler.
func (b *gnetBare) OnClose(c gnet.Conn, _ error) gnet.Action {
	l := b.loopOf(c)
	if fd := c.Fd(); fd < len(l.conns) && l.conns[fd] != nil {
		l.conns[fd] = nil
		b.conns.Add(-1)
	}
	return gnet.None
}

// OnTraffic implements gnet.EventHandler. It always takes all that gnet has read: a
// single byte left there would cost the connection a buffer of gnet's.
func (b *gnetBare) OnTraffic(c gnet.Conn) gnet.Action {
	in, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	l := b.loopOf(c)
	switch kept := c.Context().(type) {
	case nil:
		return b.upgrade(l, c, in)
	case *asking:
		return b.upgrade(l, c, append(kept.request, in...))
	case *partial:
		return l.echo(c, append(kept.frame, in...))
	}
	return l.echo(c, in)
}

// upgrade answers the request for an upgrade once it is whole.
func (b *gnetBare) upgrade(l *bareLoop, c gnet.Conn, in []byte) gnet.Action {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		if len(in) > maxRequest {
			return gnet.Close
		}
		c.SetContext(&asking{bytes.Clone(in)})
		return gnet.None
	}
	l.ask.request.Reset(in[:end+4])
	l.ask.reply.Reset()
	_, err := ws.Upgrade(&l.ask)
	_, _ = c.Write(l.ask.reply.Bytes()) // an error has closed c, which OnClose has seen
	if err != nil {
		return gnet.Close
	}
	fd := c.Fd()
	if fd < 0 {
		return gnet.None
	}
	if fd >= len(l.conns) {
		// In steps, not by doubling, so that half of the list is never empty.
		const step = 4096
		grown := make([]gnet.Conn, (fd/step+1)*step)
		copy(grown, l.conns)
		l.conns = grown
	}
	l.conns[fd] = c
	b.conns.Add(1)
	c.SetContext(isOpen)
	return l.echo(c, in[end+4:])
}

// echo answers whole frames, all of them with one write, and keeps the rest.
func (l *bareLoop) echo(c gnet.Conn, in []byte) gnet.Action {
	l.out = l.out[:0]
	action := gnet.None
	for action == gnet.None {
		h, n := parseHeader(in)
		if n == 0 {
			break
		}
		if !h.Masked || h.Length > maxFrame {
			return gnet.Close
		}
		if int64(len(in)-n) < h.Length {
			break
		}
		body := in[n : n+int(h.Length)]
		in = in[n+int(h.Length):]
		ws.Cipher(body, h.Mask, 0)
		switch h.OpCode {
		case ws.OpPong:
			continue
		case ws.OpPing:
			h.OpCode = ws.OpPong
		case ws.OpClose:
			action = gnet.Close
		}
		l.out = appendHeader(l.out, h)
		l.out = append(l.out, body...)
	}
	switch {
	case len(in) > 0 && action == gnet.None:
		c.SetContext(&partial{bytes.Clone(in)})
	default:
		c.SetContext(isOpen)
	}
	if len(l.out) > 0 {
		_, _ = c.Write(l.out) // an error has closed c, which OnClose has seen
	}
	return action
}

// parseHeader parses the header of a frame (RFC 6455, section 5.2), n bytes; n is 0
// if it is not whole.
func parseHeader(b []byte) (h ws.Header, n int) {
	if len(b) < 2 {
		return h, 0
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] >> 4 & 7
	h.OpCode = ws.OpCode(b[0] & 0xf)
	h.Masked = b[1]&0x80 != 0
	n = 2
	switch length := b[1] & 0x7f; length {
	case 126:
		if len(b) < 4 {
			return h, 0
		}
		h.Length, n = int64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return h, 0
		}
		h.Length, n = int64(binary.BigEndian.Uint64(b[2:])&(1<<63-1)), 10
	default:
		h.Length = int64(length)
	}
	if h.Masked {
		if len(b) < n+4 {
			return h, 0
		}
		n += copy(h.Mask[:], b[n:])
	}
	return h, n
}

// appendHeader appends the header of a server's frame.
func appendHeader(b []byte, h ws.Header) []byte {
	first := byte(h.OpCode) | h.Rsv<<4
	if h.Fin {
		first |= 0x80
	}
	switch {
	case h.Length < 126:
		return append(b, first, byte(h.Length))
	case h.Length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(h.Length))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(h.Length))
}

// Push implements control.Pusher: each loop writes to its own connections, one pass
// at a time. gnet queues what a socket does not take, without a bound, so a pass
// waits while too much is queued.
func (b *gnetBare) Push(ctx context.Context, p control.Push) (int64, error) {
	var loops []*bareLoop
	b.loops.Range(func(_, l any) bool {
		loops = append(loops, l.(*bareLoop))
		return true
	})
	bytesOf := writes(p)
	var total int64
	for n := range p.Writes() {
		var served atomic.Int64
		queued, err := onLoops(ctx, loops, func(l *bareLoop) (queued int64) {
			count := 0
			for _, c := range l.conns {
				if c != nil {
					_, _ = c.Write(bytesOf(n)) // an error has closed c and taken it out
					queued += int64(c.OutboundBuffered())
					count++
				}
			}
			served.Add(int64(count))
			return queued
		})
		total += served.Load() * int64(p.Frames(n))
		if err != nil {
			return total, err
		}
		if queued > maxOutflow || n == p.Writes()-1 {
			if err := drainLoops(ctx, loops, queued); err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// drainLoops waits until gnet has written what it has queued.
func drainLoops(ctx context.Context, loops []*bareLoop, queued int64) error {
	var failed error
	err := await(ctx, func() (bool, int64) {
		if queued == 0 {
			return true, 0
		}
		queued, failed = onLoops(ctx, loops, func(l *bareLoop) (queued int64) {
			for _, c := range l.conns {
				if c != nil {
					queued += int64(c.OutboundBuffered())
				}
			}
			return queued
		})
		return queued == 0 || failed != nil, queued
	})
	return errors.Join(err, failed)
}

// onLoops runs f on all loops at once, waits for all, and returns the sum of what it
// returned. Between two calls the loops look for events.
func onLoops(ctx context.Context, loops []*bareLoop, f func(*bareLoop) int64) (sum int64, err error) {
	var total atomic.Int64
	done := make(chan struct{}, len(loops))
	for _, l := range loops {
		err := l.loop.Execute(ctx, gnet.RunnableFunc(func(context.Context) error {
			total.Add(f(l))
			done <- struct{}{}
			return nil
		}))
		if err != nil {
			return 0, fmt.Errorf("gnet: %w", err)
		}
	}
	for range loops {
		select {
		case <-done:
		case <-time.After(stallTimeout):
			return 0, errStalled
		}
	}
	return total.Load(), nil
}
