package admin

import (
	"net"
	"sync"
)

// limitListener accepts only while fewer than a number of its connections are
// open.
type limitListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, connections int) *limitListener {
	return &limitListener{
		Listener: l,
		places:   make(chan struct{}, connections),
		closed:   make(chan struct{}),
	}
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitConn{Conn: c, places: l.places}, nil
}

// Close also wakes an Accept that waits for a place.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitConn gives its place back when it is closed, which net/http does more than
// once.
type limitConn struct {
	net.Conn
	places chan struct{}
	once   sync.Once
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.places })
	return err
}
