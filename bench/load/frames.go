package load

import (
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// serverFrame takes a frame of godwit.v1.
func (l *loop) serverFrame(c *conn, payload []byte) {
	f := &l.frame
	if err := codec.DecodeServer(l.g.encoding, payload, f); err != nil {
		l.fail(c, err)
		return
	}
	switch f.Type {
	case codec.FrameWelcome:
		l.names = l.name(l.names[:0], c)
		if c.state != stateUpgraded || f.Welcome.User != string(l.names) {
			l.counters.bad.Add(1)
			l.counters.count("welcome of another user")
			return
		}
		c.reached(f.Welcome.Cursor)
		if l.follows(c) {
			l.follower(c).heardOf(f.Welcome.MapVersion)
		}
		if f.Welcome.Resumed {
			l.counters.resumed.Add(1)
		}
		if l.g.config.Heartbeats {
			l.heartbeat = f.Welcome.Heartbeat
		}
		l.welcomed(c)
	case codec.FrameDeliver:
		l.deliver(c, &f.Deliver)
	case codec.FrameAck:
		l.ack(c, &f.Ack)
	case codec.FrameGap:
		l.sequence(c, f.Gap.FromSeq)
		c.seq, c.partial = uint32(f.Gap.ToSeq), true
		l.counters.gapped.Add(int64(f.Gap.ToSeq - f.Gap.FromSeq + 1))
	case codec.FramePong:
		if t := l.traffic; t != nil && t.spec.Shape == Ping {
			t.pong(l, c)
		}
	case codec.FrameHistoryPage:
		if t := l.traffic; t != nil && t.spec.Shape == History {
			t.page(l, c, &f.HistoryPage)
		}
	case codec.FrameHeartbeat:
		l.counters.heartbeats.Add(1)
		c.reached(f.Heartbeat.Cursor)
		l.sequence(c, f.Heartbeat.Seq+1)
	case codec.FrameError:
		l.counters.count("error: " + string(f.Error.Code))
	case codec.FrameMoved:
		l.counters.count("moved")
		if l.follows(c) {
			l.moved(c, &f.Moved)
		}
	}
}

// sequence checks a sequence number that ought to follow the last one.
func (l *loop) sequence(c *conn, seq uint64) {
	switch want := uint64(c.seq) + 1; {
	case seq > want:
		l.counters.missing.Add(int64(seq - want))
	case seq < want:
		l.counters.repeated.Add(int64(want - seq))
	}
}

// reached notes how far the server says that the connection has come.
func (c *conn) reached(cursor []byte) { c.cursorLen = uint8(copy(c.cursor[:], cursor)) }

// deliver takes a message.
func (l *loop) deliver(c *conn, d *codec.Deliver) {
	l.sequence(c, d.Seq)
	c.seq = uint32(d.Seq)
	c.reached(d.Cursor)
	if c.isFeeder() {
		return // its own message
	}
	s, ok := parseStamp(d.Message.ID)
	t := l.traffic
	if !ok || t == nil || s.run != t.run {
		l.counters.stale.Add(1)
		return
	}
	t.arrive(l, c, s)
	if len(d.Message.Body) == 0 && d.Self {
		return // the copy of the session that sent it
	}
	inBody, at, ok := parseBody(d.Message.Body, t.spec.Size)
	if !ok || inBody != s {
		l.counters.bad.Add(1)
		return
	}
	l.results.deliver.RecordValue(l.micros(at))
}

// arrive counts a message of the run.
func (t *trafficJob) arrive(l *loop, c *conn, s stamp) {
	c.count++
	c.sum += s.hash()
	t.arrived = l.now
	l.counters.deliveries.Add(1)
}

// ack takes the answer to a send.
func (l *loop) ack(c *conn, a *codec.Ack) {
	s, ok := parseStamp(a.ID)
	if t := l.traffic; ok && t != nil && s.run == t.run {
		t.answered(l, c, s, a.Status, a.Code)
	}
}

// echo takes a frame of a server that is not godwit. One that a run has sent is answer
// and delivery in one.
func (l *loop) echo(c *conn, payload []byte) {
	t := l.traffic
	if t == nil {
		return
	}
	s, at, ok := parseBody(payload, t.spec.Size)
	if !ok || s.run != t.run {
		return
	}
	t.arrive(l, c, s)
	l.results.deliver.RecordValue(l.micros(at))
	t.answered(l, c, s, backplane.Stored, "")
}

// ping asks the server whether it is there.
func (l *loop) ping(c *conn) {
	c.heard = seconds(l.now)
	l.counters.pings.Add(1)
	if l.g.config.Protocol == Plain {
		l.out = ws.AppendMasked(l.out[:0], ws.Ping, nil, l.mask())
	} else {
		l.payload = codec.AppendClientFrame(l.payload[:0], l.g.encoding, &codec.ClientFrame{Type: codec.FramePing})
		l.out = ws.AppendMasked(l.out[:0], l.g.op, l.payload, l.mask())
	}
	l.write(c, l.out)
}
