package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/session"
	"github.com/panjf2000/gnet/v2"
)

// Config is what a Reactor is told. It is immutable.
type Config struct {
	// Listen is the address of the public port; port 0 takes a free one.
	Listen string
	// Loops is the number of event loops, 0 for as many as GOMAXPROCS.
	Loops int
	// FDTables gives each loop a descriptor table of its own; see fdtable.go.
	FDTables bool
	// Connections is the most connections at once, 0 for as many as the limit of open
	// files allows. It is lowered to that.
	Connections int
	Session     session.Config
	Log         *slog.Logger
}

var errEnded = errors.New("reactor: the event engine ended by itself")

// Reactor accepts connections and runs their sessions.
type Reactor struct {
	gnet.BuiltinEventEngine

	// Static after Start, but for what is behind ready.
	config Config
	deps   *session.Deps
	addr   *net.TCPAddr
	engine gnet.Engine
	poller *poller
	cap    int64

	loops  []*loop
	byLoop map[gnet.EventLoop]*loop

	booted   chan struct{}
	running  chan struct{} // closed when gnet runs its loops
	ended    chan struct{} // closed when gnet has ended
	err      error         // why, valid then
	stopping chan struct{} // closed when entries are no longer taken

	runningDo sync.Once
	quiet     sync.Once // closes stopping

	// ready is set when Start is through. Until then loops is being made, and nobody
	// but Start and the loops at hand may look at it.
	ready    atomic.Bool
	open     atomic.Int64
	waited   atomic.Int64  // connections, and loops, that Drain waits for
	full     atomic.Uint64 // connections refused because of the cap
	accepted atomic.Uint64
}

// New returns a reactor that is not yet listening. The dependencies may be completed
// until Start is called.
func New(c Config, d *session.Deps) *Reactor {
	if c.Loops == 0 {
		c.Loops = runtime.GOMAXPROCS(0)
	}
	r := &Reactor{
		config: c, deps: d,
		byLoop: make(map[gnet.EventLoop]*loop),
		booted: make(chan struct{}), running: make(chan struct{}), ended: make(chan struct{}), stopping: make(chan struct{}),
	}
	return r
}

// Bind checks that the reactor can be started, and settles its address. It must
// have succeeded before Start.
func (r *Reactor) Bind() error {
	if r.config.Loops > maxLoops {
		return fmt.Errorf("reactor: %d loops: there may be at most %d", r.config.Loops, maxLoops)
	}
	return r.probe()
}

// Start listens, and returns when connections are accepted.
func (r *Reactor) Start() error {
	var err error
	if r.poller, err = newPoller(); err != nil {
		return err
	}
	go r.run()
	select {
	case <-r.booted:
	case <-r.ended:
		return r.fail(r.err)
	}
	if err := r.makeLoops(); err != nil {
		return r.fail(err)
	}
	if err := r.setCap(); err != nil {
		return r.fail(err)
	}
	r.poller.watch(r.loops)
	r.ready.Store(true)
	return nil
}

// fail ends what Start has begun.
func (r *Reactor) fail(err error) error {
	select {
	case <-r.ended:
	default:
		r.Quiesce()
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		err = errors.Join(err, r.engine.Stop(ctx))
		<-r.ended
	}
	r.poller.stop()
	r.poller.close()
	return err
}

// setCap settles how many connections there may be: as many as was asked for, or
// as the limits of open files allow.
func (r *Reactor) setCap() error {
	var room int64
	for _, l := range r.loops {
		room += int64(l.room)
	}
	if !r.config.FDTables {
		room = int64(r.loops[0].room) // they share it
	}
	if room < 1 {
		return fmt.Errorf("reactor: the limit of open files leaves no room for connections: %d descriptors are kept for other use", reservedFiles)
	}
	r.cap = room
	if want := int64(r.config.Connections); want != 0 {
		r.cap = min(want, room)
	}
	if r.cap < int64(r.config.Connections) {
		r.config.Log.Warn("the limit of open files allows fewer connections than the setting", "connections", r.cap, "setting", r.config.Connections)
	}
	return nil
}

// probe takes the address for a moment, without sharing. gnet's listeners share
// theirs among the loops, and the kernel would let them share it with another server
// of the same user, too: half of the clients would be there. It also chooses the
// port where none was given.
func (r *Reactor) probe() error {
	ln, err := net.Listen("tcp", r.config.Listen)
	if err != nil {
		return fmt.Errorf("reactor: %w", err)
	}
	r.addr = ln.Addr().(*net.TCPAddr)
	return ln.Close()
}

func (r *Reactor) run() {
	defer close(r.ended)
	address := r.addr.String()
	if r.addr.IP.IsUnspecified() {
		// All addresses of both families. Given [::], gnet would leave IPv4 out.
		address = fmt.Sprintf(":%d", r.addr.Port)
	}
	r.err = gnet.Run(r, "tcp://"+address,
		gnet.WithNumEventLoop(r.config.Loops),
		// Each loop listens for itself, and accepts one connection between two looks at its
		// sockets. So those who are connected are served while very many come, who wait in
		// the kernel's queue.
		gnet.WithReusePort(true),
		gnet.WithReuseAddr(true),
		gnet.WithLockOSThread(r.config.FDTables),
		gnet.WithReadBufferCap(readBuffer),
		gnet.WithSocketSendBuffer(sendBuffer),
		gnet.WithLogger(logger{r.config.Log}),
	)
	select {
	case <-r.stopping:
	default:
		// gnet ends with a nil error when accept fails, for one.
		r.err = errors.Join(errEnded, r.err)
	}
}

// Addr returns the address of the public port, valid after Bind.
func (r *Reactor) Addr() *net.TCPAddr { return r.addr }

// Ended is closed when the reactor has ended: after Stop, or by itself, which is a
// failure; see Err.
func (r *Reactor) Ended() <-chan struct{} { return r.ended }

// Err returns why the reactor ended by itself, nil if it did not. It is valid when
// Ended is closed.
func (r *Reactor) Err() error { return r.err }

// Deliver puts an entry into a loop's mailbox and waits while there is no room;
// see delivery.Loops.
func (r *Reactor) Deliver(index int, e delivery.Entry, weight int64) {
	l := r.loops[index]
	if !l.mailbox.Push(e, weight, r.stopping) {
		e.Done()
		return
	}
	l.ring()
}

// Len returns how many loops there are, 0 until Start is through.
func (r *Reactor) Len() int {
	if !r.ready.Load() {
		return 0
	}
	return len(r.loops)
}

// OnBoot is called by gnet.
func (r *Reactor) OnBoot(engine gnet.Engine) gnet.Action {
	r.engine = engine
	close(r.booted)
	return gnet.None
}

// full is what a client is told that finds no room.
var full = ws.AppendResponse(nil, http.StatusServiceUnavailable, "overloaded: the node has all the connections that it can hold\n", [2]string{"Retry-After", "5"})

// OnOpen is called by gnet on the loop of a new connection.
func (r *Reactor) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	if first, ok := g.Context().(*firstConn); ok {
		first.open(r, g)
		return nil, gnet.Close
	}
	if !r.ready.Load() {
		r.runningDo.Do(func() { close(r.running) })
		return nil, gnet.Close
	}
	r.accepted.Add(1)
	l := r.byLoop[g.EventLoop()]
	if r.open.Add(1) > r.cap || l.conns.len() >= l.room {
		r.open.Add(-1)
		r.full.Add(1)
		return full, gnet.Close
	}
	c := l.conns.take()
	c.gnet, c.fd = g, int32(g.Fd())
	l.tell()
	c.session.Open(l.shared, l.conns.handle(c))
	l.wheel.set(int(c.slot), c.session.Deadline(l.shared))
	g.SetContext(c)
	return nil, gnet.None
}

// OnTraffic is called by gnet on the loop of a connection that sent something.
func (r *Reactor) OnTraffic(g gnet.Conn) gnet.Action {
	buf, _ := g.Next(-1) // takes everything; an unread byte would cost gnet a buffer
	c, ok := g.Context().(*conn)
	if !ok {
		return gnet.Close
	}
	l := r.loops[c.session.Handle().Loop()]
	l.tell()
	c.session.Receive(l.shared, buf)
	l.rearm(c)
	if c.session.Held() {
		l.hold(c)
		l.tellHeld()
		return gnet.None
	}
	switch l.flush(c) {
	case flushEnd:
		return gnet.Close
	case flushMore:
		l.markDirty(c)
		l.poller.again(l)
	}
	return gnet.None
}

// OnClose is called by gnet on the loop of a connection that is about to be closed.
func (r *Reactor) OnClose(g gnet.Conn, _ error) gnet.Action {
	c, ok := g.Context().(*conn)
	if !ok {
		return gnet.None
	}
	r.open.Add(-1)
	l := r.loops[c.session.Handle().Loop()]
	l.tell()
	// The client may have closed its sending side only, and still read.
	l.flush(c)
	c.session.Closed(l.shared)
	l.wheel.clear(int(c.slot))
	if c.waited {
		r.waited.Add(-1)
	}
	l.conns.give(c)
	return gnet.None
}

// Drain tells every client that the node is going, lets sends on their way be
// answered, and returns when all who were connected have left or ctx is done. New
// requests are refused from its beginning on, and not waited for. It is called once.
func (r *Reactor) Drain(ctx context.Context) error {
	// A loop counts as one until it has counted its connections.
	r.waited.Store(int64(len(r.loops)))
	for _, l := range r.loops {
		l.do(func() { l.drain(&r.waited) })
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for r.waited.Load() > 0 {
		select {
		case <-poll.C:
		case <-r.ended:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("reactor: %d connections were cut off: %w", r.waited.Load(), ctx.Err())
		}
	}
	return nil
}

// Settle returns when every loop has finished what it was doing when Settle was called,
// so that whatever it decides from then on, it decides by what is in force now.
func (r *Reactor) Settle(ctx context.Context) error {
	done := make(chan struct{}, len(r.loops))
	for _, l := range r.loops {
		l.do(func() { done <- struct{}{} })
	}
	for range r.loops {
		select {
		case <-done:
		case <-r.ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Move tells clients where their users are served now; see session.Session.Move.
func (r *Reactor) Move(clients []registry.Handle) {
	byLoop := make([][]registry.Handle, len(r.loops))
	for _, h := range clients {
		byLoop[h.Loop()] = append(byLoop[h.Loop()], h)
	}
	for i, list := range byLoop {
		if len(list) == 0 {
			continue
		}
		l := r.loops[i]
		l.do(func() {
			for _, h := range list {
				if c := l.conns.get(h); c != nil {
					c.session.Move(l.shared)
					l.touched(c)
				}
			}
		})
	}
}

// TellDegraded tells every client that the node has lost its log.
func (r *Reactor) TellDegraded() {
	for _, l := range r.loops {
		l.do(func() { l.tellAll(func(s *session.Session) { s.TellDegraded(l.shared) }) })
	}
}

// Quiesce lets dispatch workers that wait in Deliver go: from here on entries are
// dropped, which loses nothing.
func (r *Reactor) Quiesce() { r.quiet.Do(func() { close(r.stopping) }) }

// Stop ends the reactor: what is connected is cut off. Nobody may deliver or answer
// any more: gnet could have closed what a ring writes to.
func (r *Reactor) Stop(ctx context.Context) error {
	r.Quiesce()
	r.poller.stop()
	err := r.engine.Stop(ctx)
	select {
	case <-r.ended:
	default:
		select {
		case <-r.ended:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err()) // loops may still use the poller's descriptors
		}
	}
	r.poller.close()
	return err
}

// Stats is what a reactor tells of itself.
type Stats struct {
	Connections int64  // open now, welcomed or not
	Cap         int64  // the most that may be open
	Accepted    uint64 // connections that were ever accepted
	Full        uint64 // of those, refused because of the cap
	Loops       []LoopStats
}

// LoopStats is what one loop tells of itself.
type LoopStats struct {
	Counters       *session.Counters
	MailboxEntries int
	MailboxBytes   int64
}

// Stats returns the numbers of this moment. Any goroutine may call it.
func (r *Reactor) Stats() Stats {
	s := Stats{Connections: r.open.Load(), Cap: r.cap, Accepted: r.accepted.Load(), Full: r.full.Load()}
	if !r.ready.Load() {
		return s
	}
	for _, l := range r.loops {
		s.Loops = append(s.Loops, LoopStats{&l.shared.Counters, l.mailbox.Len(), l.mailbox.Weight()})
	}
	return s
}
