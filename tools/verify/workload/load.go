package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// ErrNoHistory says that the cluster keeps no history that could be read.
var ErrNoHistory = errors.New("workload: the cluster keeps no history")

// Load is the users and devices of a run. The comment of the package says who may call what.
type Load struct {
	// Static.
	o       Options
	people  *population
	devices []*device // of the first user, of the second, and so on
	ledger  *ledger
	tally   *tally
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	sending chan struct{} // closed by Send
	steady  chan struct{} // closed by Steady
	wg      sync.WaitGroup

	// Atomic.
	conns  atomic.Uint64 // numbers of connections
	online atomic.Int64  // devices that are connected
	body   atomic.Int64  // the most bytes of a body that the server takes

	once struct{ connect, send, steady sync.Once }

	// Guarded by mu.
	mu        sync.Mutex
	stopPacer context.CancelFunc // nil while there is no pacer
	pacerDone chan struct{}
}

// New makes a load. It does nothing before Connect.
func New(o Options) (*Load, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := &Load{
		o: o, people: newPopulation(&o), ledger: newLedger(o.Devices), tally: new(tally),
		sending: make(chan struct{}), steady: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.body.Store(defaultBody)
	for i, c := range l.people.characters(o.Devices) {
		l.devices = append(l.devices, newDevice(l, i/o.Devices, i%o.Devices, c))
	}
	return l, nil
}

// newDevice makes a device.
func newDevice(l *Load, user, number int, c character) *device {
	d := &device{
		load: l, user: user, number: number, name: l.people.names[user], label: fmt.Sprint("d", number), character: c,
		bell: make(chan struct{}, 1), gaps: make(chan struct{}, 1), beats: make(chan struct{}, 1),
		drafts: writer{people: l.people, user: user, device: c, rand: l.people.rand("drafts", user, number)},
	}
	d.by = d.name + "/" + d.label
	if c.wire {
		d.link = newPlain(d)
	} else {
		d.link = newProgram(d)
	}
	return d
}

// Connect begins to connect all devices, and returns when each is connected.
func (l *Load) Connect(ctx context.Context) error {
	l.once.connect.Do(func() {
		for _, d := range l.devices {
			l.wg.Go(func() { d.link.run(l.ctx) })
			l.wg.Go(func() { d.sendAll(l.ctx) })
			l.wg.Go(func() { d.live(l.ctx) })
		}
	})
	return l.Reconnect(ctx)
}

// Send begins to send, and to misbehave.
func (l *Load) Send() {
	l.once.send.Do(func() {
		l.pace()
		close(l.sending)
	})
}

// pace begins to send.
func (l *Load) pace() {
	ctx, cancel := context.WithCancel(l.ctx)
	p := pacer{load: l, rand: l.people.rand("pacer")}
	done := make(chan struct{})
	l.mu.Lock()
	l.stopPacer, l.pacerDone = cancel, done
	l.mu.Unlock()
	l.wg.Go(func() {
		defer close(done)
		p.run(ctx)
	})
}

// Steady ends the misbehaviour: whoever reads slowly or is away by choice is not any more,
// and what gaps have told of is fetched at once.
func (l *Load) Steady() { l.once.steady.Do(func() { close(l.steady) }) }

func (l *Load) isSteady() bool {
	select {
	case <-l.steady:
		return true
	default:
		return false
	}
}

// Reconnect returns when all devices are connected.
func (l *Load) Reconnect(ctx context.Context) error {
	return l.await(ctx, func() error {
		if missing := len(l.devices) - int(l.online.Load()); missing > 0 {
			return fmt.Errorf("workload: %d of %d devices are not connected", missing, len(l.devices))
		}
		return nil
	})
}

// Drain ends the sending, and returns when each message has had its last outcome.
func (l *Load) Drain(ctx context.Context) error {
	l.mu.Lock()
	stop, done := l.stopPacer, l.pacerDone
	l.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
	return l.await(ctx, func() error {
		busy := 0
		for _, d := range l.devices {
			if !d.idle() {
				busy++
			}
		}
		if busy > 0 {
			return fmt.Errorf("workload: %d devices have sends without an outcome", busy)
		}
		return nil
	})
}

// Settle returns when no device lacks an acknowledged message and nothing has come for a
// moment, or when ctx ends: what is missing then the checks will find.
func (l *Load) Settle(ctx context.Context) {
	last, since := int64(-1), time.Now()
	_ = l.await(ctx, func() error { // an error is that ctx has ended
		c := l.tally.get()
		if came := c.Delivers + c.Gaps + c.Pages; came != last {
			last, since = came, time.Now()
		}
		if l.ledger.lacking() > 0 || time.Since(since) < quiet {
			return errors.New("workload: messages are under way")
		}
		return nil
	})
}

// ReadHistory has one device of each user read the user's whole timeline. The error is
// ErrNoHistory, or says whose could not be read; the others were.
func (l *Load) ReadHistory(ctx context.Context) error {
	choice := l.people.rand("readers")
	var users sync.WaitGroup
	free := make(chan struct{}, readers)
	errs := make([]error, len(l.people.names))
	for u := range l.people.names {
		d := l.devices[u*l.o.Devices+choice.IntN(l.o.Devices)]
		free <- struct{}{}
		users.Go(func() {
			errs[u] = d.readTimeline(ctx)
			<-free
		})
	}
	users.Wait()
	err := errors.Join(errs...)
	if errors.Is(err, ErrNoHistory) {
		return ErrNoHistory
	}
	return err
}

// Users returns the names of all users.
func (l *Load) Users() []string { return append([]string(nil), l.people.names...) }

// Counts returns what has happened so far.
func (l *Load) Counts() Counts {
	c := l.tally.get()
	c.Devices, c.Connected, c.Unseen = len(l.devices), int(l.online.Load()), l.ledger.lacking()
	return c
}

// Close ends all connections, and returns when everything has ended. What ends then is
// written as well.
func (l *Load) Close() {
	l.cancel()
	l.wg.Wait()
}

// await waits until there is no error any more. If ctx or the load ends before, it
// returns the error with the cause.
func (l *Load) await(ctx context.Context, err func() error) error {
	look := time.NewTicker(poll)
	defer look.Stop()
	for {
		why := err()
		if why == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", why, context.Cause(ctx))
		case <-l.ctx.Done():
			return fmt.Errorf("%w: the load was closed", why)
		case <-look.C:
		}
	}
}

// connected counts a device that is connected, or is not any more.
func (l *Load) connected(is bool) {
	if is {
		l.online.Add(1)
	} else {
		l.online.Add(-1)
	}
}

// limit notes the most bytes that the server takes for a body.
func (l *Load) limit(body int) { l.body.Store(int64(body)) }

// write writes an event of a device.
func (l *Load) write(by string, e event.Event) {
	l.tally.event(e)
	l.o.Write(by, e)
}
