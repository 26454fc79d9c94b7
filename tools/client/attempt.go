package client

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// attempt is one send on one connection. It holds a slot until its ack comes, even if
// nobody waits for that any more, because the server counts it so long.
type attempt struct {
	payload []byte
	done    chan struct{} // closed when there is an ack

	// Written before done is closed.
	status backplane.Status
	code   backplane.Code
	ack    Ack
}

// errLost is what begin and await return when the connection has ended.
var errLost = errors.New("client: the connection was lost")

// begin makes an attempt as soon as there is a slot for it and its time has come. It
// joins an attempt for the same message that is under way, which somebody has given up
// waiting for. On an error nothing was sent: errLost, ErrIDInUse, or the context's cause.
func (k *conn) begin(ctx context.Context, id string, f frame) (*attempt, error) {
	if err := k.reserve(ctx); err != nil {
		return nil, err
	}
	a := &attempt{payload: f.payload, done: make(chan struct{})}
	k.mu.Lock()
	underway, closed := k.attempts[id], k.closed
	if underway == nil && !closed {
		k.attempts[id] = a
		k.awaited()
	}
	k.mu.Unlock()
	switch {
	case underway == nil && closed:
		<-k.slots
		return nil, errLost
	case underway == nil:
	case bytes.Equal(underway.payload, f.payload):
		<-k.slots
		return underway, nil
	default:
		<-k.slots
		return nil, ErrIDInUse
	}
	k.submit(f)
	return a, nil
}

// reserve takes a slot for a frame, when there is one and the frame's time has come. On
// an error, errLost or the context's cause, it has taken none.
func (k *conn) reserve(ctx context.Context) error {
	if err := k.take(ctx, k.slots); err != nil {
		return err
	}
	if err := k.awaitPace(ctx); err != nil {
		<-k.slots
		return err
	}
	return nil
}

// take puts one into places when there is room. On an error, errLost or the context's
// cause, it has not.
func (k *conn) take(ctx context.Context, places chan<- struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-k.done:
		return errLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// submit has a frame written for which a slot was reserved.
func (k *conn) submit(f frame) {
	select {
	case k.sends <- f: // there is room, unless the server answers what it has not received
	case <-k.done:
	}
}

// awaitPace waits until the server's rate allows another frame.
func (k *conn) awaitPace(ctx context.Context) error {
	r := k.pace.Reserve()
	delay := r.Delay()
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-k.done:
		return errLost
	case <-ctx.Done():
		r.Cancel()
		return context.Cause(ctx)
	}
}

// await waits for the ack of an attempt. After an error, errLost or the context's cause,
// nobody knows the outcome.
func (k *conn) await(ctx context.Context, a *attempt) error {
	return k.awaitDone(ctx, a.done)
}

// awaitDone waits for an answer of the server, which closes done. It returns errLost or
// the context's cause if that ends first.
func (k *conn) awaitDone(ctx context.Context, done <-chan struct{}) error {
	var err error
	select {
	case <-done:
		return nil
	case <-k.done:
		err = errLost
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	select {
	case <-done: // it came at the same time
		return nil
	default:
		return err
	}
}

// acked takes an ack. The reading goroutine calls it.
func (k *conn) acked(f *codec.Ack) {
	k.mu.Lock()
	a := k.attempts[string(f.ID)]
	delete(k.attempts, string(f.ID))
	k.mu.Unlock()
	if a == nil {
		return
	}
	a.status, a.code = f.Status, f.Code
	a.ack = Ack{ID: string(f.ID), MessageID: f.MessageID, Time: time.UnixMilli(f.Time)}
	close(a.done)
	<-k.slots
}
