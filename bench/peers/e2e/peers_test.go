package e2e

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/godwit-im/godwit/bench/peers/control"
)

// dialect is how a peer talks, and what it can do.
type dialect struct {
	name string
	// push reads what a push of count frames of size bytes brings.
	push func(c *client, size, count int) error
	// echo has a payload echoed.
	echo func(c *client, payload []byte) error
	// batches is whether it can put several frames into one write.
	batches bool
	// whole is whether it loses nothing when a client reads late.
	whole bool
}

var dialects = []dialect{
	{"gnet-bare", pushedFrames, echoedFrame, true, true},
	{"write-loop", pushedFrames, echoedFrame, true, true},
	{"gws", pushedFrames, echoedFrame, true, true},
	{"gorilla", pushedFrames, echoedFrame, true, true},
	{"nbio", pushedFrames, echoedFrame, true, true},
	{"greatws", pushedFrames, echoedFrame, false, false},
	{"centrifuge", publications, sentBack, false, true},
}

// prepare sets the environment of a peer. The race detector does not know that
// nbio's goroutines are ordered by epoll, so under it nbio's reports are put aside.
func (d dialect) prepare(t *testing.T) {
	if d.name == "nbio" {
		t.Setenv("GORACE", "exitcode=0 log_path="+filepath.Join(t.TempDir(), "race"))
	}
}

func pushedFrames(c *client, size, count int) error {
	want := payload(size)
	for range count {
		if err := c.want(ws.OpBinary, want); err != nil {
			return err
		}
	}
	return nil
}

func echoedFrame(c *client, payload []byte) error {
	if err := wsutil.WriteClientBinary(c.Conn, payload); err != nil {
		return err
	}
	return c.want(ws.OpBinary, payload)
}

// publications reads what centrifuge makes of a push: messages, a line each, in as
// many text frames as it likes.
func publications(c *client, size, count int) error {
	const head, tail = `{"push":{"channel":"all","pub":{"data":"`, `"}}}`
	for count > 0 {
		frame, op, err := c.next()
		if err != nil {
			return err
		}
		if op != ws.OpText {
			return fmt.Errorf("a frame of kind %v", op)
		}
		for line := range bytes.Lines(frame) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if len(line) != size || !bytes.HasPrefix(line, []byte(head)) || !bytes.HasSuffix(line, []byte(tail)) {
				return fmt.Errorf("not a publication of %d bytes: %q", size, line)
			}
			count--
		}
	}
	if count < 0 {
		return fmt.Errorf("%d publications too many", -count)
	}
	return nil
}

func sentBack(c *client, payload []byte) error {
	message := fmt.Sprintf(`{"data":"%x"}`, payload)
	if err := wsutil.WriteClientText(c.Conn, []byte(`{"send":`+message+`}`)); err != nil {
		return err
	}
	return c.want(ws.OpText, []byte(`{"push":{"message":`+message+`}}`))
}

func TestPeers(t *testing.T) {
	const conns = 50
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			d.prepare(t)
			p := start(t, d.name, "-loops", "2")
			clients := p.dialAll(conns)
			p.awaitConns(conns)

			// A fan-out, one frame a write.
			push := func(size, count, batch int) {
				t.Helper()
				p.send(fmt.Sprintf(`{"cmd":"push","size":%d,"count":%d,"batch":%d}`, size, count, batch))
				together(t, clients, func(c *client) error { return d.push(c, size, count) })
				var r control.PushResult
				p.read(&r)
				writes := int64(conns * ((count + batch - 1) / batch))
				if r.Frames != int64(conns*count) || r.Writes != writes || r.CPU <= 0 || r.Wall <= 0 {
					t.Errorf("push of %d frames of %d bytes, %d a write: %+v, want %d frames and %d writes, and some time", count, size, batch, r, conns*count, writes)
				}
			}
			push(512, 20, 1)
			push(100, 1, 1)   // a short frame
			push(30000, 2, 1) // one whose length takes two bytes
			// Frames that share a write, the last fewer than the others.
			if d.batches {
				push(512, 10, 4)
			} else if why := p.refused(`{"cmd":"push","size":512,"count":10,"batch":4}`); !strings.Contains(why, "write") {
				t.Errorf("a batch is refused with %q", why)
			}

			// Echoes of all connections at once.
			together(t, clients, func(c *client) error {
				for _, size := range []int{1, 125, 126, 5000} {
					if err := d.echo(c, payload(size)); err != nil {
						return err
					}
				}
				return nil
			})

			// Connections that end are forgotten, and the others still served.
			for _, c := range clients[10:] {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
			s := p.awaitConns(10)
			if s.RSS < 1<<20 || s.Heap < 1<<10 || s.Objects < 10 || s.CPU <= 0 {
				t.Errorf("stats of a running process: %+v", s)
			}
			clients = clients[:10]
			together(t, clients, func(c *client) error { return d.echo(c, []byte("still here")) })
			p.quit()

			// Their connections have ended.
			together(t, clients, func(c *client) error {
				if _, err := io.Copy(io.Discard, c.in); err != nil && !strings.Contains(err.Error(), "reset") {
					return err
				}
				return nil
			})
		})
	}
}

// TestBacklog pushes more than sockets hold, to clients that begin to read when the
// push is well under way: nothing may be lost or torn.
func TestBacklog(t *testing.T) {
	const conns, size, count = 4, 4096, 5000 // 20 MB each
	for _, d := range dialects {
		if !d.whole {
			continue // see the package's documentation
		}
		batches := []int{1}
		if d.batches {
			batches = append(batches, 16)
		}
		for _, batch := range batches {
			t.Run(fmt.Sprint(d.name, "/", batch), func(t *testing.T) {
				// Where a slow client holds up its worker, there must be another.
				t.Setenv("GOMAXPROCS", "2")
				d.prepare(t)
				p := start(t, d.name)
				clients := p.dialAll(conns)
				p.awaitConns(conns)
				p.send(fmt.Sprintf(`{"cmd":"push","size":%d,"count":%d,"batch":%d}`, size, count, batch))
				// One reads nothing before another has everything, so it is behind by more than
				// a socket holds.
				var once sync.Once
				first := make(chan struct{})
				together(t, clients, func(c *client) error {
					if c == clients[0] {
						<-first
					}
					defer once.Do(func() { close(first) })
					return d.push(c, size, count)
				})
				var r control.PushResult
				p.read(&r)
				if r.Frames != conns*count {
					t.Errorf("%+v, want %d frames", r, conns*count)
				}
				p.quit()
			})
		}
	}
}
