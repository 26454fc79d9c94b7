package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/godwit-im/godwit/codec"
)

// A client that is to move opens the way to the other node while the old connection goes
// on: it waits as long as it was told, gets a token, and connects by TCP and TLS. Only then
// does it stop handing over what the old connection delivers, and asks the new node to go on
// at the cursor that it has come to. So the stream pauses for one answer of the new node,
// nothing comes twice, and the order is that of the timeline. Were both connections to
// deliver for a while, what one has told would have to be left out of the other, signals and
// gaps included, which are in no timeline.
//
// The old connection is read on for the answers that are still to come on it, and left when
// there are none: see retire.

// move is the way to another node in the making.
type move struct {
	to     endpoint
	moved  *MovedError
	cancel context.CancelFunc
	done   chan struct{} // closed when the rest is set

	token string
	nc    net.Conn
	err   error
}

// newMove returns a move and the context to prepare it with, which ends when the move is
// abandoned.
func newMove(ctx context.Context, to endpoint, moved *MovedError) (*move, context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	return &move{to: to, moved: moved, cancel: cancel, done: make(chan struct{})}, ctx
}

// prepare gets ready for the move, and says so by closing done.
func (c *Client) prepare(ctx context.Context, m *move) {
	defer close(m.done)
	if m.err = sleep(ctx, m.moved.RetryAfter); m.err != nil {
		return
	}
	if m.token, m.err = c.token(ctx); m.err == nil {
		m.nc, m.err = c.dial(ctx, m.to)
	}
}

// abandon ends a move that nobody will make.
func (m *move) abandon() {
	m.cancel()
	<-m.done
	if m.nc != nil {
		m.nc.Close()
	}
}

// toldMoved takes the news that another node serves the user. What k has under way will
// be answered on it; what is sent from now on waits for the next connection.
func (r *runner) toldMoved(ctx context.Context, k *conn, f *codec.Moved) {
	moved := movedError(f)
	to, ok := r.redirected(k.at, moved)
	if !ok {
		return // the server will close the connection, and the client ask for the route
	}
	if last := k.takeMove(false); last != nil {
		last.abandon() // the last word counts
	}
	r.set(nil)
	k.retired()
	m, preparing := newMove(ctx, to, moved)
	k.offer(m)
	r.helpers.Go(func() {
		r.prepare(preparing, m)
		k.yieldTo(m) // if it has failed, too: this node will not serve the user for long
	})
}

// retire reads on, until the connection k ends, for the answers that are still to come on it,
// and leaves when there are none, or they have taken too long. Then what is unanswered is
// sent again on the next connection, if there is one.
func (r *runner) retire(ctx context.Context, k *conn) {
	defer k.end()
	leave := func() { k.leave(closeNormal) }
	timer := time.AfterFunc(retireTimeout, leave)
	defer timer.Stop()
	stop := context.AfterFunc(ctx, func() { timer.Reset(partTimeout) })
	defer stop()
	k.proceed()
	for {
		if k.answeredAll() {
			leave()
		}
		f, err := k.next()
		if err != nil {
			return
		}
		switch f.Type {
		case codec.FrameAck:
			k.acked(&f.Ack)
		case codec.FrameHistoryPage:
			k.answered(&f.HistoryPage)
		}
	}
}

// degraded takes the news that the node of k has lost its log: it keeps its connections, and
// rejects sends. Others may have taken its place, so the client asks them, and goes on
// asking until a send is stored after all.
func (r *runner) degraded(ctx context.Context, k *conn) {
	if k.unwatch == nil {
		ctx, k.unwatch = context.WithCancel(ctx)
		r.helpers.Go(func() { r.watch(ctx, k) })
	}
}

// watch asks other nodes from time to time who serves the user, and has the client move if
// that is another one by a newer map. All clients of a degraded node do so at once: hence
// the times are random, and grow.
func (r *runner) watch(ctx context.Context, k *conn) {
	spread := r.opts.DegradedSpread
	for longest := maxSpread * spread; sleep(ctx, rand.N(spread+1)) == nil; spread = min(2*spread, longest) {
		to, err := r.route(ctx, r.nodes.others(k.at), k.welcome.User)
		if err != nil || to.same(k.at) || to.node == k.welcome.Node || to.mapVersion <= max(k.welcome.MapVersion, k.at.mapVersion) {
			continue
		}
		m, preparing := newMove(ctx, to, &MovedError{URL: to.String(), Node: to.node, MapVersion: to.mapVersion})
		r.prepare(preparing, m)
		if m.err == nil && k.offer(m) {
			k.yieldTo(m)
			return
		}
		m.abandon()
	}
}

// errYield is what reading a connection returns once yieldTo or yield was called.
var errYield = errors.New("client: the connection is to be left")

// offer makes m the move to make when k ends, unless there is one or that time has come,
// and reports whether it did. Any goroutine may call it.
func (k *conn) offer(m *move) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.move != nil || k.over {
		return false
	}
	k.move = m
	return true
}

// takeMove returns the move to make, nil if there is none; then there is none any more. If
// k is over there will be no other.
func (k *conn) takeMove(over bool) *move {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.move
	k.move, k.over = nil, over
	return m
}

// yieldTo makes reading the connection return errYield instead of waiting for the socket,
// if m is still the move to make. Any goroutine may call it.
func (k *conn) yieldTo(m *move) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.move == m {
		k.interrupt()
	}
}

// yield makes reading the connection return errYield instead of waiting for the socket,
// unless that has ended. Any goroutine may call it.
func (k *conn) yield() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over {
		k.interrupt()
	}
}

// interrupt is what both do. mu is held.
func (k *conn) interrupt() {
	k.yielding = true
	if k.closeBy.IsZero() {
		k.nc.SetReadDeadline(longAgo)
	}
}

// proceed takes yieldTo and yield back.
func (k *conn) proceed() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.yielding = false
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)
