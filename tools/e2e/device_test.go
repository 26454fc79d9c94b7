package e2e

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
)

// delivery is a message as a device got it.
type delivery struct {
	codec.Deliver
	offset int64
	cursor string
	body   string
}

// gap is a range of messages that a device did not get.
type gap struct {
	codec.Gap
	after, before int64 // offsets
}

// device is a connected client. Once it listens, it reads all the time, answers
// pings and closes, and holds all it gets to the protocol.
type device struct {
	*socket
	t       testing.TB
	user    string
	options options
	welcome codec.Welcome
	done    chan struct{} // closed when it has stopped reading

	mu         sync.Mutex
	timeline   timeline
	cursor     string // the last one to go on from
	deliveries []delivery
	gaps       []gap
	pages      map[string]page        // by the client's id
	acks       map[string][]codec.Ack // by the client's id, in order
	answers    int                    // acks in all
	pongs      int
	errors     []codec.ErrorFrame
	moved      []codec.Moved
	closed     *ws.Event // the server's close frame
	end        error     // why it stopped reading
}

// connect connects a device of user and requires that it is welcomed.
func connect(t testing.TB, n *node, user string, o options) *device {
	t.Helper()
	d, err := tryConnect(t, n, n.url, user, n.token(t, user), o)
	if err != nil {
		t.Fatalf("%s/%s: %v", user, o.device, err)
	}
	return d
}

// tryConnect connects to an address. The error is a *ws.StatusError when the server
// refuses. It may be called by any goroutine.
func tryConnect(t testing.TB, n *node, address, user, token string, o options) (*device, error) {
	s, err := dial(address, token, o)
	if err != nil {
		return nil, err
	}
	d := newDevice(t, n, user, o, s)
	if err := d.readWelcome(); err != nil {
		s.conn.Close()
		return nil, err
	}
	if o.deaf {
		t.Cleanup(func() { s.conn.Close() }) // and not before, as an unused connection might be
	} else {
		d.listen()
	}
	return d, nil
}

func newDevice(t testing.TB, n *node, user string, o options, s *socket) *device {
	return &device{
		socket: s, t: t, user: user, options: o,
		done: make(chan struct{}),
		acks: make(map[string][]codec.Ack), pages: make(map[string]page),
		timeline: timeline{
			t: t, name: user + "/" + o.device, user: user,
			partition: backplane.PartitionOf(user, n.n),
			seen:      make(map[backplane.MessageID]bool),
		},
	}
}

// readWelcome reads the first frame.
func (d *device) readWelcome() error {
	ev, err := d.next()
	if err != nil {
		return err
	}
	var f codec.ServerFrame
	if err := codec.DecodeServer(d.encoding, ev.Payload, &f); err != nil {
		return err
	}
	if f.Type != codec.FrameWelcome {
		return fmt.Errorf("the first frame is %v: %s", f.Type, ev.Payload)
	}
	d.timeline.welcome(&f.Welcome)
	d.welcome = f.Welcome
	d.welcome.Cursor = slices.Clone(f.Welcome.Cursor)
	d.cursor = string(f.Welcome.Cursor)
	return nil
}

// listen begins to read, until the connection or the test ends.
func (d *device) listen() {
	go d.run()
	d.t.Cleanup(d.hangup)
}

// hangup closes the connection without a word and waits for the reader.
func (d *device) hangup() {
	d.conn.Close()
	<-d.done
}

func (d *device) run() {
	defer close(d.done)
	var f codec.ServerFrame
	for {
		if d.options.gate != nil {
			d.options.gate()
		}
		ev, err := d.next()
		if err == nil {
			err = d.take(ev, &f)
		}
		if err != nil {
			d.mu.Lock()
			d.end = err
			d.mu.Unlock()
			return
		}
	}
}

// take takes one message or control frame.
func (d *device) take(ev ws.Event, f *codec.ServerFrame) error {
	d.mu.Lock()
	closed := d.closed != nil
	d.mu.Unlock()
	if closed {
		d.timeline.wrong("%v after the close", ev.Op)
	}
	switch ev.Op {
	case ws.Ping:
		return d.writeFrame(ws.Pong, ev.Payload)
	case ws.Pong:
		return nil
	case ws.Close:
		d.mu.Lock()
		d.closed = &ws.Event{Op: ws.Close, Code: ev.Code, Payload: slices.Clone(ev.Payload)}
		d.mu.Unlock()
		if d.options.mute {
			return nil
		}
		return d.writeClose(ev.Code)
	}
	if (ev.Op == ws.Text) != d.encoding.Text() {
		d.timeline.wrong("a message of the wrong kind")
	}
	if err := codec.DecodeServer(d.encoding, ev.Payload, f); err != nil {
		d.timeline.wrong("%v: %q", err, ev.Payload)
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.takeFrame(f)
	return nil
}

// takeFrame is called with mu held.
func (d *device) takeFrame(f *codec.ServerFrame) {
	switch f.Type {
	case codec.FrameDeliver:
		got := delivery{Deliver: f.Deliver, offset: d.timeline.deliver(&f.Deliver), cursor: string(f.Deliver.Cursor), body: string(f.Deliver.Message.Body)}
		d.cursor, got.Cursor = got.cursor, nil
		got.Message = cloneMessage(&f.Deliver.Message)
		d.deliveries = append(d.deliveries, got)
	case codec.FrameGap:
		g := gap{Gap: f.Gap}
		g.after, g.before = d.timeline.gap(&f.Gap)
		g.After, g.Before = nil, nil
		d.gaps = append(d.gaps, g)
	case codec.FrameHeartbeat:
		d.timeline.heartbeat(&f.Heartbeat)
		d.cursor = string(f.Heartbeat.Cursor)
	case codec.FrameAck:
		a := f.Ack
		id := string(a.ID)
		a.ID = nil
		if (a.Status == backplane.Stored) != (a.Code == "") || (a.Status == backplane.Stored) != (a.Time != 0) {
			d.timeline.wrong("ack of %s has status %d, code %q and time %d", id, a.Status, a.Code, a.Time)
		}
		d.acks[id] = append(d.acks[id], a)
		d.answers++
	case codec.FrameHistoryPage:
		d.pages[string(f.HistoryPage.ID)] = d.timeline.page(&f.HistoryPage)
	case codec.FramePong:
		d.pongs++
	case codec.FrameError:
		d.errors = append(d.errors, f.Error)
	case codec.FrameMoved:
		d.moved = append(d.moved, f.Moved)
	default:
		d.timeline.wrong("unexpected %v", f.Type)
	}
}

// cloneMessage copies a message, without its body.
func cloneMessage(m *backplane.Message) backplane.Message {
	c := backplane.Message{MessageID: m.MessageID, Kind: m.Kind, TTL: m.TTL, From: slices.Clone(m.From), ID: slices.Clone(m.ID)}
	for _, u := range m.To {
		c.To = append(c.To, slices.Clone(u))
	}
	return c
}

// send sends a message.
func (d *device) send(id, body string, to ...string) {
	d.t.Helper()
	if err := d.write(encode(d.encoding, sendFrame(id, body, to...))); err != nil {
		d.t.Errorf("%s: sending %s: %v", d.timeline.name, id, err)
	}
}

// store sends a message and waits until it is stored.
func (d *device) store(id, body string, to ...string) codec.Ack {
	d.t.Helper()
	before := d.ackCount(id)
	d.send(id, body, to...)
	a := d.ack(id, before)
	if a.Status != backplane.Stored {
		d.t.Fatalf("%s: %s was answered %d %q", d.timeline.name, id, a.Status, a.Code)
	}
	return a
}

func (d *device) ackCount(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.acks[id])
}

// ack waits for the i-th ack of a send.
func (d *device) ack(id string, i int) codec.Ack {
	d.t.Helper()
	d.until("ack of "+id, func() bool { return len(d.acks[id]) > i })
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acks[id][i]
}

// ping sends a ping of the protocol and waits for its pong: then the server has
// taken everything that was sent before.
func (d *device) ping() {
	d.t.Helper()
	d.mu.Lock()
	want := d.pongs + 1
	d.mu.Unlock()
	if err := d.write(encode(d.encoding, &codec.ClientFrame{Type: codec.FramePing})); err != nil {
		d.t.Fatalf("%s: %v", d.timeline.name, err)
	}
	d.until("a pong", func() bool { return d.pongs >= want })
}

// until waits until cond, which is called with mu held, is true. A device that is
// disconnected has failed.
func (d *device) until(what string, cond func() bool) {
	d.t.Helper()
	var end error
	eventually(d.t, d.timeline.name+" has "+what, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		end = d.end
		return cond() || end != nil
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if !cond() {
		d.t.Fatalf("%s: the connection ended (%v, close %+v) while it waited for: %s", d.timeline.name, end, d.closed, what)
	}
}

// got waits until n messages were delivered, and returns them all.
func (d *device) got(n int) []delivery {
	d.t.Helper()
	d.until(fmt.Sprint(n, " deliveries"), func() bool { return len(d.deliveries) >= n })
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.deliveries)
}

func (d *device) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.deliveries)
}

// bodies waits until n messages were delivered, and returns their bodies.
func (d *device) bodies(n int) []string {
	d.t.Helper()
	var bodies []string
	for _, got := range d.got(n) {
		bodies = append(bodies, got.body)
	}
	return bodies
}

// ended waits until the connection has ended. It must have ended by a close
// handshake; code is the server's close code.
func (d *device) ended() (code uint16) {
	d.t.Helper()
	eventually(d.t, d.timeline.name+" is disconnected", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.end != nil
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed == nil || !errors.Is(d.end, io.EOF) {
		d.t.Fatalf("%s: the connection ended with close %+v and %v", d.timeline.name, d.closed, d.end)
	}
	return d.closed.Code
}

// lastError returns the code of the last error frame, "" if there was none.
func (d *device) lastError() backplane.Code {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.errors) == 0 {
		return ""
	}
	return d.errors[len(d.errors)-1].Code
}
