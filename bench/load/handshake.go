package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/buffer"
	"github.com/godwit-im/godwit/codec/ws"
)

// key returns the key of a connection's request. It follows from what the connection
// is, so that it need not be kept until the answer comes.
func (l *loop) key(c *conn) (key [16]byte) {
	binary.BigEndian.PutUint32(key[:], l.g.seed)
	binary.BigEndian.PutUint32(key[4:], l.id(c))
	binary.BigEndian.PutUint32(key[8:], uint32(c.attempt))
	return key
}

// request sends the request for a WebSocket, which also tells whether the socket is
// connected. It reports whether the connection is still there.
func (l *loop) request(c *conn) bool {
	g, to := l.g, l.destination(c)
	if l.asks(c) {
		l.question(c)
		c.state = stateRequested
		return l.write(c, l.out)
	}
	target := to.path
	var header [][2]string
	if g.config.Protocol != Plain {
		l.names = l.name(l.names[:0], c)
		l.body = l.signer.append(append(l.body[:0], "Bearer "...), l.names)
		header = [][2]string{{"Authorization", string(l.body)}}
		if g.config.Users < g.config.Connections {
			target += "?device=" + strconv.Itoa(int(l.id(c))/g.config.Users)
		}
		if c.cursorLen > 0 && l.resumes(c) {
			target += query(target) + codec.ParamCursor + "=" + string(c.cursor[:c.cursorLen])
		}
		if l.follows(c) && l.follower(c).lead > 0 {
			target += query(target) + codec.ParamMapVersion + "=" + strconv.FormatUint(l.follower(c).lead, 10)
		}
	}
	l.out = ws.AppendRequest(l.out[:0], to.host, target, l.key(c), g.protocols, header...)
	c.state = stateRequested
	// It is below a kilobyte, and the socket's buffer is empty: it is taken whole.
	return l.write(c, l.out)
}

// resumes reports whether a connection goes on from its cursor.
func (l *loop) resumes(c *conn) bool {
	return c.job && l.connect.resume || l.follows(c) && l.follower(c).lost
}

// query returns what the next parameter of a target begins with.
func query(target string) string {
	if strings.Contains(target, "?") {
		return "&"
	}
	return "?"
}

// answer takes the server's answer to the request, and returns what follows it.
func (l *loop) answer(c *conn, p []byte) []byte {
	from := 0
	if c.buf != nil {
		from = len(c.buf.B)
		c.buf = buffer.Append(c.buf, p)
		p = c.buf.B
	}
	end := ws.HeadEnd(p, from)
	if end < 0 && len(p) <= ws.MaxHead {
		if c.buf == nil {
			c.buf = buffer.Append(nil, p)
		}
		return nil
	}
	if _, err := ws.ParseResponse(p, l.key(c), l.g.protocols); err != nil {
		e := (*ws.StatusError)(nil)
		if l.asks(c) && errors.As(err, &e) && !whole(e) && len(p) <= ws.MaxHead {
			if c.buf == nil { // the route is in the body
				c.buf = buffer.Append(nil, p)
			}
			return nil
		}
		l.fail(c, err)
		return nil
	}
	rest := p[end:]
	if c.buf != nil {
		rest = bytes.Clone(rest)
		buffer.Give(c.buf)
		c.buf = nil
	}
	c.state = stateUpgraded
	if l.g.config.Protocol == Plain {
		l.welcomed(c)
	}
	return rest
}

// welcomed makes a connection an open one.
func (l *loop) welcomed(c *conn) {
	began := int64(c.sum)
	c.sum, c.state, c.away = 0, stateOpen, false
	took := l.results.connect
	if l.follows(c) {
		f := l.follower(c)
		if began = f.began; f.lost {
			took = l.results.back
			c.sum, c.count, c.partial = f.sum, f.count, c.partial || f.partial
		}
		f.lost, f.welcomed = false, seconds(l.now)
	}
	took.RecordValue(l.micros(began))
	l.counters.connecting.Add(-1)
	l.counters.open.Add(1)
	l.counters.opened.Add(1)
	if c.job && l.connect.hangup {
		l.end(c)
	}
	l.settled(c)
}

// micros returns the microseconds since a time, at least 0 and at most what a
// histogram takes.
func (l *loop) micros(since int64) int64 {
	return min(max((l.now-since)/1000, 0), histogramMax)
}
