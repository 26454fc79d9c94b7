package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/godwit-im/godwit/bench/peers/control"
)

const (
	// centrifugeChannel is the channel that every connection is subscribed to.
	centrifugeChannel = "all"

	// The publication that a client gets, around its data (centrifugal/protocol,
	// the JSON encoding of a Reply).
	centrifugeHead = `{"push":{"channel":"` + centrifugeChannel + `","pub":{"data":`
	centrifugeTail = `}}}`
)

// centrifugePeer is a server of centrifugal/centrifuge, the library that Centrifugo
// is made of, with its own protocol in JSON: a client connects with a hello, and
// the server subscribes it to one channel. A push is a publication; its text frame
// has as many bytes as were asked for, all its JSON included, but not fewer than an
// empty publication. A client's `{"send":{"data":...}}` is echoed as
// `{"push":{"message":{"data":...}}}`.
//
// As its documentation advises for many connections: a pool of write buffers, which
// connections hold only while they write, and small read buffers. Its pings are off,
// because the clients of the benchmarks do not answer them. So that nobody is cut off
// who reads late, the queue of a connection may hold all that a push lets wait, and a
// write may take as long as a push; by default it is 1 MB and a second. It joins what
// is queued for a connection by itself: under backlog a text frame holds several
// messages, a line each.
type centrifugePeer struct {
	node     *centrifuge.Node
	server   http.Server
	listener net.Listener
	ended    chan error
	flow     outflow
}

func startCentrifuge(cfg config) (control.Peer, error) {
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: 2 * maxOutflow})
	if err != nil {
		return nil, fmt.Errorf("centrifuge: %w", err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{},
			Subscriptions: map[string]centrifuge.SubscribeOptions{centrifugeChannel: {}},
		}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnMessage(func(e centrifuge.MessageEvent) {
			_ = c.Send(e.Data) // an error disconnects c
		})
	})
	if err := node.Run(); err != nil {
		return nil, fmt.Errorf("centrifuge: %w", err)
	}
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return nil, errors.Join(err, node.Shutdown(context.Background()))
	}
	p := &centrifugePeer{node: node, listener: l, ended: make(chan error, 1)}
	p.server.Handler = centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		ReadBufferSize:     1024,
		WriteBufferSize:    1024,
		UseWriteBufferPool: true,
		WriteTimeout:       stallTimeout,
		PingPongConfig:     centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1},
	})
	go func() { p.ended <- p.server.Serve(&countedListener{l, &p.flow}) }()
	return p, nil
}

func (p *centrifugePeer) Ready() control.Ready {
	return control.Ready{
		Addr:  p.listener.Addr().String(),
		PID:   os.Getpid(),
		Hello: `{"id":1,"connect":{}}`,
	}
}

func (p *centrifugePeer) Conns() int { return p.node.Hub().NumSubscribers(centrifugeChannel) }

func (p *centrifugePeer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := errors.Join(p.server.Close(), p.node.Shutdown(ctx))
	if ended := <-p.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// Push implements control.Pusher. It is through when the connections have taken as
// many bytes as the messages have, which is a little before the last of them: the
// headers of the frames are not known here.
func (p *centrifugePeer) Push(ctx context.Context, push control.Push) (int64, error) {
	if push.Batch > 1 {
		return 0, errors.New("centrifuge decides by itself how many messages share a write")
	}
	data := centrifugeData(push.Size)
	conns := p.Conns()
	each := int64(conns) * int64(len(centrifugeHead)+len(data)+len(centrifugeTail))
	p.flow.reset()
	for range push.Count {
		if _, err := p.node.Publish(centrifugeChannel, data); err != nil {
			return 0, fmt.Errorf("centrifuge: %w", err)
		}
		p.flow.given.Add(each)
		if err := p.flow.drain(ctx, maxOutflow); err != nil {
			return 0, err
		}
	}
	return int64(conns) * int64(push.Count), p.flow.drain(ctx, 0)
}

// centrifugeData returns the data of a publication whose frame has size bytes.
func centrifugeData(size int) []byte {
	n := max(0, size-len(centrifugeHead)-len(centrifugeTail)-len(`""`))
	return strconv.AppendQuote(nil, string(bytes.Repeat([]byte{'x'}, n)))
}
