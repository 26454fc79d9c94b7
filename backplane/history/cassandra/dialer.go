package cassandra

import (
	"context"
	"net"
	"sync"
)

// dialer makes the connections of a session, and can cut them all. Its methods may be
// called by any goroutine.
type dialer struct {
	net.Dialer

	mu    sync.Mutex
	isCut bool
	conns map[*dialedConn]struct{} // those that are open
}

// DialContext connects by TCP. Its error is net.ErrClosed once the connections are cut.
func (d *dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d.Dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &dialedConn{conn.(*net.TCPConn), d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isCut {
		conn.Close()
		// The client does not try again after an error of this type.
		return nil, &net.OpError{Op: "dial", Net: network, Addr: conn.RemoteAddr(), Err: net.ErrClosed}
	}
	d.conns[c] = struct{}{}
	return c, nil
}

// cut ends all connections, and those that are asked for from now on. To the client it
// is as if the nodes had: it has still to close them, and must be able to do so without
// an error, for which it would take a lock that it may hold.
func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isCut = true
	for c := range d.conns {
		_ = c.CloseRead() // fails for what the node has closed meanwhile
	}
}

// dialedConn is a connection that its dialer knows. It is a TCPConn to those who ask,
// as net.Buffers do to write several buffers at once.
type dialedConn struct {
	*net.TCPConn
	dialer *dialer
}

func (c *dialedConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.TCPConn.Close()
}
