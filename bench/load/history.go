package load

import (
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// ask sends a request for a page of history that was due at a time.
func (t *trafficJob) ask(l *loop, c *conn, due int64) {
	t.number++
	s := stamp{t.run, l.id(c), t.number}
	var id [stampBytes]byte
	l.send.Type = codec.FrameHistory
	l.send.History = codec.History{ID: s.append(id[:0]), Limit: t.spec.Page}
	l.payload = codec.AppendClientFrame(l.payload[:0], l.g.encoding, &l.send)
	l.out = ws.AppendMasked(l.out[:0], l.g.op, l.payload, l.mask())
	t.flights[s.key()] = flight{at: due}
	c.flying++
	l.counters.sent.Add(1)
	l.counters.flying.Add(1)
	l.write(c, l.out)
}

// page takes the answer.
func (t *trafficJob) page(l *loop, c *conn, p *codec.HistoryPage) {
	s, ok := parseStamp(p.ID)
	if !ok || s.run != t.run {
		return
	}
	f, ok := t.land(l, c, s)
	switch {
	case !ok:
	case p.Code != "":
		l.reject(p.Code)
	case len(p.Messages) != t.spec.Page:
		l.counters.bad.Add(1)
	default:
		l.counters.stored.Add(1)
		l.results.ack.RecordValue(l.micros(f.at))
	}
}
