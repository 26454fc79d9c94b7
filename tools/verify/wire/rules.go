package wire

import "slices"

// rules checks frames against what the connection has seen and asked before. It is
// guarded by the mutex of its Conn.
type rules struct {
	// Static.
	user    string
	auto    bool   // overflow=auto
	version uint64 // of the welcome

	last   uint64 // the highest number of a delivery or gap
	told   uint64 // the highest number that a heartbeat has told
	cursor string // of the last delivery
	gone   bool   // a part of the timeline is gone, which no gap has told yet
	moved  bool

	sends   map[string][]openSend // by id, without an ack
	queries map[string][]History  // by id, without a page
	pings   int                   // without a pong
}

type openSend struct {
	messageID MessageID
	moved     bool // it was sent after a moved had come
}

// newRules checks the first frame.
func newRules(o *Options, w *Welcome, found *findings) *rules {
	r := &rules{
		user:    w.User,
		auto:    o.Overflow == "" || o.Overflow == "auto",
		version: w.MapVersion,
		gone:    o.Cursor != "" && !w.Resumed,
		sends:   make(map[string][]openSend),
		queries: make(map[string][]History),
	}
	if w.User != o.User {
		found.add(RuleWelcome, "the welcome is for %q, not for %q", w.User, o.User)
	}
	if o.Cursor != "" && w.Cursor != o.Cursor {
		found.add(RuleWelcome, "the welcome begins at %q, not at %q as asked", w.Cursor, o.Cursor)
	}
	if o.Cursor == "" && w.Resumed {
		found.add(RuleWelcome, "resumed without a cursor")
	}
	if w.MapVersion < o.MapVersion {
		found.add(RuleWelcome, "welcomed with version %d of the map, though the client knows %d", w.MapVersion, o.MapVersion)
	}
	return r
}

// sent notes a send that will have an ack.
func (r *rules) sent(s *Send, id MessageID) {
	r.sends[s.ID] = append(r.sends[s.ID], openSend{id, r.moved})
}

// asked notes a request that will have a page.
func (r *rules) asked(h *History) { r.queries[h.ID] = append(r.queries[h.ID], *h) }

// received checks a frame.
func (r *rules) received(frame Frame, found *findings) {
	switch f := frame.(type) {
	case *Welcome:
		found.add(RuleWelcome, "a second welcome")
	case *Ack:
		r.ack(f, found)
	case *Deliver:
		r.deliver(f, found)
	case *Gap:
		r.gap(f, found)
	case *Heartbeat:
		r.heartbeat(f, found)
	case *Page:
		r.page(f, found)
	case *Pong:
		if r.pings == 0 {
			found.add(RulePong, "a pong that answers no ping")
			return
		}
		r.pings--
	case *Moved:
		if f.MapVersion < r.version {
			found.add(RuleMoved, "moved by version %d of the map, after a welcome with %d", f.MapVersion, r.version)
		}
		r.moved = true
	}
}

func (r *rules) deliver(d *Deliver, found *findings) {
	switch {
	case d.Seq != r.last+1:
		found.add(RuleSequence, "delivery %d follows number %d", d.Seq, r.last)
	case d.Seq <= r.told:
		found.add(RuleSequence, "delivery %d comes after a heartbeat of %d", d.Seq, r.told)
	case r.gone:
		found.add(RuleSequence, "delivery %d comes before the gap of what could not be resumed", d.Seq)
	}
	r.last, r.gone = max(r.last, d.Seq), false
	if d.Cursor == r.cursor {
		found.add(RuleSequence, "delivery %d has the cursor %s of the one before", d.Seq, d.Cursor)
	}
	r.cursor = d.Cursor
	r.ours("delivery", &d.Message, found)
}

// ours checks that a message is of this user's timeline.
func (r *rules) ours(what string, m *Message, found *findings) {
	if m.Self != (m.From == r.user) {
		found.add(RuleUser, "%s of message %v from %q to %q has self %v", what, m.MessageID, m.From, r.user, m.Self)
	}
	if m.From != r.user && !slices.Contains(m.To, r.user) {
		found.add(RuleUser, "%s of message %v from %q is not for %q", what, m.MessageID, m.From, r.user)
	}
}

func (r *rules) gap(g *Gap, found *findings) {
	if g.From != r.last+1 {
		found.add(RuleSequence, "a gap from %d follows number %d", g.From, r.last)
	}
	if r.auto && g.Reason != gapRetention {
		found.add(RuleSequence, "a gap with the reason %q for a client with overflow=auto", g.Reason)
	}
	if g.Reason == gapRetention {
		r.gone = false
	}
	r.last = max(r.last, g.To)
}

func (r *rules) heartbeat(h *Heartbeat, found *findings) {
	if h.Seq < r.last || r.auto && h.Seq > r.last {
		found.add(RuleSequence, "a heartbeat of %d follows number %d", h.Seq, r.last)
	}
	r.told = max(r.told, h.Seq)
}

func (r *rules) ack(a *Ack, found *findings) {
	open := r.sends[a.ID]
	if len(open) == 0 {
		found.add(RuleAck, "an ack of %q, which is no open send", a.ID)
		return
	}
	// Attempts with one id have one message_id, unless their caller means to break rules.
	i := max(0, slices.IndexFunc(open, func(s openSend) bool { return s.messageID == a.MessageID }))
	if (a.MessageID != MessageID{}) && a.MessageID != open[i].messageID {
		found.add(RuleAck, "the ack of %q has message_id %v instead of %v", a.ID, a.MessageID, open[i].messageID)
	}
	if open[i].moved && a.Status != Rejected {
		found.add(RuleMoved, "%q was sent after a moved, and is %s", a.ID, a.Status)
	}
	if open = slices.Delete(open, i, i+1); len(open) == 0 {
		delete(r.sends, a.ID)
	} else {
		r.sends[a.ID] = open
	}
}

func (r *rules) page(p *Page, found *findings) {
	open := r.queries[p.ID]
	if len(open) == 0 {
		found.add(RulePage, "the history_page %q answers no request", p.ID)
		return
	}
	h := open[0]
	p.Asked = h
	if open = open[1:]; len(open) == 0 {
		delete(r.queries, p.ID)
	} else {
		r.queries[p.ID] = open
	}
	limit := h.Limit
	if limit == 0 {
		limit = defaultPage
	}
	if len(p.Messages) > limit {
		found.add(RulePage, "the history_page %q has %d messages, of at most %d", p.ID, len(p.Messages), limit)
	}
	checkPageBytes(p, found)
	for i := range p.Messages {
		m := &p.Messages[i]
		r.ours("history_page", m, found)
		if h.Peer != "" && m.From != h.Peer && !(m.Self && slices.Contains(m.To, h.Peer)) {
			found.add(RulePage, "the history_page %q of %q has message %v from %q", p.ID, h.Peer, m.MessageID, m.From)
		}
		if m.Cursor == h.After || m.Cursor == h.Before {
			found.add(RulePage, "the history_page %q has the message at its own bound %s", p.ID, m.Cursor)
		}
	}
}

// endCodes are the close codes of a server. It also answers with the client's own.
var endCodes = map[int]bool{
	1001: true, 1002: true, 1007: true, 1009: true, 1011: true, 1012: true, 1013: true,
	4000: true, 4001: true, 4003: true, 4008: true, 4100: true, 4101: true, 4102: true, 4200: true, 4201: true,
}

// closed checks a close frame of the server. own is the code with which the client has
// closed before, or 0.
func (r *rules) closed(code, own int, found *findings) {
	switch {
	case own != 0 && code == own:
	case !endCodes[code]:
		found.add(RuleClose, "closed with code %d", code)
	case code == 4200 && !r.moved:
		found.add(RuleClose, "closed with 4200, and no moved has told where to go")
	}
}

// checkPageBytes checks that a page ends with the message that brings it to its size. Pages
// grow away from where they were asked for, so that message is the last, the first, or one at
// either side. Of each message at least the body counts.
func checkPageBytes(p *Page, found *findings) {
	inner := p.Messages
	if p.Asked.After == "" && len(inner) > 0 {
		inner = inner[1:]
	}
	if (p.Asked.After != "" || p.Asked.Around != "") && len(inner) > 0 {
		inner = inner[:len(inner)-1]
	}
	size := 0
	for i := range inner {
		size += len(inner[i].Body)
	}
	if size >= maxPageBytes {
		found.add(RulePage, "the history_page %q goes on after %d bytes", p.ID, size)
	}
}
