package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godwit-im/godwit/tools/verify/wire"
)

// plain is a device with the plain client: what protocol.md asks of a client beyond one
// connection, it does here. Its goroutines are that of run, which connects, and one for each
// connection, which reads.
type plain struct {
	*device // static

	poke chan struct{} // rung when run has something to do

	// Owned by run.
	finder finder

	mu struct {
		sync.Mutex
		at     *session // that is welcomed and takes sends; nil while there is none
		taking *session // whose deliveries are taken; nil while there is none
		pace   int
		view   view
		gaps   []*gap // to fetch
		how    resumption
		from   *mark // in place of how.steps: where to go back to
		away   bool
		hangUp bool // end the connection
		abrupt bool // without a goodbye
		asked  int  // pages
	}
}

// gap is a range of deliveries that the server has dropped.
type gap struct {
	after, before string
	at            mark // the latest cursor before it
}

func newPlain(d *device) *plain {
	c := &plain{device: d, poke: make(chan struct{}, 1)}
	c.finder = finder{load: d.load, user: d.name, rand: d.load.people.rand("pauses", d.user, d.number)}
	c.mu.pace = wire.FullPace
	return c
}

// run connects, and connects again, until ctx ends.
func (c *plain) run(ctx context.Context) {
	for c.present(ctx) {
		at := c.finder.next(ctx)
		s, err := c.dial(ctx, at)
		if err != nil {
			if ctx.Err() == nil {
				sleep(ctx, c.refused(at, err))
			}
			continue
		}
		c.serve(ctx, s)
	}
}

// present waits while the device is away. It reports false when ctx has ended.
func (c *plain) present(ctx context.Context) bool {
	for ctx.Err() == nil {
		c.mu.Lock()
		away := c.mu.away
		c.mu.hangUp = false // there is no connection
		c.mu.Unlock()
		if !away {
			return true
		}
		select {
		case <-ctx.Done():
		case <-c.poke:
		}
	}
	return false
}

// dial connects, where the device wants to go on, and has the connection read. From now on
// no other connection delivers.
func (c *plain) dial(ctx context.Context, at place) (*session, error) {
	c.mu.Lock()
	c.mu.taking = nil
	how, from := c.mu.how, c.mu.from
	m, known := c.mu.view.at(how.steps)
	if from != nil {
		m = *from
	}
	o := wire.Options{
		URL: at.url, MapVersion: at.version, Token: c.token(), User: c.name, Format: c.character.format, Device: c.label,
		Overflow: "auto", Fragments: c.character.fragments, ReceiveBuffer: receiveBuffer, TLS: c.load.o.TLS,
	}
	c.mu.Unlock()
	if c.character.gaps {
		o.Overflow = "gap"
	}
	if c.character.origin {
		o.Origin = "https://example.org"
	}
	switch {
	case known && !how.anew:
		o.Cursor = m.cursor
	case how.newest > 0:
		o.Start = fmt.Sprint("last:", how.newest)
	default:
		o.Start = "live"
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := wire.Dial(dialing, o)
	if err != nil {
		if ctx.Err() == nil {
			for _, e := range wire.RefusedEvents(&o, err) {
				c.write(e)
			}
		}
		return nil, err
	}
	s := c.welcomed(conn, at, &o, m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.how == how && c.mu.from == from {
		c.mu.how, c.mu.from = resumption{}, nil // it is done
	}
	return s, nil
}

// welcomed makes a session of a connection.
func (c *plain) welcomed(conn *wire.Conn, at place, o *wire.Options, m mark) *session {
	s := newSession(c, conn, at)
	w := conn.Welcome()
	c.finder.welcomed(w.MapVersion)
	c.load.limit(int(w.Limits.BodyBytes))
	c.mu.Lock()
	defer c.mu.Unlock()
	back := 0
	if o.Cursor != "" {
		back = c.mu.view.back(m)
	}
	c.write(conn.ConnectEvent(s.number, back))
	if o.Cursor != "" {
		c.mu.view.resume(m)
		c.dropGaps(m.number)
		c.load.tally.count(func(n *Counts) {
			if back > 0 {
				n.Conduct.Backs++
			}
			if m.heartbeat {
				n.Conduct.FromHeartbeats++
			}
		})
	} else {
		if len(c.mu.view.marks) > 0 {
			c.load.tally.count(func(n *Counts) { n.Conduct.Anew++ })
		}
		c.mu.view.begin(w.Cursor)
		c.mu.gaps = nil
		c.begun()
	}
	c.mu.at, c.mu.taking = s, s
	conn.SetPace(c.mu.pace)
	c.setOnline(true)
	c.load.wg.Go(s.read)
	return s
}

// dropGaps forgets the gaps after a mark: what they have told of comes again. mu is held.
func (c *plain) dropGaps(number uint64) {
	kept := c.mu.gaps[:0]
	for _, g := range c.mu.gaps {
		if g.at.number < number {
			kept = append(kept, g)
		}
	}
	clear(c.mu.gaps[len(kept):])
	c.mu.gaps = kept
}

// refused decides what to do after a failed attempt, and returns how long to wait before.
func (c *plain) refused(at place, err error) time.Duration {
	r := (*wire.Refusal)(nil)
	if !errors.As(err, &r) {
		c.finder.elsewhere(at.url)
		return c.finder.pause()
	}
	switch {
	case r.Code == "unknown_cursor" || r.Code == "bad_cursor":
		c.write(cursorRefused(r.Code))
		c.mu.Lock()
		c.mu.how, c.mu.from = resumption{anew: true}, nil
		c.mu.Unlock()
		c.finder.again(at)
	case r.URL != "":
		if c.finder.follow(at.url, r.URL, r.MapVersion) {
			return min(r.RetryAfter, maxPause)
		}
	case r.Status == 401 || r.CloseCode == 4001 || r.CloseCode == 4102:
		c.finder.again(at) // with a new token
	default:
		c.finder.elsewhere(at.url)
	}
	return max(min(r.RetryAfter, maxPause), c.finder.pause())
}

// serve stays with a connection, and those that it moves to, until the last has ended.
func (c *plain) serve(ctx context.Context, s *session) {
	watch := time.NewTicker(tick)
	defer watch.Stop()
	for leaving := s.leaving; ; {
		select {
		case <-s.over:
			if pause := c.lost(s); pause > 0 {
				sleep(ctx, pause)
			}
			return
		case <-leaving:
			leaving = nil
			if next := c.move(ctx, s); next == nil {
				return
			} else if next != s {
				s, leaving = next, next.leaving
			}
		case <-watch.C:
			c.look(ctx, s)
		case <-c.poke:
			c.hangUp(s)
		case <-ctx.Done():
			c.offline(s)
			_ = s.conn.Close() // it has ended if that fails
			<-s.over
			return
		}
	}
}

// hangUp ends the connection if the device wants that.
func (c *plain) hangUp(s *session) {
	c.mu.Lock()
	hangUp, abrupt := c.mu.hangUp, c.mu.abrupt
	c.mu.hangUp = false
	c.mu.Unlock()
	switch {
	case hangUp && abrupt:
		s.conn.Cut()
	case hangUp:
		c.offline(s)
		_ = s.conn.Close() // it has ended if that fails
	}
}

// offline has no sends made on a connection any more.
func (c *plain) offline(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.at == s {
		c.mu.at = nil
		c.setOnline(false)
	}
}

// look looks after a connection: whether the server is there, and has its log.
func (c *plain) look(ctx context.Context, s *session) {
	c.mu.Lock()
	paced := c.mu.pace != wire.FullPace
	c.mu.Unlock()
	if s.silent(time.Now(), paced) {
		s.conn.Cut()
	}
	if s.askNow(time.Now()) {
		w := s.conn.Welcome()
		to, ok := c.finder.route(ctx, s.at.url)
		if ok && to.url != s.at.url && to.version > w.MapVersion {
			s.leaveFor(&wire.Moved{URL: to.url, MapVersion: to.version})
		}
	}
}

// move goes where s was told to, and returns the new session, or nil if there is none.
func (c *plain) move(ctx context.Context, s *session) *session {
	c.offline(s)
	m := s.target()
	if !c.finder.follow(s.at.url, m.URL, m.MapVersion) {
		_ = s.conn.Close() // it has ended if that fails
		<-s.over
		sleep(ctx, c.finder.pause())
		return nil
	}
	if !s.wait(ctx, min(time.Duration(m.RetryAfterMS)*time.Millisecond, maxPause)) {
		return s // its end comes next
	}
	at := c.finder.next(ctx)
	next, err := c.dial(ctx, at)
	if err != nil {
		s.conn.Cut()
		<-s.over
		if ctx.Err() == nil {
			sleep(ctx, c.refused(at, err))
		}
		return nil
	}
	c.load.wg.Go(func() { s.retire(ctx) })
	return next
}

// lost decides where to go after a connection has ended, and returns how long to wait before.
func (c *plain) lost(s *session) time.Duration {
	if time.Since(s.since) >= stable {
		c.finder.lasted()
	}
	switch code := s.end.Code; code {
	case 1000: // the device's own
		return 0
	case 1001, 1011, 1012, 1013:
		c.finder.elsewhere(s.at.url)
	case 4102:
		c.load.tally.count(func(n *Counts) { n.Conduct.Expiries++ })
		c.finder.again(s.at)
		return 0
	case 4200, 4201:
		if m := s.target(); m != nil && c.finder.follow(s.at.url, m.URL, m.MapVersion) {
			return 0
		}
		c.finder.elsewhere(s.at.url)
	default:
		c.finder.again(s.at)
	}
	return c.finder.pause()
}
