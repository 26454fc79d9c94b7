package check

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// index is what is kept of a history.
type index struct {
	messages messages
	users    map[string]*user
	conns    map[uint64]*conn
	parts    map[int32]*partition
	logBegin uint32 // the line where the reading of the log began
	logEnd   bool   // all of the log was read
	read     bool   // the phase of reading has begun
	seed     maphash.Seed
	stats    Stats
	touched  []uint32 // scratch: the messages of the event
}

// user is what is kept of a user.
type user struct {
	name    string
	devices []*device
	sent    tape // messages from or to the user, in the order of their first sends
	log     tape // records of the log that concern the user, in the order of offsets
	read    bool // its whole timeline was read from history
}

// device is what is kept of a device.
type device struct {
	number  uint32
	user    *user
	name    string
	pending map[string]uint32 // the messages of sends without an answer, by the client's id
	got     tape              // deliveries
	pages   tape              // pages of history
	view    int               // how many deliveries its view of the timeline has
	again   int               // how many of the next deliveries had come before
	began   time.Duration     // when its view began
	open    int               // connections
	ended   bool              // it was connected when the reading began; false if that never did
}

func (d *device) String() string { return fmt.Sprintf("device %q of user %q", d.name, d.user.name) }

// conn is what is kept of a connection.
type conn struct {
	device *device
	gaps   bool   // it has asked for gaps
	seq    uint64 // the last number that the server has used
	line   uint32 // of the latest event that told it
	closed bool
}

// partition is what is kept of a partition of the log.
type partition struct {
	next int64 // no record has an offset below
	duplicates
}

// fact is an event with what the index knows of it.
type fact struct {
	event.Record
	line     uint32
	conn     *conn    // of an event of a connection
	device   *device  // the connection's
	messages []uint32 // of the event: one, or those of a page; good until the next event
	again    bool     // of a Deliver: it had come before, and the device asked for it again
}

func newIndex() *index {
	return &index{
		users: make(map[string]*user), conns: make(map[uint64]*conn), parts: make(map[int32]*partition),
		seed: maphash.MakeSeed(),
	}
}

// add takes the next event. The error says why the history cannot be right, whatever the
// server did.
func (x *index) add(rec event.Record) (fact, error) {
	if rec.Line <= 0 || rec.Line > math.MaxUint32 {
		return fact{}, fmt.Errorf("lines are numbered from 1 to %d", uint32(math.MaxUint32))
	}
	f := fact{Record: rec, line: uint32(rec.Line)}
	x.touched = x.touched[:0]
	x.stats.Events++
	if n, ok := connOf(rec.Event); ok {
		if f.conn = x.conns[n]; f.conn == nil {
			return fact{}, fmt.Errorf("there is no connection %d", n)
		}
		f.device = f.conn.device
	}
	var err error
	switch e := rec.Event.(type) {
	case *event.Phase:
		if e.Name == event.Read {
			x.reading()
		}
	case *event.Connect:
		err = x.connect(&f, e)
	case *event.Close:
		err = x.close(&f)
	case *event.Send:
		err = x.send(&f, e)
	case *event.Ack:
		err = x.ack(&f, e)
	case *event.Nack:
		_, err = x.answer(&f, e.ID)
	case *event.Unknown:
		var m *message
		if m, err = x.answer(&f, e.ID); err == nil {
			m.flags |= hasUnknown
		}
	case *event.Deliver:
		x.deliver(&f, e)
	case *event.Gap:
		x.stats.Gaps++
		f.device.got.add(opGap, clamp(e.ToSeq-e.FromSeq+1), f.line)
	case *event.Gone:
		x.stats.Gaps++
		f.device.got.add(opGap, math.MaxUint32, f.line)
	case *event.Page:
		x.page(&f, e)
	case *event.Log:
		err = x.log(&f, e)
	case *event.LogEnd:
		if e.Records != x.stats.Records {
			err = fmt.Errorf("%d records were read, and %d are in the file", e.Records, x.stats.Records)
		}
		x.logEnd = true
		x.logBegin = cmp.Or(x.logBegin, f.line)
	}
	f.messages = x.touched
	return f, err
}

// connOf returns the connection that an event belongs to. A Connect makes its own.
func connOf(e event.Event) (uint64, bool) {
	switch e := e.(type) {
	case *event.Close:
		return e.Conn, true
	case *event.Moved:
		return e.Conn, true
	case *event.Send:
		return e.Conn, true
	case *event.Ack:
		return e.Conn, true
	case *event.Nack:
		return e.Conn, true
	case *event.Unknown:
		return e.Conn, true
	case *event.Deliver:
		return e.Conn, true
	case *event.Gap:
		return e.Conn, true
	case *event.Gone:
		return e.Conn, true
	case *event.Heartbeat:
		return e.Conn, true
	case *event.Page:
		return e.Conn, true
	}
	return 0, false
}

func (x *index) user(name string) *user {
	u := x.users[name]
	if u == nil {
		u = &user{name: name}
		x.users[name] = u
		x.stats.Users++
	}
	return u
}

// sorted returns the users by their names, so that a report is always the same.
func (x *index) sorted() []*user {
	all := make([]*user, 0, len(x.users))
	for _, u := range x.users {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *user) int { return cmp.Compare(a.name, b.name) })
	return all
}

// reading notes who is connected.
func (x *index) reading() {
	x.read = true
	for _, u := range x.users {
		for _, d := range u.devices {
			d.ended = d.open > 0
		}
	}
}

func (x *index) connect(f *fact, e *event.Connect) error {
	if x.conns[e.Conn] != nil {
		return fmt.Errorf("there is a connection %d already", e.Conn)
	}
	u := x.user(e.User)
	at := slices.IndexFunc(u.devices, func(d *device) bool { return d.name == e.Device })
	if at < 0 {
		at = len(u.devices)
		u.devices = append(u.devices, &device{number: uint32(x.stats.Devices), user: u, name: e.Device, pending: make(map[string]uint32)})
		x.stats.Devices++
	}
	d := u.devices[at]
	switch {
	case e.Back > d.view:
		return fmt.Errorf("%d deliveries shall come again, and %s has only had %d", e.Back, d, d.view)
	case e.Cursor == "" || d.got.entries == 0:
		d.got.add(opBegin, 0, f.line)
		d.view, d.again, d.began = 0, 0, f.T
	case e.Back > 0:
		d.got.add(opBack, uint32(e.Back), f.line)
		d.view -= e.Back
		d.again += e.Back
	}
	d.open++
	f.conn = &conn{device: d, gaps: e.Overflow == "gap", line: f.line}
	f.device = d
	x.conns[e.Conn] = f.conn
	x.stats.Connections++
	return nil
}

func (x *index) close(f *fact) error {
	if f.conn.closed {
		return errors.New("the connection is closed already")
	}
	f.conn.closed = true
	f.device.open--
	return nil
}

func (x *index) send(f *fact, e *event.Send) error {
	x.stats.Sends++
	if _, ok := f.device.pending[e.ID]; ok {
		return fmt.Errorf("%s sends %q again, and has not said what became of the last attempt", f.device, e.ID)
	}
	n := x.messages.find(e.MessageID)
	m := x.messages.at(n)
	sent := event.Message{From: f.device.user.name, To: e.To, ID: e.ID, Kind: e.Kind, TTL: e.TTL}
	head, body := x.head(&sent), maphash.String(x.seed, string(e.BodySum))
	switch {
	case m.send == 0:
		m.send, m.head, m.body, m.device = f.line, head, body, f.device.number
		if e.Kind == event.Signal {
			m.flags |= isSignal
		}
		if e.TTL > 0 {
			m.flags |= isMortal
		}
		f.device.user.sent.add(opMessage, n, f.line)
		for _, to := range e.To {
			if u := x.user(to); u != f.device.user {
				u.sent.add(opMessage, n, f.line)
			}
		}
		x.stats.Messages++
	case m.head != head || m.body != body || m.device != f.device.number:
		return fmt.Errorf("message %s was another one in line %d", e.MessageID, m.send)
	}
	f.device.pending[e.ID] = n
	x.touched = append(x.touched, n)
	return nil
}

// answer settles an attempt.
func (x *index) answer(f *fact, id string) (*message, error) {
	n, ok := f.device.pending[id]
	if !ok {
		return nil, fmt.Errorf("%s has no send %q without an answer", f.device, id)
	}
	delete(f.device.pending, id)
	x.touched = append(x.touched, n)
	m := x.messages.at(n)
	if !m.has(hasAck) {
		m.answer = f.line
	}
	return m, nil
}

func (x *index) ack(f *fact, e *event.Ack) error {
	m, err := x.answer(f, e.ID)
	if err != nil {
		return err
	}
	if !m.has(hasAck) {
		m.flags |= hasAck
		m.acked = millis(f.T)
	}
	return nil
}

func (x *index) deliver(f *fact, e *event.Deliver) {
	n := x.see(f, e.MessageID)
	f.device.got.add(opMessage, n, f.line)
	f.device.view++
	if f.again = f.device.again > 0; f.again {
		f.device.again--
	}
	x.stats.Deliveries++
}

func (x *index) page(f *fact, e *event.Page) {
	x.stats.Pages++
	if e.Code != "" {
		return
	}
	var flags uint32
	if e.Reading {
		flags |= pageReading
		f.device.user.read = f.device.user.read || !e.More
	}
	if e.Query.Peer != "" {
		flags |= pagePeer
	}
	f.device.pages.add(opPage, flags, f.line)
	for i := range e.Entries {
		f.device.pages.add(opMessage, x.see(f, e.Entries[i].MessageID), f.line)
	}
}

func (x *index) log(f *fact, e *event.Log) error {
	x.stats.Records++
	x.logBegin = cmp.Or(x.logBegin, f.line)
	p := x.parts[e.Partition]
	if p == nil {
		p = new(partition)
		x.parts[e.Partition] = p
	}
	if e.Offset < p.next {
		return fmt.Errorf("partition %d: offset %d comes after a higher one", e.Partition, e.Offset)
	}
	p.next = e.Offset + 1
	n := x.see(f, e.MessageID)
	o := opMessage
	if p.seen(n, e.Time) {
		o = opAgain
	}
	for _, name := range e.Users {
		x.user(name).log.add(o, n, f.line)
	}
	return nil
}

// see notes that a message was seen, and returns its number.
func (x *index) see(f *fact, id event.MessageID) uint32 {
	n := x.messages.find(id)
	if m := x.messages.at(n); m.seen == 0 {
		m.seen = f.line
	}
	x.touched = append(x.touched, n)
	return n
}

// head returns a hash of what a sender said, but for the body.
func (x *index) head(m *event.Message) uint64 {
	var h maphash.Hash
	h.SetSeed(x.seed)
	part := func(s string) {
		maphash.WriteComparable(&h, len(s))
		h.WriteString(s)
	}
	part(m.From)
	part(m.ID)
	part(string(m.Kind))
	maphash.WriteComparable(&h, m.TTL)
	for _, to := range m.To {
		part(to)
	}
	return h.Sum64()
}

// settle is called after the last event: what has no answer has an unknown outcome.
func (x *index) settle() {
	for _, u := range x.users {
		for _, d := range u.devices {
			for _, n := range d.pending {
				x.messages.at(n).flags |= hasUnknown
			}
		}
	}
	for n := range x.messages.n {
		switch m := x.messages.at(n); {
		case m.send == 0:
		case m.has(hasAck):
			x.stats.Acked++
		case m.has(hasUnknown):
			x.stats.Unknown++
		default:
			x.stats.Rejected++
		}
	}
}

// millis rounds a time up to milliseconds. It takes 49 days to reach the last.
func millis(t time.Duration) uint32 {
	return uint32(min((t+time.Millisecond-1)/time.Millisecond, math.MaxUint32))
}

func clamp(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }
