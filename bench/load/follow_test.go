package load

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// front stands before a node, and can be cut off like one that dies.
type front struct {
	addr string
	ln   net.Listener
	done sync.WaitGroup

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

func newFront(t *testing.T, node string) *front {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{addr: ln.Addr().String(), ln: ln}
	f.done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", node)
			if err != nil {
				c.Close()
				continue
			}
			f.mu.Lock()
			if f.dead {
				c.Close()
				to.Close()
			}
			f.conns = append(f.conns, c, to)
			f.mu.Unlock()
			for _, pair := range [][2]net.Conn{{c, to}, {to, c}} {
				f.done.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
				})
			}
		}
	})
	t.Cleanup(f.kill)
	return f
}

// kill closes all connections, and takes no more.
func (f *front) kill() {
	f.ln.Close()
	f.mu.Lock()
	f.dead = true
	for _, c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.done.Wait()
}

// following is a configuration of n connections that find their nodes.
func following(addr string, n int, seeds ...string) Config {
	return Config{
		Addr: addr, Seeds: seeds, Protocol: Proto, Connections: n, Loops: 2, Key: secret, Partitions: partitions, Follow: true,
	}
}

// TestFollow goes where nodes direct, whether they say so at once or are busy first.
func TestFollow(t *testing.T) {
	addr := node(t)
	var mu sync.Mutex
	refused := 0
	front, stop := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch refused++; {
		case r.URL.Path == routePath:
			io.WriteString(w, `{"user":"x","url":"ws://`+addr+`/v1/connect","map_version":1}`)
		case refused%2 == 0:
			http.Error(w, "not_ready: it is starting", http.StatusServiceUnavailable)
		default:
			w.Header().Set(codec.HeaderNodeURL, "ws://"+addr+"/v1/connect")
			w.Header().Set(codec.HeaderMapVersion, "1")
			http.Error(w, "not_owner: elsewhere", http.StatusMisdirectedRequest)
		}
	}))
	defer stop()
	g := start(t, following(front, 50, front))
	ctx := within(t)
	r, err := g.Connect(ctx, 50, 0)
	if err != nil || r.Stats.Open != 50 || r.Stats.Failed != 0 || r.Stats.Directed != 50 || r.Stats.Retried < 50 || r.Connect.Count != 50 {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err = g.Run(ctx, Traffic{Shape: Unicast, Size: 100, InFlight: 10, Count: 200})
	flawless(t, r, err, 400)
}

// TestFollowBack has connections lost while messages are sent: they come back through another
// node, with what they have missed.
func TestFollowBack(t *testing.T) {
	addr := node(t)
	first := newFront(t, addr)
	c := following(first.addr, 60)
	c.Protocol = JSON
	g := start(t, c)
	ctx := within(t)
	if r, err := g.Connect(ctx, 60, 0); err != nil || r.Stats.Open != 60 {
		t.Fatalf("%+v, %v", r, err)
	}
	// They learn of the other as they would from a redirect.
	g.each(func(l *loop) {
		if _, err := l.nodeAt("ws://" + addr + connectPath); err != nil {
			t.Error(err)
		}
	})
	type outcome struct {
		r   Result
		err error
	}
	ran := make(chan outcome)
	go func() {
		r, err := g.Run(ctx, Traffic{Shape: Unicast, Size: 100, Rate: 200, Count: 400})
		ran <- outcome{r, err}
	}()
	for g.Stats().Stored < 20 {
		time.Sleep(time.Millisecond)
	}
	first.kill()
	o := <-ran
	r := o.r
	if o.err != nil || r.Stats.Closed != 60 || r.Stats.Opened != 60 || r.Stats.Resumed != 60 || r.Back.Count != 60 || r.Stats.Failed != 0 {
		t.Fatalf("%+v, %v", r, o.err)
	}
	if !r.Check.Exact() || r.Check.Unchecked != 0 || r.Check.Due == 0 || r.Stats.Asked == 0 || r.Stats.Missing+r.Stats.Repeated+r.Stats.Bad != 0 {
		t.Errorf("%+v", r)
	}
	if r, err := g.Back(ctx); err != nil || r.Stats.Open != 60 || r.Back.Count != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestFollowMoved has a node send its clients elsewhere.
func TestFollowMoved(t *testing.T) {
	addr := node(t)
	leaving := clientsAreMoved(t, addr)
	g := start(t, following(leaving, 20))
	ctx := within(t)
	opened, err := g.Connect(ctx, 20, 0)
	if err != nil || opened.Stats.Opened < 20 {
		t.Fatalf("%+v, %v", opened, err)
	}
	for g.Stats().Opened < 40 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	r, err := g.Back(ctx)
	if err != nil || r.Stats.Open != 20 || opened.Back.Count+r.Back.Count != 20 {
		t.Fatalf("%+v, %v", r, err)
	}
	if s := g.Stats(); s.Directed != 20 || s.Closed != 20 || s.Retried != 0 || s.Asked != 0 || s.Events["closed: by the server with 4200"] != 20 {
		t.Errorf("%+v", s)
	}
	r, err = g.Run(ctx, Traffic{Shape: Unicast, Size: 100, InFlight: 10, Count: 100})
	flawless(t, r, err, 200)
}

// clientsAreMoved is a node that welcomes everybody, and sends them to another.
func clientsAreMoved(t *testing.T, to string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.NewVerifier(auth.Options{Algorithm: auth.HS256, Key: secret})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	serve := func(c net.Conn) {
		defer c.Close()
		user := ""
		u := gobwas.Upgrader{
			Protocol: func(p []byte) bool { return string(p) == codec.Proto.Subprotocol() },
			OnHeader: func(key, value []byte) error {
				if string(key) != "Authorization" {
					return nil
				}
				claims, err := v.Verify(strings.TrimPrefix(string(value), "Bearer "), time.Now())
				user = claims.User
				return err
			},
		}
		if _, err := u.Upgrade(c); err != nil {
			return
		}
		for _, p := range [][]byte{
			codec.AppendWelcome(nil, codec.Proto, &codec.Welcome{User: user}),
			codec.AppendMoved(nil, codec.Proto, &codec.Moved{URL: "ws://" + to + connectPath, Node: "n2", MapVersion: 1}),
		} {
			if wsutil.WriteServerBinary(c, p) != nil {
				return
			}
		}
		_ = gobwas.WriteFrame(c, gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(gobwas.StatusCode(codec.CloseMoved), "")))
	}
	done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			done.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); done.Wait() })
	return ln.Addr().String()
}

// TestFollowGivesUp: what would be refused again is not tried again.
func TestFollowGivesUp(t *testing.T) {
	c := following(node(t), 3)
	c.Key = slices.Repeat([]byte("x"), 32)
	r, err := start(t, c).Connect(within(t), 3, 0)
	if err != nil || r.Stats.Failed != 3 || r.Stats.Retried != 0 || r.Stats.Connecting != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestFollowTimes: an attempt without an answer ends, and is made again after a pause.
func TestFollowTimes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // whose backlog takes connections, and nobody else
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	g := start(t, following(ln.Addr().String(), 5))
	ended := make(chan error)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	go func() {
		_, err := g.Connect(ctx, 5, 0)
		ended <- err
	}()
	for g.Stats().Retried < 20 && ctx.Err() == nil {
		g.each(func(l *loop) {
			l.slots.each(func(c *conn) { l.wakeAt(c, l.now) }) // the time is over, or the pause
		})
		time.Sleep(time.Millisecond)
	}
	s := g.Stats()
	if s.Connecting != 5 || s.Failed != 0 || s.Events["again: no answer in time"] != s.Retried {
		t.Errorf("%+v", s)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s := g.Stats(); s.Failed != 5 || s.Connecting != 0 {
		t.Errorf("%+v", s)
	}
}

func TestJudge(t *testing.T) {
	status := func(n int, fields ...string) error {
		p := []byte("HTTP/1.1 " + strconv.Itoa(n) + " X\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n")
		_, err := ws.ParseResponse(p, [16]byte{}, nil)
		return err
	}
	for name, tt := range map[string]struct {
		err   error
		open  bool
		want  verdict
		pause time.Duration
	}{
		"lost":               {io.ErrUnexpectedEOF, true, again, 0},
		"not reached":        {io.ErrUnexpectedEOF, false, askNode, 0},
		"bad token":          {status(401), false, giveUp, 0},
		"another node":       {status(421), false, goThere, 0},
		"too many":           {status(429, "Retry-After: 7"), false, again, 7 * time.Second},
		"busy":               {status(503, "Retry-After: 100"), false, askNode, maxPause},
		"stopping":           {closedError(codec.CloseGoingAway), true, askNode, 0},
		"moved":              {closedError(codec.CloseMoved), true, goThere, 0},
		"slow":               {closedError(codec.CloseSlow), true, again, 0},
		"policy":             {closedError(codec.ClosePolicy), true, giveUp, 0},
		"end of the opening": {errGivenUp, false, giveUp, 0},
	} {
		if got, pause := judge(tt.err, tt.open); got != tt.want || pause != tt.pause {
			t.Errorf("%s: %v, %v, want %v, %v", name, got, pause, tt.want, tt.pause)
		}
	}
}

// TestLead: nobody is led back to an older map, unless many say the same, nor in circles.
func TestLead(t *testing.T) {
	g := start(t, following("127.0.0.1:1", 1, "127.0.0.1:2"))
	g.each(func(l *loop) {
		if l.index != 0 {
			return
		}
		to := func(f *follower, port string, version uint64) error {
			return l.lead(f, direction{"ws://127.0.0.1:" + port + connectPath, version})
		}
		f := &follower{failures: 3}
		if err := to(f, "2", 7); err != nil || f.node != 1 || f.lead != 7 || f.failures != 0 {
			t.Errorf("%+v, %v", f, err)
		}
		for i := range maxOlder {
			if err := to(f, "1", 6); !errors.Is(err, errOlder) || f.node != 1 {
				t.Errorf("%d older answers: %+v, %v", i+1, f, err)
			}
		}
		if err := to(f, "1", 6); err != nil || f.node != 0 || f.version != 6 {
			t.Errorf("one more: %+v, %v", f, err)
		}
		for range maxLed {
			f.failures = 1
			_ = to(f, "1", 8)
			_ = to(f, "2", 8)
		}
		if f.led <= maxLed || f.failures == 0 {
			t.Errorf("led in circles: %+v", f)
		}
		for _, bad := range []string{"wss://127.0.0.1:1/", "ws://", "%"} {
			if err := l.lead(f, direction{bad, 9}); err == nil || f.version != 8 {
				t.Errorf("%q: %+v, %v", bad, f, err)
			}
		}
	})
}

// TestLives chooses users by where they live, and everything works as with all.
func TestLives(t *testing.T) {
	lives := []backplane.Partition{3, 11}
	c := following(node(t), 40)
	c.Lives = lives
	g := start(t, c)
	seen := map[string]bool{}
	for user := range uint32(40) {
		name := g.config.appendUser(nil, user)
		seen[string(name)] = true
		if p := backplane.PartitionOf(name, partitions); !slices.Contains(lives, p) {
			t.Errorf("%s lives in %d", name, p)
		}
	}
	if absent := string(g.config.appendUser(nil, 40)); len(seen) != 40 || seen[absent] {
		t.Errorf("%d names of 40 users; %s is nobody's", len(seen), absent)
	}
	ctx := within(t)
	if r, err := g.Connect(ctx, 40, 0); err != nil || r.Stats.Open != 40 {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err := g.Run(ctx, Traffic{Shape: Unicast, Size: 100, InFlight: 10, Count: 100})
	flawless(t, r, err, 200)
}
