package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Client keeps one user's connection. Use New.
type Client struct {
	// Static.
	opts   Options
	nodes  *nodes
	log    *slog.Logger
	events *queue
	ended  chan struct{} // closed when Run is about to return

	// Atomic.
	running atomic.Bool // Run was called

	// A semaphore: one Refresh at a time.
	refreshing chan struct{}

	// Guarded by mu.
	mu      sync.Mutex
	conn    *conn         // that is welcomed; nil when there is none
	changed chan struct{} // closed, and replaced, when conn is set
	err     error         // of Send, History and Refresh once ended is closed
	// Cursors: up to where everything was received, and handed to the callbacks.
	receivedTo string
	handedTo   string
}

// New returns a Client, which does nothing until Run is called.
func New(opts Options) (*Client, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	seeds := make([]endpoint, len(opts.URLs))
	for i, text := range opts.URLs {
		var err error
		if seeds[i], err = parseEndpoint(text); err != nil {
			return nil, err
		}
	}
	return &Client{
		opts:       opts,
		nodes:      newNodes(seeds, opts.MinBackoff, opts.MaxBackoff),
		log:        opts.Logger,
		events:     newQueue(),
		ended:      make(chan struct{}),
		refreshing: make(chan struct{}, 1),
		changed:    make(chan struct{}),
		receivedTo: opts.Cursor,
		handedTo:   opts.Cursor,
	}, nil
}

// Device returns the name of the device: that of the options, or the random one.
func (c *Client) Device() string { return c.opts.Device }

// Run connects and stays connected until ctx ends; then it says goodbye to the server and
// returns nil. Otherwise it returns why connecting again is pointless: an error that is or
// wraps a *CloseError or a *RefusedError. It returns after the last callback has, and is called once.
//
// What is under way when ctx ends has 2 s more to be answered, for which Run waits; what
// begins then fails with ErrClosed. Messages that arrive meanwhile are left for the next run.
// A node that hangs has another 2 s to take its leave.
func (c *Client) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("client: Run was called before")
	}
	var callbacks sync.WaitGroup
	callbacks.Go(c.events.run)
	r := runner{Client: c, at: c.nodes.next()}
	err := r.run(ctx)
	c.mu.Lock()
	c.err = ErrClosed
	if err != nil {
		c.err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	c.mu.Unlock()
	close(c.ended)
	c.events.close()
	callbacks.Wait()
	return err
}

func (c *Client) current() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// set makes k, which may be nil, the connection for sends.
func (c *Client) set(k *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = k
	close(c.changed)
	c.changed = make(chan struct{})
}

// connected returns the connection, and waits for it if there is none.
func (c *Client) connected(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		k, changed := c.conn, c.changed
		c.mu.Unlock()
		if k != nil {
			return k, nil
		}
		select {
		case <-changed:
		case <-c.ended:
			return nil, c.closed()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// closed returns the error of a Client that has ended.
func (c *Client) closed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
