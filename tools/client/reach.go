package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
)

// A node that hangs is dialled like any other: the kernel takes the connection, and the
// welcome never comes. So while the client waits, it asks the other nodes whether it waits
// at the right one. Where they name another, it goes there at once, as if this one had
// directed it there. Where they agree, or do not answer, it goes on to wait: a node may be
// slow because many clients come at once, and to leave it and come again would make it slower.

// errSilent is why the client leaves a node for another one that it has not tried yet.
var errSilent = errors.New("client: the node says no welcome, and others may")

// reach returns a connection that the node at r.at has welcomed: over nc, or over a new one
// if that is nil. It returns a *MovedError if another node says that the user is served
// elsewhere before there is a welcome.
func (r *runner) reach(ctx context.Context, token string, nc net.Conn) (*conn, error) {
	trying, leave := context.WithCancelCause(ctx)
	at, user := r.at, r.user
	var asking sync.WaitGroup
	asking.Go(func() { r.suspect(trying, at, user, leave) })
	k, err := r.try(trying, token, nc)
	leave(nil)
	asking.Wait()
	if why := context.Cause(trying); err != nil && ctx.Err() == nil && why != context.Canceled {
		return nil, why
	}
	return k, err
}

// try does without the others what reach does.
func (r *runner) try(ctx context.Context, token string, nc net.Conn) (*conn, error) {
	if nc == nil {
		var err error
		if nc, err = r.dial(ctx, r.at); err != nil {
			return nil, err
		}
	}
	return r.connect(ctx, r.at, nc, token)
}

// suspect calls leave with a reason if there is one not to wait for the node at an endpoint,
// until ctx ends.
func (c *Client) suspect(ctx context.Context, at endpoint, user string, leave context.CancelCauseFunc) {
	for sleep(ctx, welcomeDue+rand.N(welcomeDue/2)) == nil {
		if user == "" { // there is nothing to ask, but any node directs
			if c.nodes.untried(at) {
				leave(errSilent)
			}
			return
		}
		to, err := c.route(ctx, c.nodes.others(at), user)
		if err != nil || to.same(at) {
			continue
		}
		c.nodes.failed(at, true) // so that it is asked last
		leave(&MovedError{URL: to.String(), Node: to.node, MapVersion: to.mapVersion})
		return
	}
}
