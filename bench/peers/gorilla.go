package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// gorillaPeer is a server of gorilla/websocket on net/http: a goroutine for each
// connection, which reads.
//
// For many connections its documentation advises small read buffers and a pool of
// write buffers, which connections hold only while they write. The handler returns
// and a goroutine of our own reads, so that the connection does not keep the
// request, the response and the stack of net/http. A connection takes one writer at
// a time: a mutex sees to it, which costs less than the goroutine and the channel of
// its chat example. A push writes a PreparedMessage.
type gorillaPeer struct {
	server   http.Server
	listener net.Listener
	upgrader websocket.Upgrader
	ended    chan error
	conns    *set[*gorillaConn]
	readers  sync.WaitGroup
}

type gorillaConn struct {
	*websocket.Conn
	mu sync.Mutex // held by whoever writes
}

func startGorilla(cfg config) (control.Peer, error) {
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return nil, err
	}
	p := &gorillaPeer{
		listener: l,
		upgrader: websocket.Upgrader{
			ReadBufferSize:  1024,
			WriteBufferSize: 1024,
			WriteBufferPool: new(sync.Pool),
		},
		ended: make(chan error, 1),
		conns: newSet[*gorillaConn](),
	}
	p.server.Handler = http.HandlerFunc(p.upgrade)
	go func() { p.ended <- p.server.Serve(l) }()
	return p, nil
}

func (p *gorillaPeer) Ready() control.Ready {
	return control.Ready{Addr: p.listener.Addr().String(), PID: os.Getpid()}
}

func (p *gorillaPeer) Conns() int { return p.conns.len() }

func (p *gorillaPeer) Close() error {
	err := p.server.Close()
	if ended := <-p.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	for _, c := range p.conns.list() {
		_ = c.Close() // its reader ends, whatever is said here
	}
	p.readers.Wait()
	return err
}

func (p *gorillaPeer) upgrade(w http.ResponseWriter, r *http.Request) {
	c, err := p.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	conn := &gorillaConn{Conn: c}
	p.conns.add(conn)
	p.readers.Go(func() { p.read(conn) })
}

func (p *gorillaPeer) read(c *gorillaConn) {
	defer func() {
		p.conns.remove(c)
		_ = c.Close() // it has ended either way
	}()
	for {
		kind, body, err := c.ReadMessage()
		if err != nil {
			return
		}
		c.mu.Lock()
		err = c.WriteMessage(kind, body)
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Push implements control.Pusher.
func (p *gorillaPeer) Push(ctx context.Context, push control.Push) (int64, error) {
	message, err := websocket.NewPreparedMessage(websocket.BinaryMessage, payload(push.Size))
	if err != nil {
		return 0, err
	}
	write := func(c *gorillaConn, _ int) error { return c.WritePreparedMessage(message) }
	if push.Batch > 1 {
		bytesOf := writes(push)
		write = func(c *gorillaConn, n int) error {
			_, err := c.NetConn().Write(bytesOf(n))
			return err
		}
	}
	locked := func(c *gorillaConn, n int) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		return write(c, n)
	}
	return pass(ctx, p.conns.list(), push, locked, func(int, int) error { return nil })
}
