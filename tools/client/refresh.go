package client

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/codec"
)

// Refresh asks for a token and gives it to the server in place of the one that the
// connection has, so that the connection outlives that. A token that the server does not
// accept is told to OnError; the connection goes on with the old one. Without a
// connection there is nothing to do: the next one begins with a token anyway.
//
// Any goroutine may call it.
func (c *Client) Refresh(ctx context.Context) error {
	select {
	case c.refreshing <- struct{}{}:
		defer func() { <-c.refreshing }()
	case <-c.ended:
		return c.closed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	token, err := c.opts.Token(ctx)
	if err != nil {
		return &TokenError{err}
	}
	k := c.current()
	if k == nil {
		return nil
	}
	err = k.refresh(ctx, token)
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}

// refresh gives the server a token, if it is a new one.
func (k *conn) refresh(ctx context.Context, token string) error {
	k.mu.Lock()
	same := token == k.token
	k.token = token
	k.mu.Unlock()
	if same {
		return nil
	}
	if err := k.awaitPace(ctx); err != nil {
		return err
	}
	select {
	case k.control <- k.message(&codec.ClientFrame{Type: codec.FrameRefresh, Token: []byte(token)}):
		return nil
	case <-k.done:
		return errLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
