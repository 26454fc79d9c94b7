package wire

import (
	"errors"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// Client is the name of this client in Connect events.
const Client = "wire"

// ConnectEvent returns the event of the welcome. conn is the number of the connection in
// the history file, back how many of the device's latest deliveries lie after the
// cursor that it gave.
func (c *Conn) ConnectEvent(conn uint64, back int) *event.Connect {
	o, w := &c.options, c.welcome
	return &event.Connect{
		Conn: conn, User: o.User, Device: o.Device, Client: Client, Encoding: string(o.Format), Overflow: o.Overflow, URL: o.URL,
		Cursor: o.Cursor, Start: o.Start, Back: back,
		Session: w.Session, Node: w.Node, MapVersion: w.MapVersion, Welcome: w.Cursor, Resumed: w.Resumed,
	}
}

// RefusedEvents returns the events of an error of Dial.
func RefusedEvents(o *Options, err error) []event.Event {
	refused := &event.Refused{User: o.User, Device: o.Device, URL: o.URL, Why: err.Error()}
	events := []event.Event{refused}
	if r := (*Refusal)(nil); errors.As(err, &r) {
		refused.Status = r.Status
		if r.Code != "" {
			refused.Why = r.Code
		}
		for _, v := range r.Violations {
			events = append(events, &event.Violation{What: v.what()})
		}
	}
	if v := (*Violation)(nil); errors.As(err, &v) {
		events = append(events, &event.Violation{What: v.what()})
	}
	return events
}

// SendEvent returns the event of a send that is about to be made for the attempt-th time.
func (c *Conn) SendEvent(conn uint64, s *Send, attempt int) *event.Send {
	return &event.Send{
		Conn: conn, ID: s.ID, MessageID: event.MessageID(c.MessageID(s)), To: s.To, Kind: kindOf(s.Kind), TTL: int64(s.TTL),
		Bytes: len(s.Body), BodySum: event.SumOf(s.Body), Attempt: attempt,
	}
}

// FrameEvent returns the event of a frame, or nil for one that has none.
func FrameEvent(conn uint64, frame Frame) event.Event {
	switch f := frame.(type) {
	case *Ack:
		switch f.Status {
		case Stored:
			return &event.Ack{Conn: conn, ID: f.ID, MessageID: event.MessageID(f.MessageID), Time: int64(f.Time)}
		case Rejected:
			return &event.Nack{Conn: conn, ID: f.ID, Code: f.Code}
		default:
			return &event.Unknown{Conn: conn, ID: f.ID, Why: f.Code}
		}
	case *Deliver:
		return &event.Deliver{Conn: conn, Seq: f.Seq, Cursor: f.Cursor, Time: int64(f.Time), Self: f.Self, Message: messageOf(&f.Message)}
	case *Gap:
		if f.Reason == gapRetention {
			return &event.Gone{Conn: conn, Seq: f.From, After: f.After, Before: f.Before}
		}
		return &event.Gap{Conn: conn, FromSeq: f.From, ToSeq: f.To, Reason: f.Reason, After: f.After, Before: f.Before}
	case *Heartbeat:
		return &event.Heartbeat{Conn: conn, Seq: f.Seq, Cursor: f.Cursor}
	case *Page:
		return pageEvent(conn, f)
	case *Moved:
		return &event.Moved{Conn: conn, URL: f.URL, Node: f.Node, MapVersion: f.MapVersion, RetryAfter: int64(f.RetryAfterMS)}
	case *Violation:
		return &event.Violation{Conn: conn, What: f.what()}
	}
	return nil
}

// EndEvent returns the event of the end of a connection.
func EndEvent(conn uint64, e *End) *event.Close {
	c := &event.Close{Conn: conn, Code: e.Code, Reason: e.Reason}
	if e.Err != nil {
		c.Reason = e.Err.Error()
	}
	return c
}

func pageEvent(conn uint64, p *Page) *event.Page {
	h := &p.Asked
	e := &event.Page{
		Conn:  conn,
		Query: event.Query{After: h.After, Before: h.Before, Around: h.Around, Limit: h.Limit, Peer: h.Peer},
		Code:  p.Code,
		Gone:  p.Gone,
	}
	switch {
	case h.Around != "":
		e.More = p.MoreAfter || p.MoreBefore
	case h.After != "":
		e.More = p.MoreAfter
	default:
		e.More = p.MoreBefore
	}
	for i := range p.Messages {
		m := &p.Messages[i]
		e.Entries = append(e.Entries, event.Entry{Cursor: m.Cursor, Time: int64(m.Time), Self: m.Self, Message: messageOf(m)})
	}
	return e
}

func messageOf(m *Message) event.Message {
	sum := event.SumOf(m.Body)
	if m.Self && len(m.Body) == 0 {
		sum = "" // the body was left out, or was empty: nobody can tell
	}
	return event.Message{
		MessageID: event.MessageID(m.MessageID), From: m.From, To: m.To, ID: m.ID, Kind: kindOf(m.Kind), TTL: int64(m.TTL), BodySum: sum,
	}
}

func kindOf(k Kind) event.Kind {
	if k == KindSignal {
		return event.Signal
	}
	return event.Ordinary
}
