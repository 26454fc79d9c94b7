package check_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// model is a cluster that keeps its promises, and its clients: it makes histories of runs
// in which nothing is wrong, as different as chance has it.
type model struct {
	rng     *rand.Rand
	users   []*modelUser
	logs    [][]*record // by partition
	sends   int
	conns   uint64
	history history
	now     time.Duration
}

type modelUser struct {
	name      string
	partition int
	devices   []*modelDevice
}

type modelDevice struct {
	user   *modelUser
	name   string
	gaps   bool   // connects with overflow=gap
	conn   uint64 // 0: not connected
	seq    uint64
	at     int   // the index in its partition's log of what it has to look at next
	view   []int // the indices of what was delivered
	begin  int   // where the view begins
	met    bool  // it was connected once
	unsure []*event.Send
}

type record struct {
	event.Message
	users     []string
	sender    *modelDevice
	time      int64
	duplicate bool
}

// history is what a run leaves behind.
type history []*event.Record

// all returns the history as it would be read from a file.
func (h history) all() iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for i, rec := range h {
			copied := *rec
			copied.Line = int64(i + 1)
			if !yield(copied, nil) {
				return
			}
		}
	}
}

const (
	modelFaults   = 3
	modelConverge = time.Minute
)

// run returns the history of a run.
func run(seed uint64) history {
	m := &model{rng: rand.New(rand.NewPCG(seed, 1)), logs: make([][]*record, 3)}
	for u := range 4 + m.rng.IntN(4) {
		user := &modelUser{name: fmt.Sprint("user-", u), partition: u % len(m.logs)}
		for d := range 1 + m.rng.IntN(3) {
			user.devices = append(user.devices, &modelDevice{user: user, name: fmt.Sprint("d", d), gaps: m.rng.IntN(3) == 0})
		}
		m.users = append(m.users, user)
	}
	m.write(&event.Run{Format: event.Format, Seed: seed})
	m.phase(event.Warmup)
	m.load(60)
	m.phase(event.Faults)
	for n := range modelFaults {
		m.write(&event.Fault{N: n + 1, Kind: "kill", Target: "n1", Phase: event.Begin})
		m.load(40)
		m.write(&event.Fault{N: n + 1, Kind: "kill", Target: "n1", Phase: event.Hit})
		m.load(40)
	}
	m.phase(event.Heal)
	m.load(60)
	m.phase(event.Reconnect)
	for _, d := range m.devices() {
		if d.conn == 0 && (d.name == "d0" || m.rng.IntN(4) > 0) {
			m.connect(d)
		}
	}
	m.phase(event.Drain)
	for _, d := range m.devices() {
		if d.conn != 0 {
			m.deliver(d, 1<<30)
		}
	}
	m.phase(event.Read)
	m.read()
	return m.history
}

func (m *model) write(e event.Event) {
	m.now += time.Duration(1 + m.rng.IntN(2_000_000))
	m.history = append(m.history, &event.Record{T: m.now, By: "model", Event: e})
}

func (m *model) phase(name event.PhaseName) { m.write(&event.Phase{Name: name}) }

func (m *model) devices() []*modelDevice {
	var all []*modelDevice
	for _, u := range m.users {
		all = append(all, u.devices...)
	}
	return all
}

// load makes devices do things.
func (m *model) load(steps int) {
	for range steps {
		devices := m.devices()
		d := devices[m.rng.IntN(len(devices))]
		if d.conn == 0 {
			m.connect(d)
			continue
		}
		switch n := m.rng.IntN(100); {
		case n < 45:
			m.send(d)
		case n < 80:
			m.deliver(d, 1+m.rng.IntN(8))
		case n < 84:
			m.write(&event.Heartbeat{Conn: d.conn, Seq: d.seq, Cursor: d.cursor()})
		case n < 90 && d.gaps:
			m.drop(d)
		case n < 93:
			m.browse(d)
		default:
			m.write(&event.Close{Conn: d.conn})
			d.conn = 0
		}
	}
}

func (d *modelDevice) cursor() string { return fmt.Sprint("after-", d.at) }

func (m *model) connect(d *modelDevice) {
	m.conns++
	d.conn, d.seq = m.conns, 0
	c := &event.Connect{Conn: d.conn, User: d.user.name, Device: d.name, Client: "model", Encoding: "json", URL: "ws://n1"}
	if d.gaps {
		c.Overflow = "gap"
	}
	switch n := m.rng.IntN(20); {
	case !d.met || n == 0:
		d.at = len(m.logs[d.user.partition])
		d.view, d.begin, d.met = nil, d.at, true
		c.Start = "live"
	case n < 5 && len(d.view) > 0 && !d.gaps:
		c.Back = 1 + m.rng.IntN(min(3, len(d.view)))
		d.view = d.view[:len(d.view)-c.Back]
		d.at = d.begin
		if len(d.view) > 0 {
			d.at = d.view[len(d.view)-1] + 1
		}
		fallthrough
	default:
		c.Cursor = d.cursor()
		c.Resumed = true
	}
	c.Welcome = d.cursor()
	m.write(c)
}

// send sends something, or something again.
func (m *model) send(d *modelDevice) {
	var s *event.Send
	if n := len(d.unsure); n > 0 && m.rng.IntN(2) == 0 {
		again := *d.unsure[n-1]
		s, d.unsure = &again, d.unsure[:n-1]
		s.Attempt++
		s.Conn = d.conn
	} else {
		m.sends++
		body := fmt.Appendf(nil, "body %d", m.sends)
		if m.rng.IntN(5) == 0 {
			body = nil
		}
		s = &event.Send{
			Conn: d.conn, ID: fmt.Sprint("m", m.sends), MessageID: event.MessageID{0: byte(m.sends), 1: byte(m.sends >> 8), 9: 1},
			Kind: event.Ordinary, Bytes: len(body), BodySum: event.SumOf(body), Attempt: 1,
		}
		others := slices.DeleteFunc(slices.Clone(m.users), func(u *modelUser) bool { return u == d.user })
		for _, at := range m.rng.Perm(len(others))[:1+m.rng.IntN(3)] {
			s.To = append(s.To, others[at].name)
		}
		switch n := m.rng.IntN(20); {
		case n < 3:
			s.Kind = event.Signal
		case n == 3:
			s.TTL = 1000
		}
	}
	m.write(s)
	switch n := m.rng.IntN(20); {
	case n < 14:
		m.store(d, s, 0)
		m.write(&event.Ack{Conn: s.Conn, ID: s.ID, MessageID: s.MessageID, Time: m.millis()})
	case n < 17:
		m.write(&event.Nack{Conn: s.Conn, ID: s.ID, Code: "overloaded"})
	default: // stored for all, for some, or for nobody
		m.store(d, s, m.rng.IntN(4))
		m.write(&event.Unknown{Conn: s.Conn, ID: s.ID, Why: "connection lost"})
		d.unsure = append(d.unsure, s)
	}
}

func (m *model) millis() int64 { return int64(m.now / time.Millisecond) }

// store writes a message to the log, but for every failing-th partition.
func (m *model) store(d *modelDevice, s *event.Send, failing int) {
	for p := range m.logs {
		if failing > 0 && p%failing == 0 {
			continue
		}
		r := &record{sender: d, time: m.millis(), Message: event.Message{
			MessageID: s.MessageID, From: d.user.name, To: s.To, ID: s.ID, Kind: s.Kind, TTL: s.TTL, BodySum: s.BodySum,
		}}
		for _, u := range m.users {
			if u.partition == p && (u == d.user || slices.Contains(s.To, u.name)) {
				r.users = append(r.users, u.name)
			}
		}
		if len(r.users) == 0 {
			continue
		}
		r.duplicate = slices.ContainsFunc(m.logs[p], func(o *record) bool { return o.MessageID == r.MessageID })
		m.logs[p] = append(m.logs[p], r)
		for _, u := range m.users {
			for _, d := range u.devices {
				live := u.partition == p && d.conn != 0 && d.at == len(m.logs[p])-1
				if live && (s.Kind == event.Signal || m.rng.IntN(2) == 0) {
					m.step(d, true)
				}
			}
		}
	}
}

// step has a device look at the next record, and reports whether there is one.
func (m *model) step(d *modelDevice, live bool) bool {
	log := m.logs[d.user.partition]
	if d.at == len(log) {
		return false
	}
	r := log[d.at]
	d.at++
	if !slices.Contains(r.users, d.user.name) || r.duplicate || r.Kind == event.Signal && !live || r.TTL > 0 && m.rng.IntN(2) == 0 {
		return true
	}
	d.seq++
	e := &event.Deliver{Conn: d.conn, Seq: d.seq, Cursor: d.cursor(), Time: r.time, Self: r.From == d.user.name, Message: r.Message}
	if r.sender == d && m.rng.IntN(2) == 0 || e.Self && e.BodySum == event.SumOf(nil) {
		e.BodySum = ""
	}
	m.write(e)
	d.view = append(d.view, d.at-1)
	return true
}

func (m *model) deliver(d *modelDevice, most int) {
	for range most {
		if !m.step(d, false) {
			return
		}
	}
}

// drop leaves deliveries out, tells so, and has the device fetch them.
func (m *model) drop(d *modelDevice) {
	log := m.logs[d.user.partition]
	to := min(d.at+1+m.rng.IntN(6), len(log))
	page := m.page(d, d.at, to)
	if len(page.Entries) == 0 {
		return
	}
	gap := &event.Gap{Conn: d.conn, FromSeq: d.seq + 1, Reason: "outbox_full", After: d.cursor()}
	d.seq += uint64(len(page.Entries))
	d.at = to
	gap.ToSeq, gap.Before = d.seq, d.cursor()
	m.write(gap)
	m.write(page)
}

// browse asks for some part of the timeline.
func (m *model) browse(d *modelDevice) {
	n := len(m.logs[d.user.partition])
	from := m.rng.IntN(n + 1)
	page := m.page(d, from, min(n, from+m.rng.IntN(30)))
	if m.rng.IntN(2) == 0 {
		page.Query.Peer = m.users[m.rng.IntN(len(m.users))].name
		page.Entries = slices.DeleteFunc(page.Entries, func(e event.Entry) bool {
			return e.From != page.Query.Peer && !slices.Contains(e.To, page.Query.Peer)
		})
	}
	m.write(page)
}

// page returns the page of what lies between two places of the log.
func (m *model) page(d *modelDevice, from, to int) *event.Page {
	page := &event.Page{Conn: d.conn, Query: event.Query{Limit: 100}}
	for at, r := range m.logs[d.user.partition][from:to] {
		if slices.Contains(r.users, d.user.name) && !r.duplicate && r.Kind != event.Signal {
			page.Entries = append(page.Entries, event.Entry{
				Cursor: fmt.Sprint("after-", from+at+1), Time: r.time, Self: r.From == d.user.name, Message: r.Message,
			})
		}
	}
	return page
}

// read reads histories and the log, and the counters of the one node.
func (m *model) read() {
	for _, u := range m.users {
		const size = 10
		for to := len(m.logs[u.partition]); to >= 0; to -= size {
			page := m.page(u.devices[0], max(0, to-size), to)
			page.Reading, page.More = true, to > size
			m.write(page)
			if !page.More {
				break
			}
		}
	}
	n := 0
	for p, log := range m.logs {
		for offset, r := range log {
			m.write(&event.Log{Partition: int32(p), Offset: int64(2 * offset), Time: r.time, Users: r.users, Message: r.Message})
			n++
		}
	}
	m.write(&event.LogEnd{Partitions: len(m.logs), Records: int64(n)})
	for name, value := range map[string]int{
		"godwit_kafka_consumer_records_total": n, `godwit_records_total{result="dispatched"}`: n - 2, `godwit_records_total{result="nobody"}`: 2,
		"godwit_targets_total": 100, "godwit_deliveries_total": 90, "godwit_left_to_catch_up_total": 7,
		`godwit_drops_total{reason="gone"}`: 1, `godwit_drops_total{reason="outbox_full"}`: 2,
		"godwit_kafka_consumer_lost_records_total": 0, `godwit_kafka_consumer_lag_records{partition="0"}`: 0, "godwit_kafka_producer_inflight_sends": 0,
	} {
		m.write(&event.Counter{Node: "n1", Name: name, Value: float64(value)})
	}
}
