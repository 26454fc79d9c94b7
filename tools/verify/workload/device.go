package workload

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

// device is what is the same whichever client a device has: what it wants to send, and
// what it does about the outcomes. How it lives is in life.go.
type device struct {
	// Static.
	load      *Load
	user      int // by its number
	number    int // of the device among those of the user
	name      string
	label     string // of the device, as the server is told it
	by        string // in events
	character character
	link      link
	bell      chan struct{} // rung when there may be something to send
	gaps      chan struct{} // rung when a gap was told of
	beats     chan struct{} // rung at a heartbeat

	drafts writer // owned by the pacer

	mu struct {
		sync.Mutex
		online bool
		alive  int     // messages that have not had their last outcome
		queue  []*post // of them, those that are to be sent, now or later
	}
}

// link is one of the two implementations of the protocol. Any goroutine may call its
// methods, but for run. None of them waits for the server, but for history.
type link interface {
	// run keeps the device connected until ctx ends, and writes what it sees.
	run(ctx context.Context)

	// attempt writes and makes a send, and has the device's settled called once. It
	// reports false, and does nothing, if there is no connection to send on.
	attempt(p *post) bool

	// history asks for a page. The page is written as well.
	history(ctx context.Context, h wire.History, reading bool) (*page, error)

	// catchUp fetches what gaps have told of, and reports whether nothing is left to fetch.
	// The device's gaps is rung when there is something.
	catchUp(ctx context.Context) bool

	// refresh gives the server a newer token.
	refresh()

	// setPace says how fast to read, as wire.Conn has it.
	setPace(bytesPerSecond int)

	// cut ends the connection without a goodbye.
	cut()

	// leave ends the connection, and the device stays away until come is called.
	leave(abrupt bool)
	come(how resumption)

	// cursor returns the cursor that many places before the latest, empty if there is none.
	cursor(steps int) string
}

// resumption is how a device comes back.
type resumption struct {
	steps  int  // to which cursor it goes back
	anew   bool // without one
	newest int  // then with how many of the newest messages
}

// page is what matters of a page of history to whoever has asked for it.
type page struct {
	code          string
	after, before string
	moreAfter     bool
	moreBefore    bool
}

// post is a message on its way to its last outcome.
type post struct {
	*draft
	message messageID

	// Guarded by the device's mu, but for whoever makes the attempt.
	attempt int
	first   time.Time // when it was sent first
	latest  time.Time // and last
	due     time.Time // when it may be sent next
	stored  bool
	unknown bool // an attempt had an unknown outcome
}

// send is the post as the plain client sends it.
func (p *post) send() *wire.Send {
	return &wire.Send{ID: p.id, To: p.to, Kind: p.kind, TTL: uint64(p.ttl.Milliseconds()), Body: p.body}
}

// outcome is the answer to an attempt.
type outcome uint8

const (
	stored  outcome = iota
	refused         // for good
	refusedForNow
	unknown
)

// retryable are the codes with which the same frame may be accepted later, of those that a
// send can be rejected with.
var retryable = map[string]bool{
	"rate_limited": true, "overloaded": true, "timeout": true, "unavailable": true, "shutting_down": true,
	"not_owner": true, "not_ready": true, "degraded": true, "internal": true, "moved": true,
}

// refusal is the outcome of a rejection.
func refusal(code string) outcome {
	if retryable[code] {
		return refusedForNow
	}
	return refused
}

// write writes an event of the device.
func (d *device) write(e event.Event) { d.load.write(d.by, e) }

// got notes that the device has a message.
func (d *device) got(id event.MessageID) { d.load.ledger.seen(messageID(id), d.user, d.number) }

// begun notes that the device's view of the timeline has begun.
func (d *device) begun() { d.load.ledger.anew(d.user, d.number) }

// cursorRefused is the event of a cursor that the server does not take back. It may do so only
// when the log was made anew or has lost its end, and what the device misses then nobody
// could tell: so it counts as a violation by itself.
func cursorRefused(code string) *event.Violation {
	return &event.Violation{What: "a cursor that the device was given is refused: " + code}
}

// ready reports whether the device can be given a message to send.
func (d *device) ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.online && d.mu.alive < underWay
}

// post has a message sent. The pacer calls it.
func (d *device) post(draft *draft) {
	d.load.tally.count(func(c *Counts) {
		switch {
		case draft.faulty:
			c.Conduct.Faulty++
		case draft.kind == wire.KindSignal:
			c.Conduct.Signals++
		case draft.ttl > 0:
			c.Conduct.Mortal++
		}
		if draft.large {
			c.Conduct.Large++
		}
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.alive++
	d.mu.queue = append(d.mu.queue, &post{draft: draft})
	d.ring()
}

// setOnline notes whether there is a connection to send on. Clients call it.
func (d *device) setOnline(online bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.online != online {
		d.mu.online = online
		d.load.connected(online)
		d.ring()
	}
}

func (d *device) ring() { ring(d.bell) }

// ring rings a bell, which is a channel of one place.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// idle reports whether every message has had its last outcome.
func (d *device) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.alive == 0
}

// sendAll sends what there is to send until ctx ends.
func (d *device) sendAll(ctx context.Context) {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		p, wait := d.next(time.Now())
		if p != nil {
			if !d.link.attempt(p) {
				d.later(p)
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-d.bell:
		case <-timer.C:
		}
	}
}

// next takes the next message that is due off the queue, or says how long there is none.
func (d *device) next(now time.Time) (*post, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.queue = slices.DeleteFunc(d.mu.queue, func(p *post) bool {
		tooLate := p.attempt > 0 && !p.inTime(now)
		if tooLate {
			d.giveUp(p)
		}
		return tooLate
	})
	wait := tick
	for i, p := range d.mu.queue {
		if left := p.due.Sub(now); left > 0 || !d.mu.online {
			wait = min(wait, max(left, poll))
			continue
		}
		d.mu.queue = slices.Delete(d.mu.queue, i, i+1)
		return p, 0
	}
	return nil, wait
}

// inTime reports whether a message may be sent again.
func (p *post) inTime(now time.Time) bool {
	return now.Sub(p.latest) < retryAfter && now.Sub(p.first) < retryWindow
}

// later puts back a message for which there was no connection after all.
func (d *device) later(p *post) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.due = time.Now().Add(poll)
	d.mu.queue = append(d.mu.queue, p)
}

// begin notes that an attempt is about to be made. Clients call it before they write the
// Send, with the message's id.
func (d *device) begin(p *post, id event.MessageID) {
	now := time.Now()
	p.attempt++
	p.latest = now
	if p.attempt > 1 {
		d.load.tally.count(func(c *Counts) {
			if p.stored {
				c.Conduct.Repeats++
			} else {
				c.Conduct.Retries++
			}
		})
		return
	}
	p.first, p.message = now, messageID(id)
	if p.must() {
		d.load.ledger.begin(p.message, d.user, p.users)
	}
}

// settled takes the outcome of an attempt, after the event of it was written.
func (d *device) settled(p *post, o outcome) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case o == stored:
		d.load.tally.count(func(c *Counts) { c.Latency[bucket(now.Sub(p.latest))]++ })
		d.load.ledger.stored(p.message)
		if !p.repeat || p.stored {
			d.mu.alive--
			return
		}
		p.stored, p.due = true, now.Add(p.pauses)
	case p.stored: // nothing can come of it any more
		d.mu.alive--
		return
	case o == refused && (!p.unknown || p.faulty): // what is faulty was not stored by any attempt
		d.load.ledger.drop(p.message)
		d.mu.alive--
		return
	default:
		p.unknown = p.unknown || o == unknown
		if p.gives || !p.inTime(now) {
			d.giveUp(p)
			return
		}
		// The pause grows, and is spread by the message's own number.
		spread := time.Duration(p.message[0]) + 1
		p.due = now.Add(min(retryPause, time.Duration(p.attempt)*retryPause/4) * spread / 256)
	}
	d.mu.queue = append(d.mu.queue, p)
	d.ring()
}

// giveUp ends a message without a good outcome. mu is held.
func (d *device) giveUp(p *post) {
	d.mu.alive--
	if p.stored {
		return
	}
	d.load.ledger.drop(p.message)
	d.load.tally.count(func(c *Counts) { c.Conduct.GivenUp++ })
}

// sendEvent is the event of an attempt that is about to be made.
func (p *post) sendEvent(conn uint64, id event.MessageID) *event.Send {
	return &event.Send{
		Conn: conn, ID: p.id, MessageID: id, To: p.to, Kind: eventKind(p.kind), TTL: p.ttl.Milliseconds(),
		Bytes: len(p.body), BodySum: event.SumOf(p.body), Attempt: p.attempt,
	}
}
