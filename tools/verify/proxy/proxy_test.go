package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that says what it hears.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

// before returns a proxy before a server.
func before(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// dial connects to a proxy. Whatever the connection waits for fails after a while.
func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// say writes a text and waits until it comes back.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	hear(t, c, text)
}

// hear reads a text.
func hear(t *testing.T, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("heard %q, want %q: %v", b, text, err)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after %v: %s", patience, what)
		}
	}
}

// isReset reports whether an error of a connection says that the other end has reset it.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// refused connects to a proxy that ends connections at once, and returns the error: of the
// connecting, or of the first use.
func refused(p *Proxy) error {
	c, err := net.DialTCP("tcp", nil, p.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

func TestPass(t *testing.T) {
	p := before(t, echo(t))
	c := dial(t, p)
	sent := make([]byte, 1<<20)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = c.Write(sent) // what is missing shows in what is read
		_ = c.CloseWrite()
	})
	heard, err := io.ReadAll(c) // to the end, which the server passes back
	writing.Wait()
	if err != nil || !bytes.Equal(heard, sent) {
		t.Fatalf("%d of %d bytes came back: %v", len(heard), len(sent), err)
	}
	c.Close()
	eventually(t, "the connection is forgotten", func() bool { return p.Counts().Open == 0 })
	if want := (Counts{Accepted: 1}); p.Counts() != want {
		t.Errorf("the counts are %+v, want %+v", p.Counts(), want)
	}
}

func TestUnreachable(t *testing.T) {
	p := before(t, "")
	if err := refused(p); !isReset(err) {
		t.Errorf("a server that is not there: %v", err)
	}
	p.SetTarget(echo(t))
	say(t, dial(t, p), "hello")
	if got := p.Counts(); got.Unreachable != 1 || got.Accepted != 2 {
		t.Errorf("the counts are %+v", got)
	}
}

func TestCut(t *testing.T) {
	p := before(t, echo(t))
	a, b := dial(t, p), dial(t, p)
	say(t, a, "hello")
	say(t, b, "hello")
	p.Treat(Treatment{Mode: Cut})
	for _, c := range []net.Conn{a, b} {
		if _, err := c.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("a connection that was cut: %v", err)
		}
	}
	if err := refused(p); !isReset(err) {
		t.Errorf("a connection while it is cut: %v", err)
	}
	eventually(t, "all is counted", func() bool {
		return p.Counts() == Counts{Accepted: 3, Refused: 1, Reset: 2}
	})
	p.Treat(Treatment{})
	say(t, dial(t, p), "hello again")
}

func TestHang(t *testing.T) {
	p := before(t, echo(t))
	old := dial(t, p)
	say(t, old, "hello")
	p.Treat(Treatment{Mode: Hang})
	later := dial(t, p)
	for _, c := range []net.Conn{old, later} {
		if _, err := io.WriteString(c, "held"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it has taken what it can", func() bool { return p.Counts().HeldBytes == 4 && p.Counts().HeldConns == 1 })
	// What was taken has had time to come back when a message by another way has, twice.
	other := before(t, p.target())
	for range 2 {
		say(t, dial(t, other), "hello")
	}
	for _, c := range []*net.TCPConn{old, later} {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			if n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT); err != syscall.EAGAIN {
				t.Errorf("while it hangs, %d bytes have come: %v", n, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	p.Treat(Treatment{})
	hear(t, old, "held")
	hear(t, later, "held")
	say(t, old, "hello again")
}

// TestHangEnds cuts connections that are held, and closes a proxy that holds some.
func TestHangEnds(t *testing.T) {
	p := before(t, echo(t))
	c := dial(t, p)
	say(t, c, "hello")
	p.Treat(Treatment{Mode: Hang})
	if _, err := io.WriteString(c, "held"); err != nil {
		t.Fatal(err)
	}
	dial(t, p)
	eventually(t, "both are held", func() bool { return p.Counts().HeldBytes == 4 && p.Counts().HeldConns == 1 })
	p.Treat(Treatment{Mode: Cut})
	if _, err := c.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("a held connection that was cut: %v", err)
	}
	if n := p.Counts().Reset; n != 2 {
		t.Errorf("%d connections were cut", n)
	}
	p.Treat(Treatment{Mode: Hang})
	c = dial(t, p)
	eventually(t, "another is held", func() bool { return p.Counts().HeldConns == 2 })
	p.Close()
	if _, err := c.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("a held connection of a closed proxy: %v", err)
	}
}

func TestSlow(t *testing.T) {
	p := before(t, echo(t))
	c := dial(t, p)
	say(t, c, "hello")
	const latency = 20 * time.Millisecond
	p.Treat(Treatment{Mode: Slow, Latency: latency, BytesPerSecond: 1000})
	begun := time.Now()
	say(t, c, "ten bytes!")
	if took, least := time.Since(begun), 2*(latency+10*time.Millisecond); took < least {
		t.Errorf("there and back took %v, at least %v was due", took, least)
	}
	if n := p.Counts().SlowedBytes; n != 20 {
		t.Errorf("%d bytes were slowed, want 20", n)
	}
	// What waits goes on when the link is healed.
	p.Treat(Treatment{Mode: Slow, Latency: time.Hour})
	if _, err := io.WriteString(c, "waits"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return p.Counts().SlowedBytes == 25 })
	p.Treat(Treatment{})
	hear(t, c, "waits")
}

func TestTreatAfterClose(t *testing.T) {
	p := before(t, "")
	p.Close()
	p.Treat(Treatment{Mode: Hang})
	p.Close()
	if p.Mode() != Pass {
		t.Errorf("a closed proxy does %v", p.Mode())
	}
}

// TestBuffer has a server write to a client that does not read: it comes less far where the
// proxy has small buffers.
func TestBuffer(t *testing.T) {
	taken := func(buffer int) (n int) {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p := before(t, l.Addr().String())
		p.SetBuffer(buffer)
		client := dial(t, p)
		defer client.Close()
		if err := client.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		server, err := l.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if err := server.SetWriteBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		chunk := make([]byte, 16<<10)
		for {
			if err := server.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			m, err := server.Write(chunk)
			n += m
			if err != nil {
				return n
			}
		}
	}
	small, usual := taken(64<<10), taken(0)
	t.Log(small, "and", usual, "bytes")
	if small > 1<<20 || small >= usual {
		t.Errorf("%d bytes were taken with small buffers, and %d with the kernel's", small, usual)
	}
}
