package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// TestShutdown sends SIGTERM to a node under load, with clients among its own that
// have no manners.
func TestShutdown(t *testing.T) {
	const senders, window = 5, 50
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := newLog(t, b, 16)
		// Who has not sent a request is there before the load, which may last on a slow machine.
		n := serve(t, cfg, newKey(t, auth.HS256), slices.Concat(noRate, roomy, []string{"--limits-upgrade-timeout", "1m"})...)
		var from []*device
		for s := range senders {
			from = append(from, connect(t, n, fmt.Sprint("sender-", s), options{device: "phone", encoding: codec.Encoding(s % codec.Encodings)}))
		}
		bob := connect(t, n, "bob", options{device: "phone"})
		mute := connect(t, n, "bob", options{device: "mute", mute: true})
		silent := open(t, n, 0)
		half := open(t, n, 0)
		if _, err := half.Write([]byte("GET /v1/connect HTTP/1.1\r\nHost: ")); err != nil {
			t.Fatal(err)
		}

		var stored atomic.Int64
		var wg sync.WaitGroup
		sent := make([]int, senders)
		for s, d := range from {
			wg.Go(func() {
				// The ping's answer says that the server has taken the send before it.
				sent[s] = d.pour(1_000_000, window, &stored, func(i int) []*codec.ClientFrame {
					return []*codec.ClientFrame{sendFrame(fmt.Sprint("m", i), "hello", "bob"), {Type: codec.FramePing}}
				})
			})
		}
		eventually(t, "there is load", func() bool { return stored.Load() > 1000 })
		n.terminate(t)

		for _, d := range append(from, bob) {
			if code := d.ended(); code != uint16(codec.CloseRestart) || d.lastError() != backplane.CodeShutdown {
				t.Errorf("%s was told %q and close code %d", d.timeline.name, d.lastError(), code)
			}
		}
		wg.Wait()
		// mute keeps the node from ending at once: what comes meanwhile is refused.
		refused(t, n)
		for _, c := range []io.Reader{silent, half} {
			answer, err := io.ReadAll(c)
			if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) {
				t.Errorf("who had not sent a request was answered %q, %v", answer, err)
			}
		}
		if code := n.wait(t); code != 0 {
			t.Errorf("exit status %d", code)
		}
		mute.until("the close", func() bool { return mute.closed != nil && mute.closed.Code == uint16(codec.CloseRestart) })
		for _, line := range n.complaints() {
			t.Errorf("the node complains: %s", line)
		}

		log := places(readLog(t, cfg))
		for s, d := range from {
			acknowledged(t, log, d, "bob")
			if d.pongs == 0 || d.pongs > sent[s] {
				t.Errorf("%s: %d pongs for %d pings", d.timeline.name, d.pongs, sent[s])
			}
			for i := 1; i <= sent[s]; i++ {
				switch acks := d.acks[fmt.Sprint("m", i)]; {
				case len(acks) == 0:
					if i <= d.pongs {
						t.Errorf("%s: m%d was taken, and never answered", d.timeline.name, i)
					}
				case acks[0].Status == backplane.Stored, acks[0].Status == backplane.Rejected && acks[0].Code == backplane.CodeShutdown:
				default:
					t.Errorf("%s: m%d was answered %d %q", d.timeline.name, i, acks[0].Status, acks[0].Code)
				}
			}
		}
	})
}

// refused checks that a node that stops takes no new clients, be it with an answer or
// without.
func refused(t testing.TB, n *node) {
	t.Helper()
	s, err := dial(n.url, n.token(t, "late"), options{})
	if err == nil {
		s.conn.Close()
		t.Error("a client was let in while the node stops")
		return
	}
	if status := (*ws.StatusError)(nil); errors.As(err, &status) {
		if status.Status != http.StatusServiceUnavailable || status.Header("Retry-After") == "" {
			t.Errorf("a client was refused with %d, %q", status.Status, status.Body)
		}
	}
}

// TestShutdownWaitsForLog stops a node while the log does not answer: what was taken
// is answered when it does, and only then clients are sent away.
func TestShutdownWaitsForLog(t *testing.T) {
	t.Parallel()
	const count = 20
	broker := kafkatest.Private(t)
	cfg := broker.Config(t, 4)
	n := serve(t, cfg, newKey(t, auth.HS256))
	alice := connect(t, n, "alice", options{device: "phone"})
	idle := connect(t, n, "carol", options{device: "phone", encoding: codec.Proto})
	alice.store("m0", "before", "bob")

	broker.Pause()
	t.Cleanup(broker.Resume)
	for i := 1; i <= count; i++ {
		alice.send(fmt.Sprint("m", i), "hello", "bob")
	}
	alice.ping()
	n.terminate(t)
	if code := idle.ended(); code != uint16(codec.CloseRestart) {
		t.Errorf("who waits for nothing is sent away with %d", code)
	}
	alice.send("late", "hello", "bob")
	if a := alice.ack("late", 0); a.Status != backplane.Rejected || a.Code != backplane.CodeShutdown {
		t.Errorf("a send to a node that stops was answered %d %q", a.Status, a.Code)
	}
	alice.ping() // it is still there
	broker.Resume()
	for i := 1; i <= count; i++ {
		if a := alice.ack(fmt.Sprint("m", i), 0); a.Status != backplane.Stored {
			t.Errorf("m%d was answered %d %q", i, a.Status, a.Code)
		}
	}
	if code := alice.ended(); code != uint16(codec.CloseRestart) {
		t.Errorf("close code %d", code)
	}
	if code := n.wait(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	acknowledged(t, places(readLog(t, cfg)), alice, "bob")
}

// TestDevStops has godwit dev end by itself with clients connected, one of which never
// reads.
func TestDevStops(t *testing.T) {
	n := dev(t, t.TempDir())
	bob := connect(t, n, "bob", options{})
	connect(t, n, "bob", options{deaf: true})
	alice := connect(t, n, "alice", options{encoding: codec.Proto})
	alice.store("m1", "hello", "bob")
	bob.got(1)
	n.stop(t)
	if code := bob.ended(); code != uint16(codec.CloseRestart) {
		t.Errorf("close code %d", code)
	}
	if log := n.Stderr.String(); log != "" {
		t.Errorf("godwit dev complains:\n%s", log)
	}
}
