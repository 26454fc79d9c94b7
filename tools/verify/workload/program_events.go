package workload

import (
	"context"
	"errors"
	"fmt"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/tools/client"
	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

// programClient is the name of the Go client in Connect events.
const programClient = "go"

// changed takes a change of the connection. It is a callback of the Client, as are message,
// gap, gone and failed.
func (p *program) changed(s client.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s.Phase {
	case client.Connected:
		p.connected(&s)
	case client.Disconnected:
		p.disconnected(&s)
	}
}

// connected takes a welcome. mu is held.
func (p *program) connected(s *client.State) {
	w := s.Welcome
	p.load.limit(int(w.Limits.BodyBytes))
	p.mu.conn, p.mu.open = p.load.conns.Add(1), true
	encoding := wire.Proto
	if p.character.format == wire.JSON {
		encoding = wire.JSON
	}
	e := &event.Connect{
		Conn: p.mu.conn, User: p.name, Device: p.label, Client: programClient, Encoding: string(encoding), Overflow: "auto", URL: s.URL,
		Session: fmt.Sprintf("%016x", w.Session), Node: w.Node, MapVersion: w.MapVersion, Welcome: string(w.Cursor), Resumed: w.Resumed,
	}
	if p.mu.goesOn {
		e.Cursor = e.Welcome
		p.goOn(e)
		p.write(e)
	} else {
		e.Start = "live"
		if p.mu.newest > 0 {
			e.Start = fmt.Sprint("last:", p.mu.newest)
		}
		p.write(e)
		if len(p.mu.view.marks) > 0 {
			p.load.tally.count(func(n *Counts) { n.Conduct.Anew++ })
		}
		p.mu.view.begin(e.Welcome)
		p.begun()
	}
	p.mu.goesOn, p.mu.first = true, false
	p.setOnline(true)
}

// goOn takes the welcome of a connection that goes on at a cursor: of an older one only if it
// is the first of its Client. mu is held.
func (p *program) goOn(e *event.Connect) {
	last, _ := p.mu.view.at(0)
	switch {
	case p.mu.first:
		e.Cursor = p.mu.from.cursor
		e.Back = p.mu.view.back(p.mu.from)
		p.mu.view.resume(p.mu.from)
		p.load.tally.count(func(n *Counts) {
			if e.Back > 0 {
				n.Conduct.Backs++
			}
			if p.mu.from.heartbeat {
				n.Conduct.FromHeartbeats++
			}
		})
	case e.Cursor != last.cursor: // there was a heartbeat
		p.mu.view.beat(e.Cursor)
		p.load.tally.count(func(n *Counts) { n.Conduct.FromHeartbeats++ })
	}
}

// disconnected takes the end of a connection, or that there was none. mu is held.
func (p *program) disconnected(s *client.State) {
	p.setOnline(false)
	moved, refused, closed, broken := (*client.MovedError)(nil), (*client.RefusedError)(nil), (*client.CloseError)(nil), (*client.ProtocolError)(nil)
	errors.As(s.Err, &moved)
	errors.As(s.Err, &refused)
	errors.As(s.Err, &closed)
	if errors.As(s.Err, &broken) {
		v := &event.Violation{What: broken.Error()}
		if p.mu.open {
			v.Conn = p.mu.conn
		}
		p.write(v)
	}
	if !p.mu.open {
		if s.Err == nil {
			return // the device has left before it was there
		}
		r := &event.Refused{User: p.name, Device: p.label, URL: s.URL, Why: s.Err.Error()}
		switch {
		case moved != nil:
			r.Why = "not_owner"
		case refused != nil:
			r.Status = refused.Status
			if refused.Code != "" {
				r.Why = string(refused.Code)
			}
		case closed != nil && closed.Cause != "":
			r.Why = string(closed.Cause)
		}
		p.write(r)
		return
	}
	p.mu.open = false
	if moved != nil {
		p.write(&event.Moved{Conn: p.mu.conn, URL: moved.URL, Node: moved.Node, MapVersion: moved.MapVersion, RetryAfter: moved.RetryAfter.Milliseconds()})
	}
	e := &event.Close{Conn: p.mu.conn}
	switch {
	case closed != nil:
		e.Code, e.Reason = int(closed.Code), closed.Reason
		if closed.Code == 4102 {
			p.load.tally.count(func(n *Counts) { n.Conduct.Expiries++ })
		}
	case s.Err != nil:
		e.Reason = s.Err.Error()
	}
	p.write(e)
}

// message takes a delivery, and its time if the device is slow.
func (p *program) message(ctx context.Context, m *client.Message) {
	p.mu.Lock()
	p.write(&event.Deliver{Conn: p.mu.conn, Cursor: m.Cursor, Time: m.Time.UnixMilli(), Self: m.Self, Message: shown(m)})
	p.mu.view.took(m.Cursor)
	p.got(event.MessageID(m.MessageID))
	p.mu.Unlock()
	const overhead = 150 // bytes of a delivery beside the body, about
	p.gate.pass(ctx, len(m.Body)+overhead)
}

// shown is a message in events.
func shown(m *client.Message) event.Message {
	kind, sum := event.Ordinary, event.SumOf(m.Body)
	if m.Kind == backplane.KindSignal {
		kind = event.Signal
	}
	if m.Self && len(m.Body) == 0 {
		sum = "" // the body was left out, or was empty: nobody can tell
	}
	return event.Message{
		MessageID: event.MessageID(m.MessageID), From: m.From, To: m.To, ID: m.ID, Kind: kind, TTL: m.TTL.Milliseconds(), BodySum: sum,
	}
}

// gap takes what must not come: a program does not ask for gaps.
func (p *program) gap(g client.Gap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(&event.Gap{Conn: p.mu.conn, FromSeq: g.FromSeq, ToSeq: g.ToSeq, Reason: string(g.Reason), After: g.After, Before: g.Before})
}

// gone takes that something is gone, or that the Client begins anew because its cursor was
// refused.
func (p *program) gone(g client.Gone) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.Code != "" {
		p.write(cursorRefused(string(g.Code)))
		p.mu.goesOn = false
		return
	}
	p.write(&event.Gone{Conn: p.mu.conn, After: g.After, Before: g.Before})
}

// failed takes what the Client finds wrong with the server.
func (p *program) failed(err error) {
	if hole := (*client.SequenceError)(nil); errors.As(err, &hole) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.write(&event.Violation{Conn: p.mu.conn, What: hole.Error()})
	}
}
