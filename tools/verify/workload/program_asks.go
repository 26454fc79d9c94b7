package workload

import (
	"context"
	"errors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/tools/client"
	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/wire"
)

// attempt has the Client send. It tries again by itself: that is one attempt here.
func (p *program) attempt(m *post) bool {
	p.mu.Lock()
	c := p.mu.client
	if c == nil || !p.mu.open {
		p.mu.Unlock()
		return false
	}
	id := event.MessageID(wire.NewMessageID(p.name, p.label, m.send()))
	p.begin(m, id)
	p.write(m.sendEvent(p.mu.conn, id))
	p.mu.Unlock()
	p.load.wg.Go(func() {
		ack, err := c.Send(p.load.ctx, m.outgoing())
		p.concluded(m, ack, err)
	})
	return true
}

// outgoing is the post as the Go client sends it.
func (p *post) outgoing() client.Outgoing {
	kind := backplane.KindMessage
	if p.kind == wire.KindSignal {
		kind = backplane.KindSignal
	}
	return client.Outgoing{ID: p.id, To: p.to, Body: p.body, Kind: kind, TTL: p.ttl}
}

// concluded takes what has become of a send.
func (p *program) concluded(m *post, ack client.Ack, err error) {
	rejected := (*client.RejectedError)(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.write(&event.Ack{Conn: p.mu.conn, ID: ack.ID, MessageID: event.MessageID(ack.MessageID), Time: ack.Time.UnixMilli()})
		p.settled(m, stored)
	case errors.As(err, &rejected):
		p.write(&event.Nack{Conn: p.mu.conn, ID: m.id, Code: string(rejected.Code)})
		p.settled(m, refusal(string(rejected.Code)))
	default:
		p.write(&event.Unknown{Conn: p.mu.conn, ID: m.id, Why: err.Error()})
		p.settled(m, unknown)
	}
}

// history asks for a page.
func (p *program) history(ctx context.Context, h wire.History, reading bool) (*page, error) {
	p.mu.Lock()
	c := p.mu.client
	p.mu.Unlock()
	if c == nil {
		return nil, errLost
	}
	got, err := c.History(ctx, client.Query{After: h.After, Before: h.Before, Around: h.Around, Limit: h.Limit, Peer: h.Peer})
	refused := (*client.HistoryError)(nil)
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	e := &event.Page{
		Query:   event.Query{After: h.After, Before: h.Before, Around: h.Around, Limit: h.Limit, Peer: h.Peer},
		Reading: reading, Gone: got.Gone,
	}
	switch {
	case h.Around != "":
		e.More = got.MoreAfter || got.MoreBefore
	case h.After != "":
		e.More = got.MoreAfter
	default:
		e.More = got.MoreBefore
	}
	for i := range got.Messages {
		m := &got.Messages[i]
		e.Entries = append(e.Entries, event.Entry{Cursor: m.Cursor, Time: m.Time.UnixMilli(), Self: m.Self, Message: shown(m)})
	}
	if refused != nil {
		e.Code = string(refused.Code)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e.Conn = p.mu.conn
	p.write(e)
	return &page{code: e.Code, after: got.After, before: got.Before, moreAfter: got.MoreAfter, moreBefore: got.MoreBefore}, nil
}
