package admin

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// pipes is a listener whose clients are always there.
type pipes struct{ accepted int }

func (l *pipes) Accept() (net.Conn, error) {
	l.accepted++
	c, _ := net.Pipe()
	return c, nil
}
func (l *pipes) Close() error   { return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestLimitListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &pipes{}
		l := newLimitListener(inner, 2)
		conns := make(chan net.Conn, 10)
		ended := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				conns <- c
			}
		}()
		synctest.Wait()
		if inner.accepted != 2 {
			t.Fatalf("%d connections were accepted with 2 places", inner.accepted)
		}
		first := <-conns
		first.Close()
		first.Close() // gives back one place all the same
		synctest.Wait()
		if inner.accepted != 3 {
			t.Fatalf("%d connections were accepted after one was closed", inner.accepted)
		}
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept ended with %v", err)
		}
	})
}
