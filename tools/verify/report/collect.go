package report

import (
	"iter"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// Collect makes the story of a history, in one pass. It needs memory for the steps, for the
// devices, and for the messages that are on their way at a time, whatever the length of the
// history. The error is that of events.
//
// It looks only at what it needs: an event of a connection or a send that it does not know
// is counted in the totals, and has no other effect.
func Collect(events iter.Seq2[event.Record, error]) (*Story, error) {
	c := newCollector()
	for rec, err := range events {
		if err != nil {
			return nil, err
		}
		c.add(rec)
	}
	return c.finish(), nil
}

// collector is a Story in the making.
type collector struct {
	story  Story
	now    time.Duration // of the latest event
	steps  steps
	phases []phase
	// current is the index of the phase, -1 before the first.
	current      int
	faults       map[int]int // the indices of faults by their numbers
	users        map[string]*user
	conns        map[uint64]*conn
	closed       queue[uint64] // connections that are over, by when to forget them
	flight       flight
	parties      [][]*device // scratch
	ack, deliver latencies
}

func newCollector() *collector {
	return &collector{
		steps:   steps{length: minStep},
		users:   make(map[string]*user),
		conns:   make(map[uint64]*conn),
		faults:  make(map[int]int),
		flight:  flight{messages: make(map[event.MessageID]*message)},
		current: -1,
	}
}

// user is what is known of a user.
type user struct {
	devices []*device
	names   []string // theirs
}

// conn is what is known of a connection.
type conn struct {
	device *device
	closed bool
}

// phase is a Phase in the making.
type phase struct {
	Phase
	ack, deliver latencies
}

func (c *collector) add(rec event.Record) {
	c.now = max(c.now, rec.T)
	totals := &c.story.Totals
	totals.Events++
	switch e := rec.Event.(type) {
	case *event.Run:
		c.story.Run = *e
	case *event.Phase:
		c.phase(e)
	case *event.Fault:
		c.fault(e)
	case *event.Connect:
		c.connect(e)
	case *event.Refused:
		totals.Refused++
		c.steps.at(c.now).Refused++
	case *event.Close:
		c.close(e)
	case *event.Moved:
		totals.Moved++
	case *event.Violation:
		totals.Violations++
	case *event.Send:
		c.send(e)
	case *event.Ack:
		c.stored(e)
	case *event.Nack:
		if invalidCodes[e.Code] {
			c.answer(e.Conn, e.ID, Answers{Invalid: 1})
		} else {
			c.answer(e.Conn, e.ID, Answers{Rejected: 1})
		}
	case *event.Unknown:
		c.answer(e.Conn, e.ID, Answers{Unknown: 1})
	case *event.Deliver:
		totals.Deliveries++
		c.delivered(e)
	case *event.Gap:
		totals.Gaps++
	case *event.Gone:
		totals.Gone++
	case *event.Page:
		totals.Pages++
		c.page(e)
	case *event.Log:
		totals.Records++
	}
	c.flight.sweep(c.now)
	for conn := range c.closed.due(c.now) {
		delete(c.conns, conn)
	}
}

func (c *collector) phase(e *event.Phase) {
	if c.current >= 0 {
		c.phases[c.current].End = c.now
	}
	c.current = len(c.phases)
	c.phases = append(c.phases, phase{Phase: Phase{Name: e.Name, Begin: c.now}})
}

func (c *collector) fault(e *event.Fault) {
	at, ok := c.faults[e.N]
	if !ok {
		at = len(c.story.Faults)
		c.faults[e.N] = at
		c.story.Faults = append(c.story.Faults, Fault{N: e.N, Kind: e.Kind, Target: e.Target, Begin: c.now, Hit: Never, End: Never})
	}
	f := &c.story.Faults[at]
	switch e.Phase {
	case event.Begin:
		f.Order = e.Detail
	case event.Hit:
		f.Hits++
		if f.Hit == Never {
			f.Hit, f.Evidence = c.now, e.Detail
		}
	case event.End:
		f.End, f.Undone = c.now, e.Detail
	}
}

func (c *collector) connect(e *event.Connect) {
	totals := &c.story.Totals
	totals.Connections++
	u := c.users[e.User]
	if u == nil {
		u = &user{}
		c.users[e.User] = u
		totals.Users++
	}
	d := u.device(e.Device)
	if d == nil {
		d = &device{user: u, pending: make(map[string]attempt)}
		u.devices, u.names = append(u.devices, d), append(u.names, e.Device)
		totals.Devices++
	}
	if e.Cursor == "" {
		c.steps.miss(c.now, -d.missing)
		d.view, d.missing = d.view+1, 0
	}
	c.conns[e.Conn] = &conn{device: d}
	if d.open++; d.open == 1 {
		c.steps.connect(c.now, 1)
	}
}

// device returns the device of a name, nil if there is none.
func (u *user) device(name string) *device {
	for i := range u.names {
		if u.names[i] == name {
			return u.devices[i]
		}
	}
	return nil
}

// device returns the device of a connection, nil if it is not known.
func (c *collector) device(n uint64) *device {
	if conn := c.conns[n]; conn != nil {
		return conn.device
	}
	return nil
}

func (c *collector) close(e *event.Close) {
	conn := c.conns[e.Conn]
	if conn == nil || conn.closed {
		return
	}
	conn.closed = true
	c.closed.push(c.now+keep, e.Conn)
	if conn.device.open--; conn.device.open == 0 {
		c.steps.connect(c.now, -1)
	}
}

func (c *collector) finish() *Story {
	s := &c.story
	s.End = c.now
	s.Steps = c.steps.all(c.now)
	s.Length = c.steps.length
	if c.current >= 0 {
		c.phases[c.current].End = c.now
	}
	for i := range c.phases {
		p := &c.phases[i]
		p.Ack, p.Deliver = p.ack.summary(), p.deliver.summary()
		s.Phases = append(s.Phases, p.Phase)
	}
	s.Totals.Unseen = c.steps.unseen
	s.Totals.Ack, s.Totals.Deliver = c.ack.summary(), c.deliver.summary()
	return s
}
