package client

import (
	"errors"
	"os"
	"time"

	"github.com/godwit-im/godwit/codec"
)

// A connection can be dead without an end: the network is gone, or the node hangs, whose
// kernel goes on to acknowledge what it is sent. Only an answer tells. A client that awaits
// one has reason to doubt a server that is silent for a few seconds; one that awaits
// nothing pings as rarely as the server asks for, because idle connections are to cost
// nothing. In both cases it gives the connection up when nothing comes after a ping.

// fill reads from the socket. Silence counts from the moment that it starts to read, not
// while a slow callback keeps it from reading.
func (k *conn) fill() error {
	for {
		k.armRead()
		n, err := k.nc.Read(k.buf)
		switch {
		case n > 0: // an error with bytes comes again without them
			k.unread = k.buf[:n]
			k.heard()
			return nil
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return k.broken(err)
		case k.closing():
			if k.closeIsLate() {
				return errors.New("client: the server does not finish the closing handshake")
			}
		case k.yields():
			return errYield
		case !k.ping():
			return ErrNoAnswer
		}
	}
}

// ping asks for a sign of life, and reports whether there is hope for one: false if a ping
// is out already.
func (k *conn) ping() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pinged {
		return false
	}
	k.pinged = true
	k.tell(k.message(&codec.ClientFrame{Type: codec.FramePing}))
	return true
}

// heard notes a sign of life.
func (k *conn) heard() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pinged = false
}

// awaited notes that an answer has become due: the read under way may have been meant to
// last until the next heartbeat. Answers after the first change nothing, because silence
// counts from the last byte that came. mu is held.
func (k *conn) awaited() {
	if len(k.attempts)+len(k.asks) == 1 && !k.pinged {
		k.nc.SetReadDeadline(k.readBy())
	}
}

// armRead sets the deadline of the next read.
func (k *conn) armRead() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nc.SetReadDeadline(k.readBy())
}

// readBy returns the deadline of a read that begins now. Before the welcome there is none:
// then the connection's context closes the socket. mu is held.
func (k *conn) readBy() time.Time {
	switch {
	case !k.closeBy.IsZero():
		return k.closeBy
	case k.yielding:
		return longAgo
	case k.pinged:
		return time.Now().Add(pongTimeout)
	case len(k.attempts)+len(k.asks) > 0:
		return time.Now().Add(min(k.heartbeat, answerDue))
	case k.heartbeat > 0:
		return time.Now().Add(k.heartbeat)
	}
	return time.Time{}
}

// armWrite sets the deadline of the next write.
func (k *conn) armWrite() {
	k.mu.Lock()
	defer k.mu.Unlock()
	by := k.closeBy
	if by.IsZero() {
		by = time.Now().Add(writeTimeout)
	}
	k.nc.SetWriteDeadline(by)
}
