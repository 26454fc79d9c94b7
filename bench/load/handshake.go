package load

import (
	"bytes"
	"encoding/binary"
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
	g := l.g
	target, host := g.config.Path, g.config.Addr
	if c.isFeeder() {
		host = g.config.Feed
	}
	var header [][2]string
	if g.config.Protocol != Plain {
		l.names = l.name(l.names[:0], c)
		l.body = l.signer.append(append(l.body[:0], "Bearer "...), l.names)
		header = [][2]string{{"Authorization", string(l.body)}}
		if g.config.Users < g.config.Connections {
			target += "?device=" + strconv.Itoa(int(l.id(c))/g.config.Users)
		}
		if l.connect.resume && c.cursorLen > 0 {
			target += query(target) + codec.ParamCursor + "=" + string(c.cursor[:c.cursorLen])
		}
	}
	l.out = ws.AppendRequest(l.out[:0], host, target, l.key(c), g.protocols, header...)
	c.state = stateRequested
	// It is below a kilobyte, and the socket's buffer is empty: it is taken whole.
	return l.write(c, l.out)
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
	l.results.connect.RecordValue(l.micros(int64(c.sum)))
	c.sum, c.state, c.away = 0, stateOpen, false
	l.counters.connecting.Add(-1)
	l.counters.open.Add(1)
	l.counters.opened.Add(1)
	if j := l.connect; j != nil {
		if j.hangup {
			l.end(c)
		}
		j.done(l)
	}
}

// micros returns the microseconds since a time, at least 0 and at most what a
// histogram takes.
func (l *loop) micros(since int64) int64 {
	return min(max((l.now-since)/1000, 0), histogramMax)
}
