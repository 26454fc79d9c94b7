package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// Generator is the clients of a measurement.
type Generator struct {
	// Static after construction.
	config    Config
	encoding  codec.Encoding
	op        ws.Op
	protocols []string
	limits    ws.Limits
	server    *net.TCPAddr
	seeds     []*net.TCPAddr
	feed      *net.TCPAddr
	seed      uint32
	epoch     time.Time // of the clock
	base      int64     // the system's monotonic clock at the epoch
	loops     []*loop
	ended     sync.WaitGroup

	// Owned by whoever calls a method that runs something; see the package.
	run   uint32
	asked int // connections that were asked for
	// missed is the last run, if some connections are away since before it; else nil.
	missed *missed

	closing atomic.Bool
}

// New starts a generator without connections.
func New(c Config) (*Generator, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	addr, err := resolve("Addr", c.Addr)
	if err != nil {
		return nil, err
	}
	feed := addr
	if c.Feed != "" {
		if feed, err = resolve("Feed", c.Feed); err != nil {
			return nil, err
		}
	}
	g := &Generator{
		config: c, encoding: c.encoding(), op: ws.Binary,
		limits: ws.Limits{MessageBytes: messageBytes, Fragments: 64, Client: true},
		seed:   rand.Uint32(),
		server: addr, feed: feed,
	}
	for _, text := range c.Seeds {
		seed, err := resolve("Seeds", text)
		if err != nil {
			return nil, err
		}
		g.seeds = append(g.seeds, seed)
	}
	if c.Protocol != Plain {
		g.protocols = []string{g.encoding.Subprotocol()}
		if g.encoding.Text() {
			g.op = ws.Text
		}
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return nil, fmt.Errorf("load: clock: %w", err)
	}
	g.epoch, g.base = time.Now(), ts.Nano()
	for i := range c.Loops {
		l, err := newLoop(g, i)
		if err != nil {
			g.closeBells()
			return nil, err
		}
		g.loops = append(g.loops, l)
	}
	ready := make(chan error)
	for _, l := range g.loops {
		g.ended.Go(func() { l.run(ready) })
	}
	for range g.loops {
		err = errors.Join(err, <-ready)
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// now returns the time of the system's monotonic clock, which is the same in all
// processes, in nanoseconds. It costs no system call.
func (g *Generator) now() int64 { return g.base + int64(time.Since(g.epoch)) }

// Close closes all connections and ends the loops. Calls after the first do nothing.
func (g *Generator) Close() {
	if g.closing.Swap(true) {
		return
	}
	for _, l := range g.loops {
		l.do(func() { l.stopped = true })
	}
	g.ended.Wait()
	g.closeBells()
}

func (g *Generator) closeBells() {
	for _, l := range g.loops {
		_ = unix.Close(l.bell)
	}
}

// Stats returns what was counted so far. Any goroutine may call it at any time.
func (g *Generator) Stats() (s Stats) {
	for _, l := range g.loops {
		s.add(&l.counters)
	}
	return s
}

// each has every loop run f and waits for it.
func (g *Generator) each(f func(l *loop)) {
	var done sync.WaitGroup
	for _, l := range g.loops {
		done.Add(1)
		l.do(func() {
			defer done.Done()
			f(l)
		})
	}
	done.Wait()
}

// share returns the part of n that belongs to loop i.
func (g *Generator) share(n, i int) int {
	loops := len(g.loops)
	return n/loops + btoi(i < n%loops)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Connect opens n more connections, rate a second (0 for as fast as the server takes
// them), and returns when each is welcomed or has failed. The error is ctx's, if that
// ends first; failures are counted.
func (g *Generator) Connect(ctx context.Context, n int, rate float64) (Result, error) {
	// Connection i belongs to loop i modulo their number, so all loops but the last
	// ones have the same share, counted from the first connection on.
	before := g.asked
	if n < 0 || before+n > g.config.Connections {
		return Result{}, fmt.Errorf("load: %d connections beside %d: Connections is %d", n, before, g.config.Connections)
	}
	g.asked += n
	return g.connect(ctx, func(l *loop) *connectJob {
		return &connectJob{count: g.share(before+n, l.index) - g.share(before, l.index)}
	}, rate)
}

// OpenFeed opens the connections to Config.Feed: for each loop and partition one, of a
// user who lives there, so that each message is still one record. They are nobody's
// recipients. It is called once.
func (g *Generator) OpenFeed(ctx context.Context) (Result, error) {
	if g.config.Feed == "" {
		return Result{}, errors.New("load: Config.Feed is empty")
	}
	return g.connect(ctx, func(l *loop) *connectJob {
		slots := l.makeFeed()
		return &connectJob{slots: slots, count: len(slots)}
	}, 0)
}

// Churn opens n connections like Connect, and closes each as soon as it is welcomed. It
// is for a generator that has no connections; they may be opened again with Reopen.
func (g *Generator) Churn(ctx context.Context, n int, rate float64) (Result, error) {
	if g.asked == 0 {
		if n > g.config.Connections {
			return Result{}, fmt.Errorf("load: %d connections: Connections is %d", n, g.config.Connections)
		}
		g.asked = n
		return g.connect(ctx, func(l *loop) *connectJob {
			return &connectJob{count: g.share(n, l.index), hangup: true}
		}, rate)
	}
	return g.connect(ctx, func(l *loop) *connectJob {
		slots := l.closed(g.share(n, l.index))
		return &connectJob{slots: slots, count: len(slots), hangup: true}
	}, rate)
}

// Storm cuts n connections, spread evenly, and opens them again at once, rate a second
// (0 for as fast as the server takes them). Result.Elapsed is from the cut to the last
// welcome.
func (g *Generator) Storm(ctx context.Context, n int, rate float64) (Result, error) {
	return g.connect(ctx, func(l *loop) *connectJob {
		slots := l.drop(g.share(n, l.index))
		return &connectJob{slots: slots, count: len(slots)}
	}, rate)
}

// Reopen opens up to n connections again that have ended.
func (g *Generator) Reopen(ctx context.Context, n int, rate float64) (Result, error) {
	return g.connect(ctx, func(l *loop) *connectJob {
		slots := l.closed(g.share(n, l.index))
		return &connectJob{slots: slots, count: len(slots)}
	}, rate)
}

// closed returns up to n slots whose connections have ended.
func (l *loop) closed(n int) []int32 {
	slots := make([]int32, 0, n)
	l.slots.each(func(c *conn) {
		if c.state == stateClosed && len(slots) < n {
			slots = append(slots, c.slot)
		}
	})
	return slots
}

// connect runs a job on each loop and waits for them.
func (g *Generator) connect(ctx context.Context, job func(l *loop) *connectJob, rate float64) (Result, error) {
	before := g.Stats()
	start := g.now()
	var running sync.WaitGroup
	running.Add(len(g.loops))
	for _, l := range g.loops {
		l.do(func() {
			l.results.connect.Reset()
			j := job(l)
			if j.count == 0 {
				running.Done()
				return
			}
			j.start, j.most, j.finished = start, max(connecting/len(g.loops), 1), running.Done
			if rate > 0 {
				j.interval = float64(time.Second) * float64(len(g.loops)) / rate
			}
			l.connect = j
		})
	}
	err := g.wait(ctx, &running)
	r := g.collect(before, time.Duration(g.now()-start))
	r.Ack, r.Deliver = Latency{}, Latency{} // of a run
	if err != nil {
		g.each((*loop).giveUp)
		return r, fmt.Errorf("load: %d connections are still on their way: %w", r.Stats.Connecting, err)
	}
	return r, nil
}

// giveUp ends the connecting, and fails what is under way.
func (l *loop) giveUp() {
	j := l.connect
	if j == nil {
		return // that was the last
	}
	l.connect = nil
	l.each(func(c *conn) {
		if c.job {
			c.job = false
			l.fail(c, errGivenUp)
		}
	})
	j.finished()
}

var errGivenUp = errors.New("given up")

// wait waits for running, until ctx ends.
func (g *Generator) wait(ctx context.Context, running *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// collect makes a result.
func (g *Generator) collect(before Stats, elapsed time.Duration) Result {
	var all results
	all.init()
	var mu sync.Mutex
	g.each(func(l *loop) {
		mu.Lock()
		defer mu.Unlock()
		all.merge(&l.results)
		l.results.back.Reset()
	})
	return Result{
		Elapsed: elapsed, Stats: g.Stats().Minus(before), Back: latencyOf(all.back),
		Connect: latencyOf(all.connect), Ack: latencyOf(all.ack), Deliver: latencyOf(all.deliver),
	}
}

// Slow has n connections, spread evenly, stop reading. It returns how many do. While all
// are open and read, they are those that Storm chooses.
func (g *Generator) Slow(n int) (slow int) {
	var total atomic.Int64
	g.each(func(l *loop) { total.Add(int64(l.setSlow(g.share(n, l.index), true))) })
	return int(total.Load())
}

// Resume has all connections read again. It returns how many had stopped.
func (g *Generator) Resume() (resumed int) {
	var total atomic.Int64
	g.each(func(l *loop) { total.Add(int64(l.setSlow(0, false))) })
	return int(total.Load())
}
