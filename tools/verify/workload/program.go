package workload

import (
	"context"
	"net"
	"sync"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/tools/client"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

// program is a device with a program that uses tools/client. What that does by itself
// (reconnect, move, retry) it does here too; a program that ends and is started again is a new
// Client, with a cursor that the one before has left.
//
// Deliveries are written without their numbers: the client does not hand over what it has had
// already, so that to look for holes is the client's, which tells of them.
type program struct {
	*device // static
	gate    *gate
	poke    chan struct{} // rung when run has something to do

	mu struct {
		sync.Mutex
		client *client.Client     // that runs; nil while none does
		stop   context.CancelFunc // ends it
		socket net.Conn           // its latest
		conn   uint64             // the number of its latest connection; 0 before the first
		open   bool               // that is welcomed, and has not ended
		goesOn bool               // the next welcome is of a cursor
		from   mark               // which one, for the first welcome of a Client
		first  bool               // that is to come
		newest int                // with how many messages a Client without a cursor begins
		view   view
		how    resumption
		away   bool
	}
}

func newProgram(d *device) *program {
	return &program{device: d, gate: newGate(), poke: make(chan struct{}, 1)}
}

// run runs Clients until ctx ends.
func (p *program) run(ctx context.Context) {
	pauses := finder{rand: p.load.people.rand("pauses", p.user, p.number)}
	for p.present(ctx) {
		if err := p.runClient(ctx); err != nil {
			sleep(ctx, pauses.pause())
		}
	}
}

// present waits while the device is away. It reports false when ctx has ended.
func (p *program) present(ctx context.Context) bool {
	for ctx.Err() == nil {
		p.mu.Lock()
		away := p.mu.away
		p.mu.Unlock()
		if !away {
			return true
		}
		select {
		case <-ctx.Done():
		case <-p.poke:
		}
	}
	return false
}

// runClient runs a Client until the device leaves or ctx ends. The error says why the Client has
// given up.
func (p *program) runClient(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c, err := p.newClient(ctx, stop)
	if c == nil {
		return err
	}
	err = c.Run(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.client, p.mu.stop = nil, nil
	// It counts heartbeats as well, of which it does not tell. The cursor of one that was never
	// welcomed is what it was made with, which may be older.
	last, ok := p.mu.view.at(0)
	if ok && !p.mu.first && c.Cursor() != "" && c.Cursor() != last.cursor {
		p.mu.view.beat(c.Cursor())
	}
	return err
}

// newClient makes a Client, or returns none if the device is away.
func (p *program) newClient(ctx context.Context, stop context.CancelFunc) (*client.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.away {
		return nil, nil
	}
	how := p.mu.how
	o := client.Options{
		URLs:       p.load.o.URLs(),
		Token:      func(context.Context) (string, error) { return p.token(), nil },
		Device:     p.label,
		JSON:       p.character.format == wire.JSON,
		MinBackoff: minPause, MaxBackoff: maxPause, DegradedSpread: degradedSpread,
		TLS:       p.load.o.TLS,
		Dial:      p.dial,
		OnState:   p.changed,
		OnMessage: func(m client.Message) { p.message(ctx, &m) },
		OnGap:     p.gap,
		OnGone:    p.gone,
		OnError:   p.failed,
	}
	m, known := p.mu.view.at(how.steps)
	p.mu.goesOn = known && !how.anew
	if p.mu.goesOn {
		o.Cursor = m.cursor
	} else {
		o.Start = codec.Start(how.newest)
	}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	p.mu.client, p.mu.stop, p.mu.from, p.mu.first, p.mu.newest = c, stop, m, true, how.newest
	p.mu.how = resumption{}
	return c, nil
}

// dial connects, and remembers the socket.
func (p *program) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, address)
	if err == nil {
		p.mu.Lock()
		p.mu.socket = nc
		p.mu.Unlock()
	}
	return nc, err
}

func (p *program) refresh() {
	p.mu.Lock()
	c := p.mu.client
	p.mu.Unlock()
	if c == nil {
		return
	}
	p.load.tally.count(func(n *Counts) { n.Conduct.Refreshes++ })
	p.load.wg.Go(func() {
		ctx, cancel := context.WithTimeout(p.load.ctx, tick)
		defer cancel()
		_ = c.Refresh(ctx) // the next one is due soon
	})
}

func (p *program) setPace(bytesPerSecond int) { p.gate.set(bytesPerSecond) }

func (p *program) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.socket != nil {
		_ = p.mu.socket.Close() // it may have ended already
	}
}

func (p *program) leave(abrupt bool) {
	if abrupt {
		p.cut()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.away = true
	if p.mu.stop != nil {
		p.mu.stop()
	}
}

func (p *program) come(how resumption) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.away = false
	if how != (resumption{}) {
		p.mu.how = how
	}
	ring(p.poke)
}

func (p *program) cursor(steps int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, _ := p.mu.view.at(steps)
	return m.cursor
}

// catchUp has nothing to do: a program does not ask for gaps.
func (p *program) catchUp(context.Context) bool { return true }
