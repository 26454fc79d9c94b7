package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// follower is what a connection has beside, with Config.Follow, to find the node that serves
// its user by the rules of the protocol (docs/protocol.md, Finding the node).
type follower struct {
	began    int64  // when it was lost, or first opened
	version  uint64 // of the newest map that it has heard of
	lead     uint64 // of the map by which it was led to node; 0 if it chose that itself
	sum      uint64 // of the run, when it was lost: sum and count of conn
	count    uint32
	welcomed uint32 // when it last was, in seconds of the generator's clock
	node     uint8  // where it is, or goes next
	asked    uint8  // the node that it asks for the route
	failures uint8  // of node in a row
	led      uint8  // times in a row that it was led to another node
	older    uint8  // answers in a row by maps older than version
	ask      bool   // it will ask for the route before it connects
	asking   bool   // its socket is for the question
	lost     bool   // it was open: it goes on from its cursor
	partial  bool   // of conn, when it was lost
}

// follower returns what a connection has beside; with Config.Follow only.
func (l *loop) follower(c *conn) *follower {
	return &l.slots.followers[c.slot/slotChunk][c.slot%slotChunk]
}

// follows reports whether a connection finds its node by itself.
func (l *loop) follows(c *conn) bool { return l.g.config.Follow && !c.isFeeder() }

// asks reports whether a connection's socket is there to ask for the route.
func (l *loop) asks(c *conn) bool { return l.follows(c) && l.follower(c).asking }

// verdict is what to do about an attempt that has failed, or a connection that was lost.
type verdict uint8

const (
	again   verdict = iota // connect to the same node
	askNode                // ask another node for the route
	goThere                // connect where it was directed
	giveUp                 // it would be refused again
)

// closedError is the end of a connection by a close frame.
type closedError codec.CloseCode

func (e closedError) Error() string { return "by the server with " + strconv.Itoa(int(e)) }

var errNoAnswer = errors.New("no answer in time")

// judge returns what to do, and the pause that the server asks for. The connection had been
// welcomed if open is set.
func judge(err error, open bool) (verdict, time.Duration) {
	status, closed := (*ws.StatusError)(nil), closedError(0)
	switch {
	case errors.Is(err, errGivenUp):
		return giveUp, 0
	case errors.As(err, &status):
		seconds, _ := strconv.Atoi(status.Header("Retry-After"))
		return judgeStatus(status.Status), min(time.Duration(seconds)*time.Second, maxPause)
	case errors.As(err, &closed):
		return judgeClose(codec.CloseCode(closed)), 0
	case open:
		return again, 0
	}
	return askNode, 0
}

func judgeStatus(status int) verdict {
	switch {
	case status == http.StatusMisdirectedRequest:
		return goThere
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return again
	case status >= http.StatusInternalServerError:
		return askNode
	}
	return giveUp
}

func judgeClose(code codec.CloseCode) verdict {
	switch {
	case code == codec.CloseGoingAway, code == codec.CloseRestart, code == codec.CloseTryAgainLater:
		return askNode
	case code >= 4000 && code < 4100:
		return giveUp
	case code >= 4200 && code < 4300:
		return goThere
	}
	return again
}

// first chooses where a connection begins: at one of the nodes that were given.
func (l *loop) first(c *conn) {
	f := l.follower(c)
	if c.attempt == 0 {
		f.node = uint8(l.rng.IntN(1 + len(l.g.seeds)))
	}
	f.began, f.failures, f.led, f.ask, f.asking, f.lost = l.now, 0, 0, false, false, false
}

// goOn decides how a connection goes on that could not be opened, or was lost if open is
// set, and reports whether it does.
func (l *loop) goOn(c *conn, err error, open bool) bool {
	f := l.follower(c)
	if f.asking {
		return l.unanswered(c, f, err)
	}
	what, pause := judge(err, open)
	if what == giveUp {
		return false
	}
	if open {
		if seconds(l.now)-f.welcomed >= stableSeconds {
			f.failures, f.led = 0, 0
		}
		f.began, f.lost, f.sum, f.count, f.partial = l.now, true, c.sum, c.count, c.partial
		c.away = true // what it misses is due to it
	} else {
		l.counters.retried.Add(1)
		l.counters.count("again: " + err.Error())
	}
	if what == goThere && l.goWhereTold(c, f, err) {
		l.pause(c, pause)
		return true
	}
	f.ask = what != again
	l.pause(c, pause+f.backoff(l.rng, l.g.config.MaxBackoff))
	return true
}

// goWhereTold has the next attempt be at the node that a refusal names, or that a moved has
// named before the connection was closed. It reports whether there is one to go to.
func (l *loop) goWhereTold(c *conn, f *follower, err error) bool {
	if e := (*ws.StatusError)(nil); errors.As(err, &e) {
		d, ok := redirect(e)
		return ok && l.lead(f, d) == nil && f.led <= maxLed
	}
	return c.leaving
}

// moved notes where the node that a connection is at directs it to. The node closes the
// connection when it has answered what is under way.
func (l *loop) moved(c *conn, m *codec.Moved) {
	if l.lead(l.follower(c), direction{m.URL, m.MapVersion}) == nil {
		c.leaving = true
	}
}

// lead has the next attempt be where a redirect or a route leads, unless its map is older
// than one that is known.
func (l *loop) lead(f *follower, d direction) error {
	to, err := l.nodeAt(d.URL)
	if err != nil {
		l.counters.count(err.Error())
		return err
	}
	if d.MapVersion < f.version {
		if f.older++; f.older <= maxOlder {
			l.counters.count("directed by an older map")
			return errOlder
		}
	}
	f.version, f.lead, f.older = d.MapVersion, d.MapVersion, 0
	if to != f.node {
		l.counters.directed.Add(1)
		f.node, f.led = to, min(f.led+1, maxLed+1)
		if f.led <= maxLed {
			f.failures = 0
		}
	}
	return nil
}

var errOlder = errors.New("the map is older than one that is known")

// heardOf notes the version of the map by which a node has welcomed the connection.
func (f *follower) heardOf(version uint64) { f.version = max(f.version, version) }

// backoff returns a random pause before the next attempt, whose bound grows with the
// failures up to most.
func (f *follower) backoff(rng *rand.Rand, most time.Duration) time.Duration {
	bound := min(minBackoff<<f.failures, most)
	f.failures = min(f.failures+1, 16) // enough for any bound
	return time.Duration(rng.Int64N(int64(bound) + 1))
}

// pause has a connection wait before its next attempt.
func (l *loop) pause(c *conn, d time.Duration) {
	c.attempt++ // what was to be looked at of the last one is over
	c.state, c.fd = stateWaiting, -1
	l.counters.connecting.Add(1)
	l.wakeAt(c, l.now+int64(d))
}

// connectTo makes the next attempt of a connection: a question for the route, or the
// connection itself.
func (l *loop) connectTo(c *conn) {
	f := l.follower(c)
	timeout := openTimeout
	if f.asking = false; f.ask {
		f.ask = false
		if other, ok := l.another(f.node); ok {
			f.asked, f.asking, timeout = other, true, routeTimeout
			l.counters.asked.Add(1)
		}
	}
	l.dial(c)
	if c.state == stateConnecting {
		l.wakeAt(c, l.now+int64(timeout))
	}
}

// unanswered takes the end of a question: err is its answer, too. If that leads nowhere,
// the node that was asked is the next to try, since it directs, too.
func (l *loop) unanswered(c *conn, f *follower, err error) bool {
	f.asking = false
	if errors.Is(err, errGivenUp) {
		return false
	}
	d, err := routeOf(err)
	if err == nil {
		err = l.lead(f, d)
	}
	if err != nil {
		l.counters.count("route: " + err.Error())
		f.node, f.lead = f.asked, 0
	}
	l.pause(c, 0)
	return true
}

// routeOf reads the answer to the question for a route.
func routeOf(err error) (d direction, _ error) {
	e := (*ws.StatusError)(nil)
	if !errors.As(err, &e) {
		return d, err
	}
	if e.Status != http.StatusOK {
		return d, e
	}
	if err := json.Unmarshal([]byte(e.Body), &d); err != nil {
		return d, fmt.Errorf("the answer cannot be read: %w", err)
	}
	return d, nil
}
