package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// nbioPeer is a server of lesismal/nbio: pollers, and a pool of goroutines that
// handles what they read.
//
// As in its benchmark of a million connections: non-blocking throughout, the payload
// goes back to its pool after the handler, and a connection has no deadline, which
// would be a timer each. Its own defaults are otherwise kept, but for as many
// connections as it is given.
type nbioPeer struct {
	engine   *nbhttp.Engine
	upgrader *websocket.Upgrader
	conns    *set[*websocket.Conn]
	flow     outflow
}

func startNbio(cfg config) (control.Peer, error) {
	logging.SetLevel(logging.LevelError)
	p := &nbioPeer{upgrader: websocket.NewUpgrader(), conns: newSet[*websocket.Conn]()}
	p.upgrader.KeepaliveTime = 0
	p.upgrader.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, body []byte) {
		_ = c.WriteMessage(kind, body) // an error closes c
	})
	p.upgrader.OnClose(func(c *websocket.Conn, _ error) { p.conns.remove(c) })
	p.engine = nbhttp.NewEngine(nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{cfg.addr},
		NPoller:                 cfg.loops,
		MaxLoad:                 1 << 21,
		IOMod:                   nbhttp.IOModNonBlocking,
		ReleaseWebsocketPayload: true,
		Handler:                 http.HandlerFunc(p.upgrade),
		SupportServerOnly:       true,
	})
	p.engine.OnWrittenSize(func(_ *nbio.Conn, _ []byte, n int) { p.flow.taken.Add(int64(n)) })
	if err := p.engine.Start(); err != nil {
		return nil, fmt.Errorf("nbio: %w", err)
	}
	return p, nil
}

func (p *nbioPeer) upgrade(w http.ResponseWriter, r *http.Request) {
	c, err := p.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	_ = c.SetReadDeadline(time.Time{}) // of net/http; an error means that c is closed
	p.conns.add(c)
}

func (p *nbioPeer) Ready() control.Ready {
	return control.Ready{Addr: p.engine.Addrs[0], PID: os.Getpid()}
}

func (p *nbioPeer) Conns() int { return p.conns.len() }

func (p *nbioPeer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return p.engine.Shutdown(ctx)
}

// Push implements control.Pusher. nbio has no message that is made once for many
// connections; WriteMessage makes the frame for each. What a socket does not take is
// queued without a bound, so a push waits while too much is queued.
func (p *nbioPeer) Push(ctx context.Context, push control.Push) (int64, error) {
	bytesOf, body := writes(push), payload(push.Size)
	p.flow.reset()
	write := func(c *websocket.Conn, _ int) error { return c.WriteMessage(websocket.BinaryMessage, body) }
	if push.Batch > 1 {
		write = func(c *websocket.Conn, n int) error {
			_, err := c.Conn.Write(bytesOf(n))
			return err
		}
	}
	frames, err := pass(ctx, p.conns.list(), push, write, func(served, n int) error {
		p.flow.given.Add(int64(served * len(bytesOf(n))))
		return p.flow.drain(ctx, maxOutflow)
	})
	return frames, errors.Join(err, p.flow.drain(ctx, 0))
}
