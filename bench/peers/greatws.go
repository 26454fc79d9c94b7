package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/antlabs/greatws"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// greatwsPeer is a server of antlabs/greatws: net/http takes the request, and event
// loops take the socket.
//
// As in its benchmark: one loop for each core, a thousand events at a time, and the
// handler runs on the loop, because an echo does not block. There is no read
// deadline, which would be a timer for each connection.
type greatwsPeer struct {
	greatws.DefCallback
	server   http.Server
	listener net.Listener
	upgrader *greatws.UpgradeServer
	ended    chan error
	conns    *set[*greatws.Conn]
}

func startGreatws(cfg config) (control.Peer, error) {
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return nil, err
	}
	p := &greatwsPeer{listener: l, ended: make(chan error, 1), conns: newSet[*greatws.Conn]()}
	loops := greatws.NewMultiEventLoopMust(
		greatws.WithEventLoops(cfg.loops),
		greatws.WithMaxEventNum(1000),
		greatws.WithLogLevel(slog.LevelError),
	)
	loops.Start()
	p.upgrader = greatws.NewUpgrade(
		greatws.WithServerCallback(p),
		greatws.WithServerMultiEventLoop(loops),
		greatws.WithServerCallbackInEventLoop(),
		greatws.WithServerReplyPing(),
		greatws.WithServerIgnorePong(),
	)
	p.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = p.upgrader.Upgrade(w, r) // it has answered
	})
	go func() { p.ended <- p.server.Serve(l) }()
	return p, nil
}

func (p *greatwsPeer) Ready() control.Ready {
	return control.Ready{Addr: p.listener.Addr().String(), PID: os.Getpid()}
}

func (p *greatwsPeer) Conns() int { return p.conns.len() }

// Close implements control.Peer. The loops go on until the process ends: there is no
// call that ends them.
func (p *greatwsPeer) Close() error {
	err := p.server.Close()
	if ended := <-p.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	for _, c := range p.conns.list() {
		c.Close()
	}
	return err
}

// OnOpen implements greatws.Callback.
func (p *greatwsPeer) OnOpen(c *greatws.Conn) { p.conns.add(c) }

// OnClose implements greatws.Callback.
func (p *greatwsPeer) OnClose(c *greatws.Conn, _ error) { p.conns.remove(c) }

// OnMessage implements greatws.Callback.
func (p *greatwsPeer) OnMessage(c *greatws.Conn, kind greatws.Opcode, body []byte) {
	_ = c.WriteMessage(kind, body) // an error closes c
}

// Push implements control.Pusher. greatws has neither a message that is made once
// for many connections, nor a call for several frames, nor access to the socket: a
// batch is refused. What a socket does not take is queued, and there is no way to
// see when it is written: Push returns before that.
func (p *greatwsPeer) Push(ctx context.Context, push control.Push) (int64, error) {
	if push.Batch > 1 {
		return 0, errors.New("greatws cannot put several frames into one write")
	}
	body := payload(push.Size)
	return pass(ctx, p.conns.list(), push,
		func(c *greatws.Conn, _ int) error { return c.WriteMessage(greatws.Binary, body) },
		func(int, int) error { return nil })
}
