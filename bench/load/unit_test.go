package load

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/godwit-im/godwit/backplane"
)

func serveHTTP(t *testing.T, h http.Handler) (addr string, stop func()) {
	t.Helper()
	s := httptest.NewServer(h)
	return strings.TrimPrefix(s.URL, "http://"), s.Close
}

// echoServer accepts WebSockets and sends back what comes, through change.
func echoServer(t *testing.T, change func(n int, payload []byte) [][]byte) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := gobwas.Upgrade(c); err != nil {
					return
				}
				for n := 0; ; n++ {
					p, err := wsutil.ReadClientBinary(c)
					if err != nil {
						return
					}
					for _, q := range change(n, p) {
						if wsutil.WriteServerBinary(c, q) != nil {
							return
						}
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func TestEcho(t *testing.T) {
	addr := echoServer(t, func(_ int, p []byte) [][]byte { return [][]byte{p} })
	g := start(t, Config{Addr: addr, Protocol: Plain, Connections: 20, Loops: 2})
	ctx := within(t)
	if r, err := g.Connect(ctx, 20, 0); err != nil || r.Stats.Open != 20 {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err := g.Run(ctx, Traffic{Shape: Unicast, Size: 200, InFlight: 10, Count: 500})
	flawless(t, r, err, 500)
	if r.Ack.Count != 500 || r.Deliver.Count != 500 {
		t.Errorf("%+v, %+v", r.Ack, r.Deliver)
	}
}

// TestCheckSees has a server lose and double echoes: each must be noticed.
func TestCheckSees(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(n int, p []byte) [][]byte
		noted  func(r Result) bool
	}{
		"a loss": {
			func(n int, p []byte) [][]byte {
				if n == 3 {
					return nil
				}
				return [][]byte{p}
			},
			func(r Result) bool { return r.Stats.Unknown == 1 && r.Stats.Stored == 9 },
		},
		"a double": {
			func(n int, p []byte) [][]byte {
				if n == 3 {
					return [][]byte{p, p}
				}
				return [][]byte{p}
			},
			func(r Result) bool { return r.Check.Doubled == 1 && !r.Check.Exact() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, Config{Addr: echoServer(t, tt.change), Protocol: Plain, Connections: 1})
			ctx := within(t)
			if _, err := g.Connect(ctx, 1, 0); err != nil {
				t.Fatal(err)
			}
			r, err := g.Run(ctx, Traffic{Shape: Unicast, Size: 100, InFlight: 10, Count: 10, Patience: 500 * time.Millisecond})
			if err != nil || !tt.noted(r) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// bookkeeping is a loop with ten open connections of as many users.
func bookkeeping(fanout int) (*Generator, *loop, *book) {
	c := Config{Protocol: Proto, Connections: 10, Users: 10, Partitions: 1, Prefix: "u"}
	g := &Generator{config: c}
	l := &loop{g: g}
	g.loops = []*loop{l}
	for range 10 {
		l.slots.take().state = stateOpen
	}
	return g, l, newBook(&c, fanout)
}

func (l *loop) give(user uint32, s stamp) {
	c := l.slots.at(int(user))
	c.count++
	c.sum += s.hash()
}

// TestBook gives connections what they are due, and then something else.
func TestBook(t *testing.T) {
	g, l, b := bookkeeping(0)
	one, two := stamp{1, 3, 1}, stamp{1, 3, 2}
	for _, s := range []stamp{one, two} {
		b.enter(g, s, 7, true)
		l.give(7, s)
		l.give(3, s)
	}
	if got := l.check(b); !got.Exact() || got.Due != 4 || got.Checked != 10 {
		t.Fatalf("%+v", got)
	}
	c := l.slots.at(7)
	c.sum ^= 1
	if got := l.check(b); got.Wrong != 1 || got.Exact() {
		t.Errorf("another message in place of one: %+v", got)
	}
	c.count--
	if got := l.check(b); got.Lost != 1 || got.Exact() {
		t.Errorf("a loss: %+v", got)
	}
	c.count += 3
	if got := l.check(b); got.Doubled != 2 || got.Exact() {
		t.Errorf("two too many: %+v", got)
	}
	b.enter(g, stamp{1, 2, 1}, 7, false)
	if got := l.check(b); got.Doubled != 1 || got.Maybe != 2 {
		t.Errorf("two too many, one of which may be there: %+v", got)
	}
	c.count--
	if got := l.check(b); !got.Exact() {
		t.Errorf("one that may be there: %+v", got)
	}
	c.count, c.partial = 0, true
	if got := l.check(b); !got.Exact() || got.Unchecked != 1 || got.Checked != 9 {
		t.Errorf("a connection that was not there: %+v", got)
	}
}

// TestBookOfGroups: what goes to a group is due to all of its members.
func TestBookOfGroups(t *testing.T) {
	g, l, b := bookkeeping(5)
	if len(b.members) != 2 {
		t.Fatalf("%d groups of 10 users by fives", len(b.members))
	}
	s := stamp{1, 2, 1}
	b.enter(g, s, 1, true)
	for _, user := range b.members[1] {
		l.give(user, s)
	}
	if got := l.check(b); !got.Exact() || got.Due != 5 {
		t.Errorf("%+v", got)
	}
	l.slots.at(int(b.members[0][0])).count++
	if got := l.check(b); got.Doubled != 1 {
		t.Errorf("one to the other group: %+v", got)
	}
}

func TestGroupsShareAPartition(t *testing.T) {
	c := Config{Connections: 1000, Users: 1000, Partitions: 16, Prefix: "load-"}
	b := newBook(&c, 64)
	seen := 0
	for group, members := range b.members {
		if len(members) < 2 || len(members) > 64 {
			t.Errorf("a group of %d", len(members))
		}
		p := backplane.PartitionOf(c.appendUser(nil, members[0]), c.Partitions)
		for _, user := range members {
			if q := backplane.PartitionOf(c.appendUser(nil, user), c.Partitions); q != p {
				t.Errorf("group %d has users of the partitions %d and %d", group, p, q)
			}
			if b.groupOf[user] != int32(group) {
				t.Errorf("user %d is in the groups %d and %d", user, group, b.groupOf[user])
			}
			seen++
		}
	}
	if seen != 1000 {
		t.Errorf("%d users are in groups", seen)
	}
}

func TestStamps(t *testing.T) {
	s := stamp{0xdeadbeef, 7, 1 << 31}
	if got, ok := parseStamp(s.append(nil)); !ok || got != s {
		t.Errorf("%+v, %v", got, ok)
	}
	body := appendBody(nil, s, 1<<40+5, 200)
	if got, at, ok := parseBody(body, 200); !ok || got != s || at != 1<<40+5 || len(body) != 200 {
		t.Errorf("%+v, %d, %v", got, at, ok)
	}
	for i := range body {
		body[i] ^= 0x40
		if got, at, ok := parseBody(body, 200); ok && got == s && at == 1<<40+5 {
			t.Errorf("a change at %d was not noticed", i)
		}
		body[i] ^= 0x40
	}
	if _, _, ok := parseBody(body[:199], 200); ok {
		t.Error("a cut was not noticed")
	}
	if _, ok := parseStamp([]byte("hello")); ok {
		t.Error("that is no stamp")
	}
	if n := testing.AllocsPerRun(100, func() {
		body = appendBody(body[:0], s, 1, 200)
		_, _, _ = parseBody(body, 200)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestConnSize holds the promise of the package: a million connections fit.
func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 128 {
		t.Errorf("a connection takes %d bytes", n)
	}
	if n := unsafe.Sizeof(follower{}); n > 56 {
		t.Errorf("what a connection has with Follow takes %d bytes", n)
	}
}

// TestGivingUp: connections that get no answer are given up, and the next try does
// not count them.
func TestGivingUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // whose backlog takes them, and nobody else
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	g := start(t, Config{Addr: ln.Addr().String(), Protocol: Plain, Connections: 5})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r, err := g.Connect(ctx, 5, 0); !errors.Is(err, context.DeadlineExceeded) || r.Stats.Opened != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if s := g.Stats(); s.Connecting != 0 || s.Failed != 5 {
		t.Errorf("%+v", s)
	}
}

// TestRemote drives a load process, in this process.
func TestRemote(t *testing.T) {
	addr := echoServer(t, func(_ int, p []byte) [][]byte { return [][]byte{p} })
	requests, in := io.Pipe()
	out, replies := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Serve(requests, replies)
		requests.Close()
		replies.Close()
		ended <- err
	}()
	r := NewRemote(in, bufio.NewReader(out))
	if _, err := r.Connect(1, 0, patience); err == nil || !strings.Contains(err.Error(), "before start") {
		t.Errorf("connect without a generator: %v", err)
	}
	if err := r.Start(Config{Protocol: "x"}); err == nil || !strings.Contains(err.Error(), "Protocol") {
		t.Errorf("a bad config: %v", err)
	}
	if err := r.Start(Config{Addr: addr, Protocol: Plain, Connections: 8}); err != nil {
		t.Fatal(err)
	}
	if res, err := r.Connect(8, 0, patience); err != nil || res.Stats.Open != 8 {
		t.Fatalf("%+v, %v", res, err)
	}
	if res, err := r.Storm(2, 0, patience); err != nil || res.Stats.Opened != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	res, err := r.Run(Traffic{Shape: Unicast, Size: 64, InFlight: 4, Count: 100})
	flawless(t, res, err, 100)
	if n, err := r.Leave(2); err != nil || n != 2 {
		t.Errorf("%d have left, %v", n, err)
	}
	if res, err := r.Return(0, patience); err != nil || res.Stats.Opened != 2 || res.Stats.Open != 8 {
		t.Errorf("%+v, %v", res, err)
	}
	if n, err := r.Slow(3); err != nil || n != 3 {
		t.Errorf("%d are slow, %v", n, err)
	}
	if n, err := r.Resume(); err != nil || n != 3 {
		t.Errorf("%d had been slow, %v", n, err)
	}
	if s, err := r.Stats(); err != nil || s.Stored != 100 || s.Open != 8 {
		t.Errorf("%+v, %v", s, err)
	}
	if u, err := r.Usage(); err != nil || u.RSS == 0 || u.CPU == 0 {
		t.Errorf("%+v, %v", u, err)
	}
	if err := r.Quit(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := r.Stats(); err == nil {
		t.Error("the process has ended, and answered")
	}
}
