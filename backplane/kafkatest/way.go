package kafkatest

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	script "github.com/godwit-im/godwit/tools/kafka"
	"github.com/godwit-im/godwit/tools/process"
)

// Way is a second way to a node of Apache Kafka, through this process, which can cut it:
// for a client that is to lose Kafka while others keep it. The node tells whoever comes
// this way to go on coming this way.
type Way struct {
	listener net.Listener
	to       string // the node's second listener

	mu      sync.Mutex
	cut     bool
	streams map[net.Conn]bool // guarded by mu: both ends of what goes this way

	serving sync.WaitGroup
}

// TwoWays is Private for a node that can be reached in two ways: by its Config, and
// through a Way.
func TwoWays(t testing.TB) (*Process, *Way) {
	t.Helper()
	Need(t)
	ports, err := process.FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Way{listener: listener, to: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[2])), streams: make(map[net.Conn]bool)}
	w.serving.Go(w.serve)
	t.Cleanup(w.close)
	node := newNode(t.TempDir(), ports[0], ports[1])
	node.Ways = []script.Way{{Port: ports[2], Told: listener.Addr().(*net.TCPAddr).Port}}
	p, err := newProcess(node)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(p.Kill)
	p.Start(t)
	return p, w
}

// Addr returns the address where the way begins.
func (w *Way) Addr() string { return w.listener.Addr().String() }

// Cut ends all connections and takes no others: they are closed as soon as they are made.
func (w *Way) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.streams {
		c.Close()
	}
}

// Restore makes the way one again.
func (w *Way) Restore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

func (w *Way) close() {
	w.listener.Close()
	w.Cut()
	w.serving.Wait()
}

func (w *Way) serve() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil {
			in.Close()
			continue
		}
		if w.keep(in, out) {
			w.serving.Go(func() { w.carry(out, in) })
			w.serving.Go(func() { w.carry(in, out) })
		}
	}
}

// keep notes two ends of a connection, or closes them if the way is cut.
func (w *Way) keep(ends ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range ends {
		if w.cut {
			c.Close()
		} else {
			w.streams[c] = true
		}
	}
	return !w.cut
}

// carry copies what comes from one end to the other, and closes both at its end.
func (w *Way) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from) // that it ended is all there is to know
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range []net.Conn{to, from} {
		c.Close()
		delete(w.streams, c)
	}
}
