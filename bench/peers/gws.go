package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/lxzan/gws"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// gwsPeer is a server of lxzan/gws: a goroutine for each connection, which reads.
//
// As in its benchmarks: its own Server rather than net/http's, whose buffers and
// request a connection would keep; no compression and no check of UTF-8, which
// binary frames do not have; no parallel handling of one connection's messages.
// Recovery of panics is left out. Pushes go through a Broadcaster, as its README
// shows: the frame is made once, for the whole push, and each connection's queue
// writes it.
type gwsPeer struct {
	gws.BuiltinEventHandler
	listener net.Listener
	ended    chan struct{}
	conns    *set[*gws.Conn]
	flow     outflow
}

func startGws(cfg config) (control.Peer, error) {
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return nil, err
	}
	p := &gwsPeer{listener: l, ended: make(chan struct{}), conns: newSet[*gws.Conn]()}
	server := gws.NewServer(p, &gws.ServerOption{})
	server.OnError = func(_ net.Conn, err error) {
		if errors.Is(err, net.ErrClosed) {
			// RunListener would ask a closed listener again and again.
			runtime.Goexit()
		}
		log.Println("gws:", err)
	}
	go func() {
		defer close(p.ended)
		_ = server.RunListener(&countedListener{l, &p.flow}) // it ends by Goexit only
	}()
	return p, nil
}

func (p *gwsPeer) Ready() control.Ready {
	return control.Ready{Addr: p.listener.Addr().String(), PID: os.Getpid()}
}

func (p *gwsPeer) Conns() int { return p.conns.len() }

func (p *gwsPeer) Close() error {
	err := p.listener.Close()
	<-p.ended
	for _, c := range p.conns.list() {
		_ = c.NetConn().Close() // its read loop ends, whatever is said here
	}
	return err
}

// OnOpen implements gws.Event.
func (p *gwsPeer) OnOpen(c *gws.Conn) {
	_ = c.SetDeadline(time.Time{}) // of the handshake; a dead connection shows in its read loop
	p.conns.add(c)
}

// OnClose implements gws.Event.
func (p *gwsPeer) OnClose(c *gws.Conn, _ error) { p.conns.remove(c) }

// OnPing implements gws.Event.
func (p *gwsPeer) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnMessage implements gws.Event. Errors of a write are gws's to handle.
func (p *gwsPeer) OnMessage(c *gws.Conn, m *gws.Message) {
	_ = c.WriteMessage(m.Opcode, m.Bytes())
	_ = m.Close() // gives the buffer back
}

// Push implements control.Pusher. A Broadcaster does not tell when it is done, so
// the bytes that the connections take are counted, which costs one addition a write.
func (p *gwsPeer) Push(ctx context.Context, push control.Push) (int64, error) {
	bytesOf, body := writes(push), payload(push.Size)
	p.flow.reset()
	write := func(c *gws.Conn, n int) error {
		c.Async(func() { _, _ = c.NetConn().Write(bytesOf(n)) }) // an error shows in the read loop
		return nil
	}
	if push.Batch == 1 {
		b := gws.NewBroadcaster(gws.OpcodeBinary, body)
		defer b.Close()
		write = func(c *gws.Conn, _ int) error { return b.Broadcast(c) }
	}
	frames, err := pass(ctx, p.conns.list(), push, write, func(served, n int) error {
		p.flow.given.Add(int64(served * len(bytesOf(n))))
		return p.flow.drain(ctx, maxOutflow)
	})
	return frames, errors.Join(err, p.flow.drain(ctx, 0))
}

// countedListener counts what its connections write.
type countedListener struct {
	net.Listener
	flow *outflow
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{c, l.flow}, nil
}

type countedConn struct {
	net.Conn
	flow *outflow
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.flow.taken.Add(int64(n))
	return n, err
}
