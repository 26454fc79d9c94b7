package reactor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/registry/ring"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/session"
)

// loop is one event loop and everything that it owns.
type loop struct {
	// Static after construction.
	index   int
	room    int // the most connections
	engine  gnet.EventLoop
	poller  *poller
	mailbox *ring.Mailbox[delivery.Entry]
	answers *ring.Mailbox[*session.Answer]

	// The doorbell: set by whoever rings first, cleared by the pass when it is through.
	rung atomic.Bool

	// Guarded: left by other goroutines for the next pass.
	mu struct {
		sync.Mutex
		writable []registry.Handle
		commands []func()
	}

	// Read by the poller: when the first of the held connections is due, in milliseconds
	// of the loop's clock, 0 if none is held.
	heldDue atomic.Int64

	// Owned by the loop.
	shared *session.Loop
	conns  slots
	wheel  wheel
	dirty  fifo[*conn]    // with output, each once
	held   fifo[heldConn] // whose output waits, each once; first come, first due
	entry  delivery.Entry
	next   int // the first handle of entry that has not had its turn
	budget int // puts in a pass
	taken  []registry.Handle
	out    []byte                       // what is being written
	sweeps fifo[func(*session.Session)] // what every connection is told, some in each pass, one after the other
	swept  int                          // slots that were told the first of them
}

func newLoop(index int, engine gnet.EventLoop, p *poller, c *session.Config, d *session.Deps) *loop {
	l := &loop{
		index: index, engine: engine, poller: p, budget: putsPerPass,
		mailbox: ring.NewMailbox[delivery.Entry](mailboxEntries, mailboxBytes),
		answers: ring.NewMailbox[*session.Answer](c.Answers, int64(c.Answers)+1),
	}
	l.conns.loop = index
	l.shared = session.NewLoop(c, d, l)
	l.tell()
	l.wheel.now = uint32(l.shared.Now / 1000)
	return l
}

// ring has the loop make a pass. Any goroutine may call it.
func (l *loop) ring() {
	if l.rung.CompareAndSwap(false, true) {
		// The error says that the engine is shutting down.
		_ = l.engine.Execute(context.Background(), l)
	}
}

// Answer takes an answer to the loop; see session.Lane. Any goroutine may call it.
func (l *loop) Answer(a *session.Answer) {
	if !l.answers.TryPush(a, 1) {
		panic("reactor: an answer without a credit")
	}
	l.ring()
}

// Session finds a session; see session.Lane.
func (l *loop) Session(h registry.Handle) *session.Session {
	if c := l.conns.get(h); c != nil {
		return &c.session
	}
	return nil
}

// writable notes that a socket became writable. The poller calls it.
func (l *loop) writable(h registry.Handle) {
	l.mu.Lock()
	l.mu.writable = append(l.mu.writable, h)
	l.mu.Unlock()
}

func (l *loop) ringIfWritable() {
	l.mu.Lock()
	some := len(l.mu.writable) > 0
	l.mu.Unlock()
	if some {
		l.ring()
	}
}

// do has the loop run f in its next pass. Any goroutine may call it.
func (l *loop) do(f func()) {
	l.mu.Lock()
	l.mu.commands = append(l.mu.commands, f)
	l.mu.Unlock()
	l.ring()
}

// began is a moment from which the loops' clocks run on, whatever is done to the
// clock of the machine.
var began = time.Now()

// milliseconds returns what the loops' clock says at a moment.
func milliseconds(now time.Time) int64 { return began.UnixMilli() + now.Sub(began).Milliseconds() }

// tell sets the time of the pass.
func (l *loop) tell() {
	now := time.Now()
	l.shared.Now = milliseconds(now)
	l.shared.Wall = now
}

// Run is a pass. gnet calls it on the loop.
func (l *loop) Run(context.Context) error {
	l.tell()
	l.takeLeft()
	l.takeAnswers()
	more := l.takeEntries()
	l.wheel.advance(uint32(l.shared.Now/1000), l.expire)
	l.releaseHeld()
	more = l.flushDirty() || more
	more = l.sweepOn() || more
	l.tellHeld()
	// Whoever left something during the pass found the bell rung, and relies on this:
	// clear it, and look again. What is there now goes through the poller; if it rang
	// at once, gnet would run passes back to back, and never read.
	l.rung.Store(false)
	if more || l.somethingLeft() {
		l.poller.again(l)
	}
	return nil
}

// somethingLeft reports whether there is anything for a pass to take.
func (l *loop) somethingLeft() bool {
	if l.mailbox.Len() > 0 || l.answers.Len() > 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.writable) > 0 || len(l.mu.commands) > 0
}

// takeLeft takes what other goroutines have left: commands and writable sockets.
func (l *loop) takeLeft() {
	l.mu.Lock()
	commands := l.mu.commands
	l.mu.commands = nil
	l.taken, l.mu.writable = l.mu.writable, l.taken[:0]
	l.mu.Unlock()
	for _, f := range commands {
		f()
	}
	for _, h := range l.taken {
		if c := l.conns.get(h); c != nil {
			c.armed = false
			l.markDirty(c)
		}
	}
}

func (l *loop) takeAnswers() {
	// Not more than there are now: those who answer must not keep the loop here.
	for range l.answers.Len() {
		a, ok := l.answers.Pop()
		if !ok {
			return
		}
		c := l.conns.get(a.Handle)
		if c == nil {
			l.shared.Take(a, nil)
			continue
		}
		l.shared.Take(a, &c.session)
		l.touched(c)
	}
}

// takeEntries puts messages on outboxes, as far as the budget of a pass goes, but first
// lets those be written that were put before. It reports whether something is left.
func (l *loop) takeEntries() (more bool) {
	if l.dirty.len() >= writesPerPass {
		return true
	}
	for budget := l.budget; budget > 0; {
		if l.entry.Targets == nil {
			e, ok := l.mailbox.Pop()
			if !ok {
				return false
			}
			l.entry, l.next = e, 0
		}
		t := l.entry.Targets
		if t.Positions != nil {
			l.shared.Tell(t.Positions, t.Lost)
			budget--
		}
		for ; l.next < len(t.Handles) && budget > 0; l.next++ {
			l.deliver(t.Handles[l.next], l.next < t.Self)
			budget--
		}
		if l.next == len(t.Handles) {
			l.entry.Done()
			l.entry = delivery.Entry{}
		}
	}
	return l.entry.Targets != nil || l.mailbox.Len() > 0
}

func (l *loop) deliver(h registry.Handle, self bool) {
	c := l.conns.get(h)
	// A pass may bring a client more than its outbox holds, although it reads: what
	// waits only for the end of the pass is written before anything is dropped.
	if c != nil && !c.armed && c.session.Full(l.shared, l.entry.Frame, self) && l.flush(c) == flushEnd {
		l.close(c)
		c = nil
	}
	if c == nil {
		l.shared.Counters.Dropped(session.DropGone)
		return
	}
	c.session.Deliver(l.shared, l.entry.Frame, self)
	l.gave(c)
}

// expire is called for a connection whose deadline may have come.
func (l *loop) expire(slot int) {
	c := l.conns.at(slot)
	if c == nil {
		return
	}
	if !c.session.Expire(l.shared) {
		l.close(c)
		return
	}
	l.touched(c)
	l.wheel.set(slot, c.session.Deadline(l.shared))
}

// touched is called after a session was given something: it may have output, and
// an earlier deadline.
func (l *loop) touched(c *conn) {
	l.rearm(c)
	l.gave(c)
}

// gave has a connection's output written at the end of the pass, or, if it may wait a
// moment, later.
func (l *loop) gave(c *conn) {
	if c.session.Held() {
		l.hold(c)
	} else {
		l.markDirty(c)
	}
}

// rearm moves a connection's deadline, if it has become earlier.
func (l *loop) rearm(c *conn) {
	if d := c.session.Deadline(l.shared); d < l.wheel.at(int(c.slot)) {
		l.wheel.set(int(c.slot), d)
	}
}

func (l *loop) markDirty(c *conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty.push(c)
	}
}

// flushDirty writes once to each of the connections that have had output for longest. It
// reports whether some still have: they are left for the next pass.
func (l *loop) flushDirty() (more bool) {
	for range min(l.dirty.len(), writesPerPass) {
		c := l.dirty.pop()
		c.dirty = false
		if !c.open {
			continue
		}
		switch l.flush(c) {
		case flushEnd:
			l.close(c)
		case flushMore:
			l.markDirty(c)
		}
	}
	return l.dirty.len() > 0
}

// drain tells the loop's connections that the node stops, some in each pass. waited
// counts those that are there; the loop has counted as one before.
func (l *loop) drain(waited *atomic.Int64) {
	l.shared.Drain()
	for slot := range l.conns.used {
		if c := l.conns.at(slot); c != nil {
			c.waited = true
			waited.Add(1)
		}
	}
	waited.Add(-1)
	l.tellAll(func(s *session.Session) { s.Drain(l.shared) })
}

// tellAll has every connection told something, some in each pass, after what they are
// being told already.
func (l *loop) tellAll(tell func(*session.Session)) { l.sweeps.push(tell) }

// sweepOn tells the next connections. It reports whether there are more, or output to
// write.
func (l *loop) sweepOn() (more bool) {
	if l.sweeps.len() == 0 {
		return false
	}
	for told := 0; l.swept < l.conns.used; l.swept++ {
		if told == tellsPerPass {
			return true
		}
		if c := l.conns.at(l.swept); c != nil {
			l.sweeps.peek()(&c.session)
			l.touched(c)
			told++
		}
	}
	l.sweeps.pop()
	l.swept = 0
	return l.sweeps.len() > 0 || l.dirty.len() > 0
}

// close closes a connection; gnet calls OnClose before it returns.
func (l *loop) close(c *conn) { _ = l.engine.Close(c.gnet) }
