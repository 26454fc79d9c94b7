package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// writeLoop is the floor of a fan-out: one thread that calls write(2) for one socket
// after another. Connections are taken and echoed in the simplest way there is, a
// goroutine for each, which sleeps while the loop writes: their memory and the
// echo's time are no floor of anything.
type writeLoop struct {
	listener net.Listener
	all      sync.WaitGroup // the goroutines

	mu sync.Mutex
	// sockets is guarded by mu. A socket is closed with mu held, so that the loop
	// never writes to a descriptor that another connection has got meanwhile.
	sockets map[net.Conn]int
}

func startWriteLoop(cfg config) (control.Peer, error) {
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return nil, err
	}
	w := &writeLoop{listener: l, sockets: make(map[net.Conn]int)}
	w.all.Go(w.accept)
	return w, nil
}

func (w *writeLoop) Ready() control.Ready {
	return control.Ready{Addr: w.listener.Addr().String(), PID: os.Getpid()}
}

func (w *writeLoop) Conns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

func (w *writeLoop) Close() error {
	err := w.listener.Close()
	w.mu.Lock()
	for _, fd := range w.sockets {
		_ = unix.Shutdown(fd, unix.SHUT_RDWR) // it wakes the reader; an error means that it is awake
	}
	w.mu.Unlock()
	w.all.Wait()
	return err
}

func (w *writeLoop) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.all.Go(func() { w.serve(c) })
	}
}

// serve upgrades a connection and echoes what comes. Upgrade may read beyond the
// request; clients of this floor wait for its answer before they send.
func (w *writeLoop) serve(c net.Conn) {
	defer w.drop(c)
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	if _, err := ws.Upgrade(c); err != nil {
		return
	}
	err = raw.Control(func(fd uintptr) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sockets[c] = int(fd)
	})
	for err == nil {
		var body []byte
		var op ws.OpCode
		body, op, err = wsutil.ReadClientData(c)
		if err == nil {
			err = wsutil.WriteServerMessage(c, op, body)
		}
	}
}

func (w *writeLoop) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sockets, c)
	_ = c.Close() // it has ended either way
}

// socket is a connection that a push is not through with.
type socket struct {
	fd     int
	write  int // the write under way
	offset int // what is written of it
}

// Push implements control.Pusher. A socket that takes no more, or only a part, goes
// on with it in the next pass. Connections come and go only between pushes.
func (w *writeLoop) Push(ctx context.Context, p control.Push) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sockets := make([]socket, 0, len(w.sockets))
	for _, fd := range w.sockets {
		sockets = append(sockets, socket{fd: fd})
	}
	frames := int64(len(sockets) * p.Count)
	bytesOf := writes(p)
	for last := time.Now(); len(sockets) > 0; {
		written, err := sweep(sockets, bytesOf)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return 0, err
		}
		sockets = slices.DeleteFunc(sockets, func(s socket) bool { return s.write == p.Writes() })
		switch {
		case written > 0:
			last = time.Now()
		case time.Since(last) > stallTimeout:
			return 0, errStalled
		default:
			time.Sleep(waitStep) // no socket took anything: let the clients read
		}
	}
	return frames, nil
}

// sweep is one pass: every socket gets what is left of its write, and begins the
// next one in the next pass. It returns how many bytes were written.
func sweep(sockets []socket, bytesOf func(write int) []byte) (written int64, err error) {
	for i := range sockets {
		s := &sockets[i]
		b := bytesOf(s.write)
		n, errno := write(s.fd, b[s.offset:])
		switch errno {
		case 0:
		case unix.EAGAIN, unix.EINTR:
			continue
		default:
			return written, fmt.Errorf("write: %w", errno)
		}
		written += int64(n)
		if s.offset += n; s.offset == len(b) {
			s.write, s.offset = s.write+1, 0
		}
	}
	return written, nil
}

// write is write(2). The socket does not block, so Go's scheduler need not hear of
// the call, which would cost some more.
func write(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
