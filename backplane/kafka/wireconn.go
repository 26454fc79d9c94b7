package kafka

import (
	"cmp"
	"encoding/binary"
	"net"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// wireConn is a connection of the producer's client that tells a wire of the
// produce requests and answers that pass. It changes nothing of them.
//
// It relies on how the client uses a connection: it writes each request with one
// call of Write, one at a time, and one goroutine reads. Both are framed as the
// Kafka protocol says: a length (4 bytes), then for a request its key, version,
// correlation id and client id, and for an answer the correlation id.
type wireConn struct {
	net.Conn
	wire *wire

	// Owned by the writing goroutine.
	request kmsg.ProduceRequest

	// Owned by the reading goroutine.
	head     [8]byte // an answer's length and correlation id
	headLen  int     // how much of head has been read
	left     int     // bytes of the answer that are still to come
	body     []byte  // the answer, if it is kept
	keep     bool    // whether it is an answer to a produce request
	response kmsg.ProduceResponse
	answers  []answer

	mu      sync.Mutex
	pending []inFlightRequest // guarded by mu: produce requests without an answer, oldest first
	closed  bool              // guarded by mu
}

// inFlightRequest is a produce request that awaits its answer.
type inFlightRequest struct {
	correlation int32
	version     int16
	partitions  []int32 // ascending
}

// answer is a broker's word on one partition of a produce request.
type answer struct {
	partition int32
	code      int16
	stamp     stamp
}

const (
	keyProduce             = 0 // the key of produce requests
	produceFlexible        = 9 // the first version with tags in its headers
	requestHeaderMin       = 14
	requestHeaderClientID  = 12 // where the length of the client id stands
	answerCorrelationBytes = 4
)

// watch returns conn with w watching it.
func (w *wire) watch(conn net.Conn) net.Conn { return &wireConn{Conn: conn, wire: w} }

// Write notes a produce request before it is written: the answer may be read
// before Write returns.
func (c *wireConn) Write(b []byte) (int, error) {
	if request, ok := c.parseRequest(b); ok {
		c.wire.sent(request.partitions)
		c.mu.Lock()
		closed := c.closed
		if !closed {
			c.pending = append(c.pending, request)
		}
		c.mu.Unlock()
		if closed {
			c.wire.answered(request.partitions, nil)
		}
	}
	return c.Conn.Write(b)
}

// Close takes every request that has no answer yet for lost.
func (c *wireConn) Close() error {
	c.mu.Lock()
	pending := c.pending
	c.pending, c.closed = nil, true
	c.mu.Unlock()
	for _, request := range pending {
		c.wire.answered(request.partitions, nil)
	}
	return c.Conn.Close()
}

// parseRequest returns the produce request in b, ok false if b is another.
func (c *wireConn) parseRequest(b []byte) (request inFlightRequest, ok bool) {
	if len(b) < requestHeaderMin || binary.BigEndian.Uint16(b[4:]) != keyProduce {
		return request, false
	}
	if int(binary.BigEndian.Uint32(b)) != len(b)-4 {
		return request, false
	}
	request.version = int16(binary.BigEndian.Uint16(b[6:]))
	request.correlation = int32(binary.BigEndian.Uint32(b[8:]))
	body := b[requestHeaderMin:]
	if n := int(int16(binary.BigEndian.Uint16(b[requestHeaderClientID:]))); n > 0 {
		if n > len(body) {
			c.wire.blind.Add(1)
			return request, false
		}
		body = body[n:]
	}
	if request.version >= produceFlexible {
		if len(body) == 0 || body[0] != 0 { // the client writes no tags into headers
			c.wire.blind.Add(1)
			return request, false
		}
		body = body[1:]
	}
	c.request.Version = request.version
	if err := c.request.ReadFrom(body); err != nil {
		c.wire.blind.Add(1)
		return request, false
	}
	// The client has one topic only.
	for i := range c.request.Topics {
		for j := range c.request.Topics[i].Partitions {
			p := &c.request.Topics[i].Partitions[j]
			request.partitions = append(request.partitions, p.Partition)
			p.Records = nil // it aliases the client's buffer
		}
	}
	slices.Sort(request.partitions)
	return request, true
}

// Read follows the answers in what it reads.
func (c *wireConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.follow(b[:n])
	}
	return n, err
}

func (c *wireConn) follow(b []byte) {
	for len(b) > 0 {
		if c.headLen < len(c.head) {
			n := copy(c.head[c.headLen:], b)
			c.headLen += n
			b = b[n:]
			if c.headLen == len(c.head) {
				c.begin()
			}
			continue
		}
		n := min(c.left, len(b))
		if c.keep {
			c.body = append(c.body, b[:n]...)
		}
		c.left -= n
		b = b[n:]
		if c.left == 0 {
			c.end()
		}
	}
}

// begin looks at an answer's head and decides whether to keep its body.
func (c *wireConn) begin() {
	c.left = int(binary.BigEndian.Uint32(c.head[:])) - answerCorrelationBytes
	c.body = c.body[:0]
	c.keep = c.expects(c.correlation())
	if c.keep && c.left > maxWireResponse {
		c.finish(nil)
		c.keep = false
	}
	if c.left <= 0 {
		c.end()
	}
}

// end understands an answer that was kept, and makes ready for the next.
func (c *wireConn) end() {
	if c.keep {
		c.finish(c.body)
	}
	c.headLen, c.left, c.keep = 0, 0, false
}

// correlation returns the correlation id of the answer that is being read.
func (c *wireConn) correlation() int32 { return int32(binary.BigEndian.Uint32(c.head[4:])) }

// expects reports whether a produce request with this correlation id is pending.
// A broker answers in order, so it is the oldest one if it is any.
func (c *wireConn) expects(correlation int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) > 0 && c.pending[0].correlation == correlation
}

// finish takes the oldest pending request and reports what body says of it.
// The request stays pending until then, so that Close finds it if the
// connection ends in the middle of its answer.
func (c *wireConn) finish(body []byte) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	request := c.pending[0]
	c.pending = slices.Delete(c.pending, 0, 1)
	c.mu.Unlock()
	c.wire.answered(request.partitions, c.parseAnswer(request.version, body))
}

// parseAnswer returns what body says of each partition, ascending, nil if it
// cannot be understood.
func (c *wireConn) parseAnswer(version int16, body []byte) []answer {
	if version >= produceFlexible {
		// The tags of the header: none are defined, so a broker writes a zero.
		if len(body) == 0 || body[0] != 0 {
			return nil
		}
		body = body[1:]
	}
	c.response.Version = version
	if err := c.response.ReadFrom(body); err != nil {
		return nil
	}
	c.answers = c.answers[:0]
	for i := range c.response.Topics {
		for j := range c.response.Topics[i].Partitions {
			p := &c.response.Topics[i].Partitions[j]
			c.answers = append(c.answers, answer{
				partition: p.Partition,
				code:      p.ErrorCode,
				stamp:     stamp{base: p.BaseOffset, time: p.LogAppendTime},
			})
		}
	}
	slices.SortFunc(c.answers, func(a, b answer) int { return cmp.Compare(a.partition, b.partition) })
	return c.answers
}
