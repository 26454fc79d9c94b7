package load

import (
	"encoding/binary"
	"errors"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/buffer"
	"github.com/godwit-im/godwit/codec/ws"
)

// conn is a connection. Its size is what a connection costs: a process may have a
// million of them.
type conn struct {
	reader ws.Reader
	// buf holds what is incomplete, nil if nothing is: before the upgrade the
	// server's answer, after it the output that the socket did not take.
	buf *bytebufferpool.ByteBuffer
	// sum is that of the hashes of the messages that came in this run, and count their
	// number; while connecting, sum holds the time at which that began.
	sum     uint64
	count   uint32
	seq     uint32 // the last sequence number
	heard   uint32 // when anything came or a ping went, in seconds of the generator's clock
	flying  uint32 // sends that await their answer
	slot    int32
	fd      int32
	attempt uint16 // counts the sockets that this slot has had
	state   connState
	slow    bool // does not read
	partial bool // was not there for the whole run, or dropped some: it is not checked
	away    bool // was cut by Leave, or lost while it follows, and is to come back
	job     bool // is one of those that the connectJob opens
	leaving bool // was told to go to another node, and sends nothing more
	// cursor is the last one that the server told, cursorLen bytes of text.
	cursorLen uint8
	cursor    [codec.MaxCursor]byte
}

type connState uint8

const (
	stateClosed     connState = iota
	stateWaiting              // makes a pause before it tries again; there is no socket
	stateConnecting           // the socket is not connected yet
	stateRequested            // the request was sent
	stateUpgraded             // the welcome is awaited
	stateOpen
)

// slots are the connections of a loop, in chunks, so that memory is taken as they come
// and a pointer stays good.
type slots struct {
	chunks    []*[slotChunk]conn
	followers []*[slotChunk]follower // with Config.Follow
	follow    bool
	used      int
}

const slotChunk = 256

func (s *slots) at(slot int) *conn { return &s.chunks[slot/slotChunk][slot%slotChunk] }

func (s *slots) take() *conn {
	if s.used/slotChunk == len(s.chunks) {
		s.chunks = append(s.chunks, new([slotChunk]conn))
		if s.follow {
			s.followers = append(s.followers, new([slotChunk]follower))
		}
	}
	c := s.at(s.used)
	c.slot = int32(s.used)
	s.used++
	return c
}

func (s *slots) each(f func(c *conn)) {
	for slot := range s.used {
		f(s.at(slot))
	}
}

// feeder is the bit of a slot that is one of the loop's feeders, and of the numbers of
// such connections.
const feeder = 1 << 30

// conn returns the connection in a slot.
func (l *loop) conn(slot int32) *conn {
	if slot&feeder != 0 {
		return l.feeders.at(int(slot &^ feeder))
	}
	return l.slots.at(int(slot))
}

// each calls f for all connections, feeders too.
func (l *loop) each(f func(c *conn)) {
	l.slots.each(f)
	l.feeders.each(f)
}

func (c *conn) isFeeder() bool { return c.slot&feeder != 0 }

// id returns the number of a connection among those of all loops.
func (l *loop) id(c *conn) uint32 {
	return uint32(c.slot)&feeder | uint32(int(c.slot&^feeder)*len(l.g.loops)+l.index)
}

// name appends the name of a connection's user.
func (l *loop) name(dst []byte, c *conn) []byte {
	if c.isFeeder() {
		return append(dst, l.feederNames[c.slot&^feeder]...)
	}
	return l.g.config.appendUser(dst, l.g.user(l.id(c)))
}

// user returns the number of the user of a connection.
func (g *Generator) user(id uint32) uint32 { return id % uint32(g.config.Users) }

// dial begins to connect.
func (l *loop) dial(c *conn) {
	c.attempt++
	c.sum, c.count, c.seq, c.flying, c.leaving = uint64(l.now), 0, 0, 0, false
	c.partial = l.traffic != nil && !c.away
	c.heard = seconds(l.now)
	fd, err := l.socket(c)
	if err != nil {
		l.failed(c, err)
		return
	}
	c.fd, c.state = int32(fd), stateConnecting
	l.counters.connecting.Add(1)
	// Edge-triggered: one call for each connection, ever. So input is read until the
	// socket has no more.
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.slot, Pad: int32(c.attempt)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		l.fail(c, err)
	}
}

// socket returns a socket that is connecting. Connections to a loopback address come
// from many of those, since one has too few ports.
func (l *loop) socket(c *conn) (fd int, err error) {
	to := l.destination(c)
	family := unix.AF_INET
	if to.ip.To4() == nil {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return 0, err
	}
	if mss := l.g.config.MSS; mss > 0 {
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, mss); err != nil {
			return 0, err
		}
	}
	if size := l.g.config.ReceiveBuffer; size > 0 {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size); err != nil {
			return 0, err
		}
	}
	// Closed without a handshake: neither side keeps the port waiting.
	if err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return 0, err
	}
	if family == unix.AF_INET && to.ip.IsLoopback() {
		source := &unix.SockaddrInet4{}
		binary.BigEndian.PutUint32(source.Addr[:], 127<<24+1+l.id(c)/perSource)
		if err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return 0, err
		}
		if err = unix.Bind(fd, source); err != nil {
			return 0, err
		}
	}
	if err = unix.Connect(fd, to.addr); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return 0, err
	}
	return fd, nil
}

// writable is called when the socket is connected, takes output again, or has failed.
// It reports whether the connection is still there.
func (l *loop) writable(c *conn) bool {
	if c.state == stateConnecting {
		return l.request(c)
	}
	if c.buf == nil || c.state < stateUpgraded {
		return true
	}
	n, err := unix.Write(int(c.fd), c.buf.B)
	switch {
	case err == unix.EAGAIN:
		return true
	case err != nil:
		l.fail(c, err)
		return false
	}
	if n < len(c.buf.B) {
		c.buf.B = c.buf.B[:copy(c.buf.B, c.buf.B[n:])]
		return true
	}
	buffer.Give(c.buf)
	c.buf = nil
	return true
}

// write writes p, or keeps what the socket does not take. It reports whether the
// connection is still there.
func (l *loop) write(c *conn, p []byte) bool {
	if c.buf != nil {
		c.buf = buffer.Append(c.buf, p)
		return true
	}
	n, err := unix.Write(int(c.fd), p)
	if err == unix.EAGAIN {
		n, err = 0, nil
	}
	if err != nil {
		l.fail(c, err)
		return false
	}
	if n < len(p) {
		c.buf = buffer.Append(nil, p[n:])
	}
	return true
}

// backlog returns how many bytes wait for the socket.
func (c *conn) backlog() int {
	if c.buf == nil {
		return 0
	}
	return len(c.buf.B)
}

// read reads what there is, and takes it.
func (l *loop) read(c *conn) {
	for range readsPerPass {
		if c.state <= stateConnecting || c.slow {
			return
		}
		n, err := unix.Read(int(c.fd), l.in)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != nil:
			l.fail(c, err)
			return
		case n == 0:
			l.fail(c, errEOF)
			return
		}
		l.now = l.g.now()
		c.heard = seconds(l.now)
		l.counters.bytes.Add(int64(n))
		l.counters.reads.Add(1)
		l.take(c, l.in[:n])
		// A short read has emptied the socket (epoll(7)), and more input is an event.
		if n < len(l.in) || c.state < stateConnecting {
			return
		}
	}
	l.again = append(l.again, c.slot)
}

var errEOF = errors.New("closed by the server")

// take takes input.
func (l *loop) take(c *conn, p []byte) {
	if c.state == stateRequested {
		p = l.answer(c, p)
	}
	for c.state >= stateUpgraded {
		ev, n, ok, err := c.reader.Next(p, &l.g.limits)
		if err != nil {
			l.fail(c, err)
			return
		}
		if !ok {
			return
		}
		p = p[n:]
		l.event(c, ev)
	}
}

// event takes a message or a control frame.
func (l *loop) event(c *conn, ev ws.Event) {
	switch ev.Op {
	case ws.Ping:
		l.out = ws.AppendMasked(l.out[:0], ws.Pong, ev.Payload, l.mask())
		l.write(c, l.out)
	case ws.Pong:
	case ws.Close:
		l.fail(c, closedError(ev.Code))
	default:
		l.counters.frames.Add(1)
		if l.g.config.Protocol == Plain {
			l.echo(c, ev.Payload)
			return
		}
		l.serverFrame(c, ev.Payload)
	}
}

// mask returns a masking key: new for each frame, and nobody here could profit from
// knowing it.
func (l *loop) mask() (key [4]byte) {
	binary.LittleEndian.PutUint32(key[:], l.rng.Uint32())
	return key
}

// fail ends a connection that has failed.
func (l *loop) fail(c *conn, err error) {
	if c.state == stateOpen {
		l.counters.count("closed: " + err.Error())
		l.end(c)
		if l.follows(c) {
			l.goOn(c, err, true)
		}
		return
	}
	l.shut(c)
	l.counters.connecting.Add(-1)
	l.failed(c, err)
}

// end ends a connection that is open.
func (l *loop) end(c *conn) {
	l.shut(c)
	l.counters.open.Add(-1)
	l.counters.closed.Add(1)
	if c.flying > 0 && l.traffic != nil {
		l.traffic.abandon(l, c)
	}
}

// shut closes the socket and gives back what the connection holds.
func (l *loop) shut(c *conn) {
	if c.state > stateWaiting {
		_ = unix.Close(int(c.fd))
	}
	c.state, c.fd = stateClosed, -1
	c.reader.Release()
	if c.buf != nil {
		buffer.Give(c.buf)
		c.buf = nil
	}
}

// failed counts a connection that did not come to be, unless it goes on trying.
func (l *loop) failed(c *conn, err error) {
	c.state = stateClosed
	if l.follows(c) && l.goOn(c, err, false) {
		return
	}
	l.counters.failed.Add(1)
	l.counters.count("connect: " + err.Error())
	l.settled(c)
}

// settled counts a connection that is open, or has failed, for the job that opens it.
func (l *loop) settled(c *conn) {
	if c.job {
		c.job = false
		l.connect.done(l)
	}
}
