package load

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/codec"
)

// loop is a thread with its connections.
type loop struct {
	// Static after construction.
	g     *Generator
	index int
	bell  int // an eventfd that is written to when there are commands

	// Guarded: left by other goroutines.
	mu struct {
		sync.Mutex
		commands []func()
	}

	// Atomic, or guarded in themselves; written by the loop and read by anyone.
	counters counters

	// Owned by the loop's thread.
	epoll, timer int
	armed        int64 // when the timer will fire, 0 if it is not set
	now          int64
	stopped      bool
	slots        slots
	again        []int32 // slots with more to read than they had their turn for
	connect      *connectJob
	traffic      *trafficJob
	sweepAt      int64
	sweepSlot    int
	heartbeat    time.Duration // as the last welcome said; 0 before it, and for none
	results      results
	rng          *rand.Rand
	signer       *signer
	nodes        []endpoint // that at Config.Addr, the Seeds, and those that others direct to
	feed         endpoint   // at Config.Feed
	wakes        wakes      // connections that are on their way, with Config.Follow
	feeders      slots      // by partition; see Generator.OpenFeed
	feederNames  [][]byte   // their users
	events       []unix.EpollEvent
	in           []byte // what was read
	out          []byte // what is being written
	payload      []byte // the payload of what is being written
	body         []byte
	names        []byte // users' names, for to
	to           [][]byte
	send         codec.ClientFrame
	frame        codec.ServerFrame
}

// What an event's slot means that is none.
const (
	slotBell  = -1
	slotTimer = -2
)

func newLoop(g *Generator, index int) (*loop, error) {
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: eventfd: %w", err)
	}
	l := &loop{
		g: g, index: index, bell: bell,
		rng:    rand.New(rand.NewPCG(uint64(g.seed), uint64(index))),
		events: make([]unix.EpollEvent, 512),
		in:     make([]byte, readBuffer),
	}
	l.nodes = []endpoint{newEndpoint(g.config.Addr, g.config.Path, g.server)}
	for i, host := range g.config.Seeds {
		l.nodes = append(l.nodes, newEndpoint(host, g.config.Path, g.seeds[i]))
	}
	l.feed = newEndpoint(g.config.Feed, g.config.Path, g.feed)
	l.slots.follow = g.config.Follow
	if g.config.Protocol != Plain {
		l.signer = newSigner(g.config.Key, time.Now())
	}
	l.results.init()
	return l, nil
}

// run is the loop's goroutine. ready is told when it works, or why it cannot. All loops
// must be ready before the first opens a connection: a new table is a copy, and would
// hold what it copies open.
func (l *loop) run(ready chan<- error) {
	// With a table of its own the thread must serve nobody else ever after: it is not
	// unlocked, and ends with the goroutine.
	runtime.LockOSThread()
	if !l.g.config.Tables {
		defer runtime.UnlockOSThread()
	}
	err := l.open()
	ready <- err
	if err == nil {
		l.serve()
	}
	l.close()
}

func (l *loop) open() error {
	l.epoll, l.timer = -1, -1
	if l.g.config.Tables {
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			return fmt.Errorf("load: a descriptor table for the thread: %w", err)
		}
	}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("load: epoll: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("load: timerfd: %w", err)
	}
	for fd, slot := range map[int]int32{l.bell: slotBell, l.timer: slotTimer} {
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: slot}); err != nil {
			return fmt.Errorf("load: epoll: %w", err)
		}
	}
	l.now = l.g.now()
	return nil
}

// close closes everything that is open in the thread's table and is the loop's.
func (l *loop) close() {
	l.each(func(c *conn) {
		if c.state != stateClosed {
			l.shut(c)
		}
	})
	for _, fd := range []int{l.epoll, l.timer} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func (l *loop) serve() {
	for !l.stopped {
		wait := l.schedule()
		n, err := unix.EpollWait(l.epoll, l.events, wait)
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("load: epoll_wait: %v", err)) // a descriptor of ours was closed by somebody
		}
		l.now = l.g.now()
		again := l.again
		l.again = nil
		for _, ev := range l.events[:max(n, 0)] {
			switch ev.Fd {
			case slotBell:
				l.takeCommands()
			case slotTimer:
				l.drain(l.timer)
				l.armed = 0
			default:
				l.ready(ev)
			}
		}
		for _, slot := range again {
			if c := l.conn(slot); c.state > stateConnecting {
				l.read(c)
			}
		}
	}
}

// schedule does what is due and returns how long to wait for events: not at all when
// there is more to do, else for ever, with the timer set.
func (l *loop) schedule() int {
	l.now = l.g.now()
	next := min(l.sweep(), l.wakeUp())
	if l.connect != nil {
		next = min(next, l.connect.step(l))
	}
	if l.traffic != nil {
		next = min(next, l.traffic.step(l))
	}
	if len(l.again) > 0 || next <= l.now {
		return 0
	}
	if next != never && next != l.armed {
		l.armed = next
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(next)}
		if err := unix.TimerfdSettime(l.timer, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
			panic(fmt.Sprintf("load: timerfd_settime: %v", err))
		}
	}
	return -1
}

// never is later than anything.
const never = int64(1<<63 - 1)

// do has the loop run f. Any goroutine may call it.
func (l *loop) do(f func()) {
	l.mu.Lock()
	l.mu.commands = append(l.mu.commands, f)
	l.mu.Unlock()
	// A full counter (EAGAIN) means that it is awake anyway.
	_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (l *loop) takeCommands() {
	l.drain(l.bell)
	l.mu.Lock()
	commands := l.mu.commands
	l.mu.commands = nil
	l.mu.Unlock()
	for _, f := range commands {
		f()
	}
}

func (l *loop) drain(fd int) {
	var buf [8]byte
	_, _ = unix.Read(fd, buf[:])
}

// ready takes an event of a connection.
func (l *loop) ready(ev unix.EpollEvent) {
	c := l.conn(ev.Fd)
	if c.state < stateConnecting || int32(c.attempt) != ev.Pad {
		return // closed since, by an event before this one
	}
	if ev.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 && !l.writable(c) {
		return
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		l.read(c)
	}
}

// sweep sends a ping on connections that have been silent for long: a few of them at a
// time, so that it takes no timers. It returns when it wants to be called again.
func (l *loop) sweep() int64 {
	every := l.heartbeat
	if every == 0 {
		return never
	}
	if l.now < l.sweepAt {
		return l.sweepAt
	}
	l.sweepAt = l.now + int64(sweepEvery)
	n := l.slots.used
	silent := seconds(l.now - int64(every))
	for range int(int64(n)*sweeps*int64(sweepEvery)/int64(every)) + 1 {
		if n == 0 {
			break
		}
		l.sweepSlot = (l.sweepSlot + 1) % n
		if c := l.slots.at(l.sweepSlot); c.state == stateOpen && !c.slow && c.heard <= silent {
			l.ping(c)
		}
	}
	return l.sweepAt
}

// seconds returns a time of the generator's clock in whole seconds.
func seconds(t int64) uint32 { return uint32(max(t, 0) / int64(time.Second)) }
