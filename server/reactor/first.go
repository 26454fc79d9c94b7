package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// startTimeout bounds what gnet has to do while the reactor starts.
const startTimeout = 30 * time.Second

// firstConn is the context of the connection that is put on each of gnet's loops
// before any client's. gnet shows a loop only to a connection on it, and our loop
// has to be there, in a known order, before clients come. On the way its thread
// gets what belongs to the thread.
type firstConn struct {
	index int
	err   error
}

// open is called on the loop.
func (f *firstConn) open(r *Reactor, g gnet.Conn) {
	room, err := openFilesLeft()
	if err == nil && r.config.FDTables {
		room, err = ownTable()
	}
	l := newLoop(f.index, g.EventLoop(), r.poller, &r.config.Session, r.deps)
	l.room = room
	r.loops = append(r.loops, l)
	r.byLoop[g.EventLoop()] = l
	f.err = err
}

// makeLoops makes a loop for each of gnet's, one after the other.
func (r *Reactor) makeLoops() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// gnet makes all its loops before it runs any. So when one of them accepts a
	// connection, all are there to be asked for.
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", r.addr.String())
	if err != nil {
		return fmt.Errorf("reactor: %w", err)
	}
	defer c.Close()
	select {
	case <-r.running:
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return errors.New("reactor: the event engine does not run")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("reactor: %w", err)
	}
	defer ln.Close()
	for i := range r.config.Loops {
		if err := r.makeLoop(ctx, ln, i); err != nil {
			return err
		}
	}
	if len(r.byLoop) != r.config.Loops {
		return fmt.Errorf("reactor: the event engine has %d loops, not %d", len(r.byLoop), r.config.Loops)
	}
	return nil
}

// makeLoop puts a connection on gnet's next loop; its other end is at ln. gnet
// takes its loops in turn.
func (r *Reactor) makeLoop(ctx context.Context, ln net.Listener, index int) error {
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return fmt.Errorf("reactor: %w", err)
	}
	peer, err := ln.Accept()
	if err != nil {
		return errors.Join(fmt.Errorf("reactor: %w", err), c.Close())
	}
	defer peer.Close()
	first := &firstConn{index: index}
	// gnet duplicates the descriptor and closes c.
	registered, err := r.engine.Register(gnet.NewNetConnContext(gnet.NewContext(ctx, first), c))
	if err != nil {
		return fmt.Errorf("reactor: %w", err)
	}
	select {
	case result := <-registered:
		if result.Err != nil {
			return fmt.Errorf("reactor: %w", result.Err)
		}
		if first.err == nil && r.config.FDTables {
			// The loop closed it in its own table; ours has it still.
			first.err = closeCopy(result.Conn.Fd())
		}
		return first.err
	case <-ctx.Done():
		return errors.New("reactor: an event loop does not answer")
	}
}
