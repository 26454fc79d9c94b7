package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// Shape says who sends to whom.
type Shape string

// The shapes. Connections take turns in sending in all of them.
const (
	// Unicast: to a random user each time.
	Unicast Shape = "unicast"
	// Neighbour: to the user after the sender's own. When every connection has sent once,
	// every user has been sent to once by each of its neighbour's connections.
	Neighbour Shape = "neighbour"
	// Absent: to a user who is not there, each time another. So a node has records that
	// nobody waits for.
	Absent Shape = "absent"
	// Group: the users are in groups of up to Traffic.Fanout that live in one partition;
	// one of a group sends to all the others. So each message is one record of the log.
	// With Config.Feed somebody else sends, at another node, and to all.
	Group Shape = "group"
	// Ping: to the node itself, which answers from its event loop. A connection has one
	// ping on its way at a time. Nothing is written to the log, and nothing delivered.
	Ping Shape = "ping"
	// History: to the node, for the newest messages of the sender's own timeline. Nothing is
	// written or delivered. An answer that is not a page of Traffic.Page messages is wrong.
	History Shape = "history"
)

// stores reports whether messages are stored, and so due to somebody.
func (s Shape) stores() bool { return s != Ping && s != History }

// Traffic says what is sent in a run.
type Traffic struct {
	Shape Shape `json:"shape"`
	// Size is that of a body in bytes, MinSize or more; what is not stored has none.
	Size int `json:"size"`
	// Page is how many messages a request of the shape History asks for, 1 to
	// codec.MaxPage.
	Page int `json:"page,omitempty"`
	// Rate is how many messages are sent a second, all connections together, whatever
	// becomes of them. 0 sends as fast as they are answered: then InFlight is how many
	// are on their way.
	Rate     float64 `json:"rate,omitempty"`
	InFlight int     `json:"in_flight,omitempty"`
	// Count and Duration end the run, whichever comes first; 0 is none.
	Count    int64         `json:"count,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
	// Fanout is the size of a group, 2 to 65 (with a feed 64): a message has at most 64
	// recipients. Burst is how many messages in a row go to the same group, by default 1.
	Fanout int `json:"fanout,omitempty"`
	Burst  int `json:"burst,omitempty"`
	// Patience is how long answers and deliveries are waited for after the last send, by
	// default 30 seconds.
	Patience time.Duration `json:"patience,omitempty"`
}

// Validate reports what is wrong with t for a generator with the configuration c. Run
// does so, too.
func (t Traffic) Validate(c Config) error { return errors.Join(c.complete(), t.complete(&c)) }

// complete checks t and fills in what was left out. c is complete.
func (t *Traffic) complete(c *Config) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("load: "+format, args...))
		}
	}
	switch t.Shape {
	case Ping:
		check(c.Protocol != Plain, "the shape %s needs godwit", t.Shape)
		t.InFlight = min(t.InFlight, c.Connections)
	case History:
		check(c.Protocol != Plain, "the shape %s needs godwit", t.Shape)
		check(t.Page >= 1 && t.Page <= codec.MaxPage, "Page is %d: it must be 1 to %d", t.Page, codec.MaxPage)
	case Unicast, Neighbour, Absent:
		check(c.Users > 1 || c.Protocol == Plain, "Users is %d: a message needs a recipient beside its sender", c.Users)
	case Group:
		check(c.Protocol != Plain, "the shape %s needs godwit", t.Shape)
		check(c.Partitions > 0, "the shape %s needs Config.Partitions", t.Shape)
		most := backplane.MaxRecipients + btoi(c.Feed == "") // the sender is one of them
		check(t.Fanout >= 2 && t.Fanout <= most, "Fanout is %d: it must be 2 to %d", t.Fanout, most)
	default:
		check(false, "Shape is %q: it must be %s, %s, %s, %s, %s or %s", t.Shape, Unicast, Neighbour, Absent, Group, Ping, History)
	}
	t.Burst = max(t.Burst, 1)
	check(!t.Shape.stores() || t.Size >= MinSize && t.Size <= backplane.MaxBody, "Size is %d: it must be %d to %d", t.Size, MinSize, backplane.MaxBody)
	check(t.Rate >= 0, "Rate is %v: it must not be negative", t.Rate)
	check(t.Rate > 0 || t.InFlight > 0, "Rate and InFlight are both 0: one of them says how fast to send")
	check(t.Count > 0 || t.Duration > 0, "Count and Duration are both 0: one of them says when to end")
	if t.Patience == 0 {
		t.Patience = defaultPatience
	}
	return errors.Join(errs...)
}

// trafficJob is one loop's part of a run.
type trafficJob struct {
	// Static.
	run      uint32
	spec     *Traffic
	book     *book
	first    int64   // when the loop's first message is due, from the start until release
	interval float64 // nanoseconds between two of the loop's, 0 to saturate
	window   int
	limit    int64 // messages of this loop
	deadline int64 // of sending, from the start until release
	groups   []uint32
	finished func()

	// Owned by the loop.
	held     bool  // not yet released
	begun    int64 // messages that were due
	number   uint32
	cursor   int // the slot, or place in groups, that sent last
	burst    int // messages still to come for the group at hand
	flights  map[uint64]flight
	ending   int64 // when waiting for answers ends, 0 while sending
	last     int64 // when the last answer came
	arrived  int64 // when the last delivery came
	complete bool
}

// flight is a message that was sent and not yet answered.
type flight struct {
	at     int64  // when it was meant to be sent
	target uint32 // the user, or the group
}

// step sends what is due and returns when it wants to be called again.
func (t *trafficJob) step(l *loop) int64 {
	if t.complete || t.held {
		return never
	}
	if t.ending == 0 {
		for range sendsPerPass {
			due := l.now
			if t.interval > 0 {
				due = t.first + int64(float64(t.begun)*t.interval)
			}
			if t.begun == t.limit || due >= t.deadline {
				t.ending = l.now + int64(t.spec.Patience)
				break
			}
			if due > l.now {
				return min(due, t.deadline)
			}
			if t.interval == 0 && len(t.flights) >= t.window {
				return t.deadline // an answer has this called
			}
			t.begun++
			if !t.send(l, due) {
				if t.waits(l) {
					t.begun--
					return min(l.now+int64(time.Millisecond), t.deadline)
				}
				l.counters.unsent.Add(1)
				if t.interval == 0 {
					return min(l.now+int64(time.Millisecond), t.deadline) // nobody can send
				}
			}
		}
	}
	switch {
	case t.ending == 0:
		return l.now
	case len(t.flights) == 0 || l.now >= t.ending:
		l.counters.unknown.Add(int64(len(t.flights)))
		l.counters.flying.Add(-int64(len(t.flights)))
		for key := range t.flights {
			t.lose(l, key)
		}
		t.complete = true
		t.finished()
		return never
	}
	return t.ending
}

// stop ends the sending.
func (t *trafficJob) stop(now int64) { t.deadline = min(t.deadline, now) }

// send sends one message, due at a time; false means that nobody could.
func (t *trafficJob) send(l *loop, due int64) bool {
	var c *conn
	var target uint32
	if t.spec.Shape == Group {
		c, target = t.nextGroup(l)
	} else if c = t.next(l); c != nil && t.spec.Shape.stores() {
		target = t.target(l, c)
	}
	if c == nil {
		return false
	}
	switch t.spec.Shape {
	case Ping:
		t.ping(l, c, due)
		return true
	case History:
		t.ask(l, c, due)
		return true
	}
	t.number++
	s := stamp{t.run, l.id(c), t.number}
	l.body = appendBody(l.body[:0], s, due, t.spec.Size)
	if l.g.config.Protocol == Plain {
		l.out = ws.AppendMasked(l.out[:0], ws.Binary, l.body, l.mask())
	} else {
		t.recipients(l, s.sender, target)
		var id [stampBytes]byte
		l.send.Type = codec.FrameSend
		l.send.Send = codec.Send{ID: s.append(id[:0]), To: l.to, Body: l.body}
		l.payload = codec.AppendClientFrame(l.payload[:0], l.g.encoding, &l.send)
		l.out = ws.AppendMasked(l.out[:0], l.g.op, l.payload, l.mask())
	}
	t.flights[s.key()] = flight{due, target}
	c.flying++
	l.counters.sent.Add(1)
	l.counters.flying.Add(1)
	l.write(c, l.out) // a failure abandons what is in flight, this among it
	return true
}

// maySend reports whether a connection can send.
func maySend(c *conn) bool {
	return c.state == stateOpen && !c.slow && !c.leaving && c.backlog() < maxBacklog && c.flying < maxFlying
}

// maxFlying keeps a connection below the default of the node's limits.in_flight.
const maxFlying = 250

// next returns the next connection that can send.
func (t *trafficJob) next(l *loop) *conn {
	for range l.slots.used {
		t.cursor = (t.cursor + 1) % l.slots.used
		if c := l.slots.at(t.cursor); maySend(c) && (c.flying == 0 || t.spec.Shape != Ping) {
			return c
		}
	}
	return nil
}

// target returns whom a connection sends to.
func (t *trafficJob) target(l *loop, c *conn) uint32 {
	own, users := l.g.user(l.id(c)), uint32(l.g.config.Users)
	switch {
	case l.g.config.Protocol == Plain:
		return own // an echo
	case t.spec.Shape == Neighbour:
		return (own + 1) % users
	case t.spec.Shape == Absent:
		return users + l.rng.Uint32N(1<<30)
	}
	return (own + 1 + l.rng.Uint32N(users-1)) % users
}

// nextGroup returns the next group with a member on this loop that can send.
func (t *trafficJob) nextGroup(l *loop) (*conn, uint32) {
	if t.burst > 0 {
		if c := t.speaker(l, t.groups[t.cursor]); c != nil {
			t.burst--
			return c, t.groups[t.cursor]
		}
	}
	for range t.groups {
		t.cursor = (t.cursor + 1) % len(t.groups)
		if c := t.speaker(l, t.groups[t.cursor]); c != nil {
			t.burst = t.spec.Burst - 1
			return c, t.groups[t.cursor]
		}
	}
	return nil, 0
}

// speaker returns the connection that sends for a group: the first device of a member,
// on this loop, or the feeder of the group's partition.
func (t *trafficJob) speaker(l *loop, group uint32) *conn {
	if l.g.config.Feed != "" {
		if p := int(t.book.home[group]); p < l.feeders.used && maySend(l.feeders.at(p)) {
			return l.feeders.at(p)
		}
		return nil
	}
	for _, user := range t.book.members[group] {
		if int(user)%len(l.g.loops) != l.index {
			continue
		}
		if slot := int(user) / len(l.g.loops); slot < l.slots.used {
			if c := l.slots.at(slot); maySend(c) {
				return c
			}
		}
	}
	return nil
}

// recipients makes the list of recipients.
func (t *trafficJob) recipients(l *loop, sender, target uint32) {
	l.to, l.names = l.to[:0], l.names[:0]
	add := func(user uint32) {
		from := len(l.names)
		l.names = l.g.config.appendUser(l.names, user)
		l.to = append(l.to, l.names[from:len(l.names):len(l.names)])
	}
	if t.spec.Shape != Group {
		add(target)
		return
	}
	for _, user := range t.book.members[target] {
		if sender&feeder != 0 || user != l.g.user(sender) {
			add(user)
		}
	}
}

// land ends a flight that was answered. ok is false if there is none such.
func (t *trafficJob) land(l *loop, c *conn, s stamp) (f flight, ok bool) {
	f, ok = t.flights[s.key()]
	if !ok || s.sender != l.id(c) {
		l.counters.count("answer to no send")
		return f, false
	}
	delete(t.flights, s.key())
	c.flying--
	l.counters.flying.Add(-1)
	t.last = l.now
	return f, true
}

// answered takes the answer to a send.
func (t *trafficJob) answered(l *loop, c *conn, s stamp, status backplane.Status, code backplane.Code) {
	f, ok := t.land(l, c, s)
	if !ok {
		return
	}
	switch status {
	case backplane.Stored:
		l.counters.stored.Add(1)
		l.results.ack.RecordValue(l.micros(f.at))
		t.book.enter(l.g, s, f.target, true)
	case backplane.Rejected:
		l.reject(code)
	default:
		l.counters.unknown.Add(1)
		l.counters.count("unknown: " + string(code))
		t.book.enter(l.g, s, f.target, false)
	}
}

// reject counts a send or a request that was refused.
func (l *loop) reject(code backplane.Code) {
	l.counters.rejected.Add(1)
	if codec.Retryable(code) {
		l.counters.retryable.Add(1)
	}
	l.counters.count("rejected: " + string(code))
}

// lose forgets a flight that gets no answer any more.
func (t *trafficJob) lose(l *loop, key uint64) {
	s := stamp{t.run, uint32(key >> 32), uint32(key)}
	if t.spec.Shape.stores() {
		t.book.enter(l.g, s, t.flights[key].target, false)
	}
	delete(t.flights, key)
}

// abandon gives up what a connection that has gone had in flight.
func (t *trafficJob) abandon(l *loop, c *conn) {
	id := l.id(c)
	for key := range t.flights {
		if uint32(key>>32) == id {
			t.lose(l, key)
			l.counters.unknown.Add(1)
			l.counters.flying.Add(-1)
		}
	}
	c.flying = 0
}
