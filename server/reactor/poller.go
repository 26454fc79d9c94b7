package reactor

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/registry"
)

// poller wakes loops: for sockets that became writable, for the next pass of a loop
// that used up its budget, and once a second for deadlines. Its one goroutine
// watches an epoll instance of its own, beside gnet's.
//
// A loop that wants another pass must not ask gnet for it directly: gnet runs
// what it is asked to before it looks at sockets again, so a loop that keeps asking
// would never read. Through the poller the request comes back after a wait on
// the sockets.
type poller struct {
	epoll int // descriptor
	event int // descriptor of an eventfd that wakes the goroutine
	done  chan struct{}

	// asleep: the goroutine waits for the next tick, and does not look at what loops hold.
	asleep atomic.Bool

	mu struct {
		sync.Mutex
		loops   []*loop // all, once they are there
		again   []*loop // those that asked for another pass
		stopped bool
	}
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("reactor: epoll: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1, Pad: -1})
	}
	if err != nil {
		if event >= 0 {
			_ = unix.Close(event)
		}
		return nil, errors.Join(fmt.Errorf("reactor: eventfd: %w", err), unix.Close(epoll))
	}
	p := &poller{epoll: epoll, event: event, done: make(chan struct{})}
	go p.run()
	return p, nil
}

// watch tells the poller which loops there are.
func (p *poller) watch(loops []*loop) {
	p.mu.Lock()
	p.mu.loops = loops
	p.mu.Unlock()
}

// arm asks to be told once when fd is writable. The loop that owns fd calls it, on
// its own thread, since a loop may have a descriptor table of its own. first says
// that this descriptor was never armed before.
func (p *poller) arm(fd int, h registry.Handle, first bool) error {
	op := unix.EPOLL_CTL_MOD
	if first {
		op = unix.EPOLL_CTL_ADD
	}
	ev := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: int32(uint32(h)), Pad: int32(uint32(h >> 32))}
	return unix.EpollCtl(p.epoll, op, fd, &ev)
}

// again asks for another pass of a loop. Any goroutine may call it.
func (p *poller) again(l *loop) {
	p.mu.Lock()
	p.mu.again = append(p.mu.again, l)
	p.wakeLocked()
	p.mu.Unlock()
}

func (p *poller) wakeLocked() {
	if p.mu.stopped {
		return // the descriptor may be closed already
	}
	// A full counter (EAGAIN) means that it is awake anyway.
	_, _ = unix.Write(p.event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// stop ends the goroutine. Loops may still use the poller, to no effect.
func (p *poller) stop() {
	p.mu.Lock()
	p.wakeLocked()
	p.mu.stopped = true
	p.mu.Unlock()
	<-p.done
}

// close closes the descriptors. The loops must have ended, or their numbers could
// name something else by the time a loop uses them.
func (p *poller) close() { _, _ = unix.Close(p.epoll), unix.Close(p.event) }

// watchHeld has the goroutine look at what loops hold. Any loop may call it, once it
// has set heldDue.
func (p *poller) watchHeld() {
	if p.asleep.CompareAndSwap(true, false) {
		p.mu.Lock()
		p.wakeLocked()
		p.mu.Unlock()
	}
}

// ringHeld rings the loops where something is held that is due, and returns how long it is
// until the next is.
func (p *poller) ringHeld(loops []*loop, wait time.Duration) time.Duration {
	p.asleep.Store(true) // before the loops are asked: see watchHeld
	now := milliseconds(time.Now())
	for _, l := range loops {
		due := l.heldDue.Load()
		if due == 0 {
			continue
		}
		p.asleep.Store(false)
		if due <= now {
			l.ring()
			due = now + holdTime
		}
		wait = min(wait, time.Duration(due-now)*time.Millisecond)
	}
	return wait
}

func (p *poller) run() {
	defer close(p.done)
	events := make([]unix.EpollEvent, 256)
	next := time.Now().Add(tick)
	var loops []*loop
	for {
		wait := p.ringHeld(loops, max(time.Until(next), 0))
		n, err := unix.EpollWait(p.epoll, events, int((wait+time.Millisecond-1)/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(fmt.Sprintf("reactor: epoll_wait: %v", err)) // a descriptor of ours was closed by somebody
		}
		p.mu.Lock()
		loops = p.mu.loops
		p.mu.Unlock()
		for _, ev := range events[:max(n, 0)] {
			if ev.Fd == -1 && ev.Pad == -1 {
				if !p.takeAgain() {
					return
				}
				continue
			}
			h := registry.Handle(uint32(ev.Fd)) | registry.Handle(uint32(ev.Pad))<<32
			loops[h.Loop()].writable(h)
		}
		for _, l := range loops {
			l.ringIfWritable()
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(tick)
			for _, l := range loops {
				l.ring()
			}
		}
	}
}

// takeAgain rings the loops that asked for another pass; it reports false when the
// poller is to end.
func (p *poller) takeAgain() bool {
	var buf [8]byte
	_, _ = unix.Read(p.event, buf[:])
	p.mu.Lock()
	again, stopped := p.mu.again, p.mu.stopped
	p.mu.again = nil
	p.mu.Unlock()
	for _, l := range again {
		l.ring()
	}
	return !stopped
}
