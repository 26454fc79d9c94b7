package reactor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/placement"
	"github.com/godwit-im/godwit/server/session"
	"github.com/godwit-im/godwit/server/tail"
)

// gnet keeps a pool of goroutines, for the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"))
}

// patience bounds every wait for something that must come.
const patience = 30 * time.Second

// node is a reactor with a log of one partition in memory: what is produced gets
// an offset and its answer on one goroutine, as with the log's promises, and goes
// through a dispatcher on another.
type node struct {
	t          *testing.T
	r          *Reactor
	deps       *session.Deps
	dispatcher *delivery.Dispatcher
	records    chan *backplane.Record
	handed     atomic.Int64 // records that the worker is through with
	offset     int64
	mu         sync.Mutex
	wg         sync.WaitGroup
}

func start(t *testing.T, change func(*Config)) *node {
	t.Helper()
	n := &node{t: t, records: make(chan *backplane.Record, 100_000)}
	all := placement.All(1)
	place, err := placement.New(1, 1, "n1", []placement.Node{{Name: "n1", URL: "ws://n1", Partitions: all}})
	if err != nil {
		t.Fatal(err)
	}
	n.deps = &session.Deps{
		Registry: registry.New(), Producer: n, Placement: placement.NewCurrent(place), Tails: tail.NewTails(1, 1, 1, 1<<20),
		Memory: delivery.NewMemory(256 << 20), Verifier: anyone{}, Ready: func() bool { return true },
		Reached: func(backplane.Partition) bool { return true }, Degraded: func() bool { return false },
	}
	c := Config{
		Listen: "127.0.0.1:0", Loops: 2, Log: slog.New(slog.DiscardHandler),
		Session: session.Config{
			Node: "n1", Body: 64 << 10, QueueMessages: 256, QueueBytes: 1 << 20, InFlight: 1000, Answers: 4096,
			UpgradeTimeout: 10 * time.Second, Heartbeat: time.Minute, Idle: time.Hour, CursorLag: time.Hour,
		},
	}
	if change != nil {
		change(&c)
	}
	n.r = New(c, n.deps)
	n.dispatcher = delivery.New(delivery.Config{Loops: n.r, Registry: n.deps.Registry, Memory: n.deps.Memory, Tails: n.deps.Tails, Remember: 1 << 20, Log: c.Log})
	if err := errors.Join(n.r.Bind(), n.r.Start()); err != nil {
		t.Fatal(err)
	}
	n.wg.Go(func() {
		for rec := range n.records {
			n.dispatcher.Record(rec)
			n.handed.Add(1)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.r.Stop(ctx); err != nil {
			t.Error(err)
		}
		close(n.records)
		n.wg.Wait()
		if users, connections := n.deps.Registry.Len(); users+connections != 0 {
			t.Errorf("%d users, %d connections are left in the registry", users, connections)
		}
	})
	return n
}

// anyone takes a token for the name of its user.
type anyone struct{}

func (anyone) Verify(token string, now time.Time) (auth.Claims, error) {
	return auth.Claims{User: token, Expires: now.Add(time.Hour)}, nil
}
func (anyone) Cached(string, time.Time) (auth.Claims, bool) { return auth.Claims{}, false }
func (anyone) Fast() bool                                   { return true }

// Produce puts a send into the log and answers it.
func (n *node) Produce(s *backplane.Send, w backplane.Waiter) error {
	var recipients []byte
	for _, u := range append([][]byte{s.From}, s.To...) {
		recipients = backplane.AppendRecipient(recipients, u)
	}
	n.mu.Lock()
	rec := &backplane.Record{
		Position: backplane.Position{Generation: 1, Offset: n.offset}, Time: time.Now().UnixMilli(),
		Value: bytes.Clone(s.Value), Recipients: recipients, Session: s.Session,
	}
	n.offset++
	n.records <- rec
	n.mu.Unlock()
	w.Done(backplane.Outcome{Status: backplane.Stored, Time: rec.Time})
	return nil
}

// publish puts a message of a backend into the log.
func (n *node) publish(from, to, id string, body []byte) {
	m := &backplane.Message{From: []byte(from), To: [][]byte{[]byte(to)}, ID: []byte(id), Body: body}
	m.MessageID = backplane.Identify(nil, m)
	_ = n.Produce(&backplane.Send{ID: m.MessageID, From: m.From, To: m.To, Value: backplane.AppendMessage(nil, m)}, discard{})
}

type discard struct{}

func (discard) Done(backplane.Outcome) {}

// loops returns the reactor's loops.
func (n *node) loops() []*loop { return n.r.loops }

// on runs f on a loop and waits for it.
func on(l *loop, f func()) {
	done := make(chan struct{})
	l.do(func() { f(); close(done) })
	<-done
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
	}
}

// client is a client over a real socket.
type client struct {
	t      *testing.T
	conn   *net.TCPConn
	in     *bufio.Reader
	reader ws.Reader
	rest   []byte
	handle registry.Handle
	user   string
}

func (n *node) dial() *net.TCPConn {
	n.t.Helper()
	c, err := net.Dial("tcp", n.r.Addr().String())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c.(*net.TCPConn)
}

// connect opens a session and reads its welcome.
func (n *node) connect(user string) *client {
	n.t.Helper()
	c := &client{t: n.t, conn: n.dial()}
	c.in = bufio.NewReaderSize(c.conn, 64<<10)
	req := ws.AppendRequest(nil, "h", session.PathConnect+"?token="+user, [16]byte{}, []string{codec.Proto.Subprotocol()})
	if _, err := c.conn.Write(req); err != nil {
		n.t.Fatal(err)
	}
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = c.in.ReadString('\n'); err != nil {
			n.t.Fatal(err)
		}
	}
	if f := c.next(); f.Type != codec.FrameWelcome {
		n.t.Fatalf("the first frame is a %v", f.Type)
	}
	return c
}

// next reads a frame.
func (c *client) next() *codec.ServerFrame {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *client) read() (*codec.ServerFrame, error) {
	buf := make([]byte, 64<<10)
	for {
		ev, n, ok, err := c.reader.Next(c.rest, &ws.Limits{MessageBytes: 1 << 20, Client: true})
		if err != nil {
			return nil, err
		}
		c.rest = c.rest[n:]
		switch {
		case ok && ev.Op == ws.Close:
			return nil, fmt.Errorf("closed with %d", ev.Code)
		case ok:
			f := new(codec.ServerFrame)
			return f, codec.DecodeServer(codec.Proto, bytes.Clone(ev.Payload), f)
		}
		m, err := c.in.Read(buf)
		if err != nil {
			return nil, err
		}
		c.rest = append([]byte(nil), buf[:m]...)
	}
}

func (c *client) frame(f codec.ClientFrame) {
	c.t.Helper()
	if _, err := c.conn.Write(ws.AppendMasked(nil, ws.Binary, codec.AppendClientFrame(nil, codec.Proto, &f), [4]byte{1, 2, 3, 4})); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) send(id, to string) {
	c.t.Helper()
	c.frame(codec.ClientFrame{Type: codec.FrameSend, Send: codec.Send{ID: []byte(id), To: [][]byte{[]byte(to)}, Body: []byte("hi")}})
}

// onEachLoop connects a user for each loop, and returns their clients by loop.
func (n *node) onEachLoop() []*client {
	n.t.Helper()
	clients := make([]*client, n.r.config.Loops)
	for i := 0; ; i++ {
		user := fmt.Sprintf("user%d", i)
		c := n.connect(user)
		c.user = user
		c.handle = n.deps.Registry.Append(nil, []byte(user))[0]
		if clients[c.handle.Loop()] == nil {
			clients[c.handle.Loop()] = c
		} else {
			c.conn.Close()
		}
		all := true
		for _, c := range clients {
			all = all && c != nil
		}
		if all {
			return clients
		}
	}
}

// TestFullMailbox fills the mailbox of one loop. The worker that has to deliver
// there waits; the loop's answers go on, and so does all else.
func TestFullMailbox(t *testing.T) {
	n := start(t, nil)
	clients := n.onEachLoop()
	held, free := n.loops()[0], clients[1]
	heldUser, freeUser := clients[0].user, free.user
	on(held, func() { held.budget = 0 })

	total := held.mailbox.Cap() + 100
	for i := range total {
		n.publish("backend", heldUser, fmt.Sprint(i), binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	eventually(t, "a full mailbox", func() bool { return held.mailbox.Len() == held.mailbox.Cap() })

	// The loop itself answers: a send is stored, and acknowledged.
	clients[0].send("m1", freeUser)
	if f := clients[0].next(); f.Type != codec.FrameAck || f.Ack.Status != backplane.Stored {
		t.Fatalf("got a %v", f.Type)
	}
	// Another worker delivers to the other loop. (Ours waits.)
	other := delivery.New(delivery.Config{Loops: n.r, Registry: n.deps.Registry, Memory: n.deps.Memory, Tails: n.deps.Tails, Remember: 1 << 20, Log: n.r.config.Log})
	m := &backplane.Message{MessageID: backplane.MessageID{1}, From: []byte("x"), To: [][]byte{[]byte(freeUser)}, ID: []byte("1")}
	other.Record(&backplane.Record{Position: backplane.Position{Generation: 1, Offset: 1 << 20}, Time: time.Now().UnixMilli(),
		Value: backplane.AppendMessage(nil, m), Recipients: backplane.AppendRecipient(nil, []byte(freeUser))})
	if f := free.next(); f.Type != codec.FrameDeliver || string(f.Deliver.Message.ID) != "1" {
		t.Fatalf("got a %v", f.Type)
	}
	if handed := n.handed.Load(); handed >= int64(total) {
		t.Fatalf("the worker did not wait: it is through with %d", handed)
	}

	on(held, func() { held.budget = putsPerPass })
	dropped := uint64(0)
	for i := uint32(0); i < uint32(total); {
		switch f := clients[0].next(); f.Type {
		case codec.FrameDeliver:
			if f.Deliver.Self {
				t.Fatal("the own message came before the older ones")
			}
			if got := binary.BigEndian.Uint32(f.Deliver.Message.Body); got != i {
				t.Fatalf("got message %d, want %d", got, i)
			}
			i++
		case codec.FrameGap: // the outbox has its own bound
			dropped += f.Gap.ToSeq - f.Gap.FromSeq + 1
			i += uint32(f.Gap.ToSeq - f.Gap.FromSeq + 1)
		default:
			t.Fatalf("got a %v", f.Type)
		}
	}
	if got := held.shared.Counters.Drops[session.DropOutboxFull].Load(); got != dropped {
		t.Errorf("%d were dropped, and gaps tell of %d", got, dropped)
	}
}

// TestNoDeadlock has clients send as fast as they can to each other while their
// loops take one message a pass, so that mailboxes are full, workers wait, and
// answers come in at the same time.
func TestNoDeadlock(t *testing.T) {
	const clients, each = 8, 2000
	n := start(t, func(c *Config) { c.Session.QueueMessages = 10 })
	var all []*client
	for i := range clients {
		all = append(all, n.connect(fmt.Sprint("u", i)))
	}
	for _, l := range n.loops() {
		on(l, func() { l.budget = 1 })
	}
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() {
			for j := range each {
				c.send(fmt.Sprint(j), fmt.Sprint("u", (i+1)%clients))
				// Never more than the limit in flight: read as many acks as were sent.
				for acked := false; !acked; {
					f, err := c.read()
					if err != nil {
						t.Errorf("client %d after %d: %v", i, j, err)
						return
					}
					acked = f.Type == codec.FrameAck
				}
			}
		})
	}
	wg.Wait()
	for _, l := range n.loops() {
		on(l, func() { l.budget = putsPerPass })
	}
	eventually(t, "an empty mailbox", func() bool {
		s := n.r.Stats()
		var put, dropped, left uint64
		for _, l := range s.Loops {
			put += l.Counters.Put.Load()
			for i := range session.DropReasons() {
				dropped += l.Counters.Drop(i)
			}
			left += uint64(l.MailboxEntries)
		}
		return left == 0 && put+dropped == 2*clients*each && n.dispatcher.Counters.Targets.Load() == 2*clients*each
	})
}

// TestWritable sends much more than the kernel buffers to a client that reads
// slowly: everything arrives whole, by way of the writable event.
func TestWritable(t *testing.T) {
	const messages, size = 600, 60 << 10
	n := start(t, func(c *Config) { c.Session.QueueMessages, c.Session.QueueBytes = 1000, 64<<20 })
	c := n.connect("slow")
	h := n.deps.Registry.Append(nil, []byte("slow"))[0]
	l := n.loops()[h.Loop()]
	body := make([]byte, size)
	for i := range messages {
		for j := range body {
			body[j] = byte(i + j)
		}
		n.publish("backend", "slow", fmt.Sprint(i), body)
	}
	eventually(t, "a full socket", func() (armed bool) {
		on(l, func() { armed = l.conns.get(h).armed })
		return armed && n.handed.Load() == messages
	})
	for i := range messages {
		f := c.next()
		if f.Type != codec.FrameDeliver || f.Deliver.Seq != uint64(i+1) {
			t.Fatalf("got %v %d, want delivery %d", f.Type, f.Deliver.Seq, i+1)
		}
		for j, b := range f.Deliver.Message.Body {
			if b != byte(i+j) {
				t.Fatalf("message %d is damaged at %d", i, j)
			}
		}
	}
	eventually(t, "all memory given back", func() bool { return n.deps.Memory.Used() == 0 })
}

// TestStaleHandle delivers to a handle whose slot has another connection by now.
func TestStaleHandle(t *testing.T) {
	n := start(t, func(c *Config) { c.Loops = 1 })
	old := n.connect("old")
	h := n.deps.Registry.Append(nil, []byte("old"))[0]
	old.conn.Close()
	eventually(t, "the close", func() bool { return n.r.open.Load() == 0 })
	fresh := n.connect("new")
	if g := n.deps.Registry.Append(nil, []byte("new"))[0]; g.Slot() != h.Slot() || g == h {
		t.Fatalf("the slot was not used again: %v, %v", h, g)
	}
	n.deps.Registry.Add("ghost", h)
	n.publish("backend", "ghost", "1", []byte("not for you"))
	n.publish("backend", "new", "2", []byte("for you"))
	if f := fresh.next(); f.Type != codec.FrameDeliver || string(f.Deliver.Message.Body) != "for you" {
		t.Errorf("got %v %q", f.Type, f.Deliver.Message.Body)
	}
	if got := n.loops()[0].shared.Counters.Drops[session.DropGone].Load(); got != 1 {
		t.Errorf("%d counted as gone", got)
	}
	n.deps.Registry.Remove("ghost", h)
}

// TestTablePerLoop holds more connections than one descriptor table would: the limit
// is lowered for that.
func TestTablePerLoop(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lowered := unix.Rlimit{Cur: 1200, Max: limit.Max} // reservedFiles of them are not for connections
	n := start(t, func(c *Config) {
		c.Loops, c.FDTables = 4, true
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lowered); err != nil {
			t.Fatal(err)
		}
	})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	room := n.loops()[0].room
	if room > 1200-reservedFiles || n.r.cap <= 1200 {
		t.Errorf("room for %d on a loop, %d in all", room, n.r.cap)
	}
	clients := n.onEachLoop()
	for i, c := range clients {
		n.publish("backend", c.user, fmt.Sprint("m", i), []byte("hi"))
		if f := c.next(); f.Type != codec.FrameDeliver {
			t.Errorf("loop %d: got a %v", i, f.Type)
		}
	}
	// A close on a loop reaches the client, although tables were copied before.
	on(n.loops()[2], func() { n.loops()[2].close(n.loops()[2].conns.get(clients[2].handle)) })
	if _, err := clients[2].read(); !errors.Is(err, io.EOF) {
		t.Errorf("a closed connection reads %v", err)
	}
}

func TestConnectionCap(t *testing.T) {
	n := start(t, func(c *Config) { c.Connections = 3 })
	for i := range 3 {
		n.connect(fmt.Sprint("u", i))
	}
	c := n.dial()
	if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	if n.r.Stats().Full != 1 {
		t.Errorf("%d refused, want 1", n.r.Stats().Full)
	}
	c.Close()
	eventually(t, "room", func() bool { return n.r.open.Load() == 3 })
}

// TestNoGoroutinePerConnection counts goroutines with few and with many connections.
func TestNoGoroutinePerConnection(t *testing.T) {
	n := start(t, nil)
	n.onEachLoop()
	few := runtime.NumGoroutine()
	for i := range 300 {
		n.connect(fmt.Sprint("more", i))
	}
	if many := runtime.NumGoroutine(); many > few+5 {
		t.Errorf("%d goroutines with few connections, %d with 300 more", few, many)
	}
}

// TestHalfClose: a client that closes its sending side after a request still gets
// the answer to what it sent.
func TestHalfClose(t *testing.T) {
	n := start(t, nil)
	c := n.dial()
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("answer %q (%v)", answer, err)
	}
}

// TestLinger: a client that is refused while it is still sending learns why; were
// its bytes left unread, the kernel would reset the connection instead.
func TestLinger(t *testing.T) {
	n := start(t, nil)
	c := n.dial()
	go func() {
		junk := bytes.Repeat([]byte("x"), 64<<10)
		for range 32 {
			if _, err := c.Write(junk); err != nil {
				return
			}
		}
		_ = c.CloseWrite()
	}()
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
		t.Errorf("answer %.80q (%v)", answer, err)
	}
}

func TestDrain(t *testing.T) {
	n := start(t, nil)
	c := n.connect("alice")
	half := n.dial()
	if _, err := io.WriteString(half, "GET /v1/con"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two connections", func() bool { return n.r.open.Load() == 2 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- n.r.Drain(ctx) }()
	if f := c.next(); f.Type != codec.FrameError || f.Error.Code != backplane.CodeShutdown {
		t.Errorf("got %v %+v", f.Type, f.Error)
	}
	if _, err := c.read(); err == nil || err.Error() != "closed with 1012" {
		t.Errorf("%v", err)
	}
	if _, err := c.conn.Write(ws.AppendMaskedClose(nil, 1012, "", [4]byte{})); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(half); !bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) {
		t.Errorf("half a request was answered %q", answer)
	}
	half.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestAllAddresses: who listens on all addresses takes clients of both families.
func TestAllAddresses(t *testing.T) {
	for _, listen := range []string{":0", "0.0.0.0:0"} {
		n := start(t, func(c *Config) { c.Listen = listen })
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(n.r.Addr().Port)))
			if err != nil {
				t.Errorf("listening on %s: %v", listen, err)
				continue
			}
			c.Close()
		}
	}
}

// TestReadsGoOn: a loop that always has more to deliver still reads.
func TestReadsGoOn(t *testing.T) {
	n := start(t, func(c *Config) { c.Loops = 1 })
	bob, carol := n.connect("bob"), n.connect("carol")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				n.publish("backend", "bob", fmt.Sprint(i), nil)
			}
		}
	})
	wg.Go(func() { // the client reads until it is cut off at the end
		for {
			if _, err := bob.read(); err != nil {
				return
			}
		}
	})
	eventually(t, "a loop with more to do", func() bool { return n.handed.Load() > 5000 })
	for range 100 {
		carol.frame(codec.ClientFrame{Type: codec.FramePing})
		if f := carol.next(); f.Type != codec.FramePong {
			t.Fatalf("got a %v", f.Type)
		}
	}
	close(stop)
	bob.conn.Close()
	wg.Wait()
}

// TestDrainDoesNotWaitForNewcomers: those who come while the node drains are refused,
// and do not hold it.
func TestDrainDoesNotWaitForNewcomers(t *testing.T) {
	n := start(t, nil)
	c := n.connect("alice")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- n.r.Drain(ctx) }()
	if f := c.next(); f.Type != codec.FrameError {
		t.Fatalf("got a %v", f.Type)
	}
	late := n.dial() // says nothing, and stays
	if _, err := io.WriteString(late, "GET /v1/connect?token=bob HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: godwit.v1.json\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(late, head); err != nil || string(head) != "HTTP/1.1 503" {
		t.Errorf("a newcomer is answered %q (%v)", head, err)
	}
	c.conn.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestAddressInUse: a second node on the same address is refused, although the
// listeners of the loops share theirs.
func TestAddressInUse(t *testing.T) {
	n := start(t, nil)
	c := n.r.config
	c.Listen = n.r.Addr().String()
	if err := New(c, n.deps).Bind(); err == nil {
		t.Error("two reactors on one address")
	}
}
