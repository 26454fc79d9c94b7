package report

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// sim is a cluster, its clients and its nemesis, as far as a story tells of them: it makes
// histories of any length, with the same events for the same seed.
type sim struct {
	seed          uint64
	users         int
	each          int           // devices of a user
	rate          int           // sends a second
	length        time.Duration // of warmup and faults together
	faults        int
	rng           *rand.Rand
	devices       []*simDevice
	todo          map[time.Duration][]func() // by milliseconds
	now           time.Duration
	sent, opened  uint64
	down          int // the node that is down; -1: none
	line          int64
	yield         func(event.Record, error) bool
	stopped       bool
	hostile       string // is a part of all names
	faultsStarted int
}

type simDevice struct {
	user, name string
	node       int
	conn       uint64 // 0: none
	queue      []event.Message
	met        bool
}

const tickLength = time.Millisecond

// events returns the history.
func (s sim) events() iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		run := s
		run.yield = yield
		run.run()
	}
}

func (s *sim) run() {
	s.rng, s.todo, s.down = rand.New(rand.NewPCG(s.seed, 0)), make(map[time.Duration][]func()), -1
	s.write("run", &event.Run{Format: event.Format, Seed: s.seed, Command: "godwit verify --seed " + fmt.Sprint(s.seed) + s.hostile, Start: 1767225600000})
	for u := range s.users {
		for d := range s.each {
			s.devices = append(s.devices, &simDevice{user: fmt.Sprint("u", u, s.hostile), name: fmt.Sprint("d", d), node: u % 3})
		}
	}
	for i, d := range s.devices {
		s.at(time.Duration(i)*2*time.Second/time.Duration(len(s.devices)), func() { s.connect(d) })
	}
	warmup := 2*time.Second + s.length/10
	s.at(2*time.Second, func() { s.phase(event.Warmup) })
	s.at(warmup, func() { s.phase(event.Faults) })
	heal := 2*time.Second + s.length
	for n := range s.faults {
		space := (heal - warmup) / time.Duration(s.faults)
		begin := warmup + space*time.Duration(n) + space/5
		s.at(begin, func() { s.fault(begin + space/2) })
	}
	s.at(heal, func() { s.phase(event.Heal) })
	s.at(heal+3*time.Second, func() { s.phase(event.Reconnect) })
	s.at(heal+4*time.Second, func() { s.phase(event.Drain) })
	end := heal + 8*time.Second
	s.at(end, func() { s.phase(event.Read) })
	for t := time.Duration(0); t <= end+2*time.Second && !s.stopped; t += tickLength {
		s.now = t
		for _, f := range s.todo[t] {
			f()
		}
		delete(s.todo, t)
		sending := t > 2*time.Second && t < heal+4*time.Second
		if sending && s.rng.Float64() < float64(s.rate)*tickLength.Seconds() {
			s.send(s.devices[s.rng.IntN(len(s.devices))])
		}
	}
	for i := range 5 {
		s.write("log", &event.Log{Offset: int64(i), Message: event.Message{MessageID: event.MessageID{1}, Kind: event.Ordinary}})
	}
}

func (s *sim) write(by string, e event.Event) {
	if s.line++; !s.stopped {
		s.stopped = !s.yield(event.Record{Line: s.line, T: s.now, By: by, Event: e}, nil)
	}
}

// at has f called at a time, or now if that is over.
func (s *sim) at(t time.Duration, f func()) {
	t = max(t, s.now).Truncate(tickLength)
	if t == s.now && s.line > 1 {
		f()
		return
	}
	s.todo[t] = append(s.todo[t], f)
}

func (s *sim) after(d time.Duration, f func()) { s.at(s.now+max(d, tickLength), f) }

func (s *sim) phase(name event.PhaseName) { s.write("run", &event.Phase{Name: name}) }

func (s *sim) connect(d *simDevice) {
	if d.conn != 0 {
		return
	}
	if d.node == s.down {
		s.write(d.user, &event.Refused{User: d.user, Device: d.name, URL: "ws://n" + s.hostile, Why: "connection refused"})
		s.after(time.Duration(300+s.rng.IntN(700))*time.Millisecond, func() { s.connect(d) })
		return
	}
	s.opened++
	d.conn = s.opened
	e := &event.Connect{Conn: d.conn, User: d.user, Device: d.name, Client: "sim", Encoding: "json", URL: "ws://n"}
	if d.met {
		e.Cursor = "c"
	}
	d.met = true
	s.write(d.user, e)
	for _, m := range d.queue {
		s.deliver(d, m)
	}
	d.queue = nil
}

func (s *sim) deliver(d *simDevice, m event.Message) {
	if d.conn == 0 {
		d.queue = append(d.queue, m)
		return
	}
	s.write(d.user, &event.Deliver{Conn: d.conn, Cursor: "c", Self: m.From == d.user, Message: m})
}

func (s *sim) close(d *simDevice) {
	if d.conn != 0 {
		s.write(d.user, &event.Close{Conn: d.conn, Code: 1006})
		d.conn = 0
		s.after(time.Duration(100+s.rng.IntN(900))*time.Millisecond, func() { s.connect(d) })
	}
}

func (s *sim) fault(end time.Duration) {
	s.faultsStarted++
	kinds := []string{"node-kill", "broker-pause", "move", "clients-cut"}
	f := event.Fault{N: s.faultsStarted, Kind: kinds[s.faultsStarted%4], Target: fmt.Sprint("node-", 1+s.faultsStarted%3, s.hostile)}
	step := func(phase event.FaultPhase, detail string) {
		f := f
		f.Phase, f.Detail = phase, detail+s.hostile
		s.write("nemesis", &f)
	}
	step(event.Begin, "for a while")
	if s.faultsStarted%7 == 6 {
		s.at(end, func() { step(event.End, "nothing was there") })
		return
	}
	s.after(150*time.Millisecond, func() {
		s.down = s.faultsStarted % 3
		step(event.Hit, "its process ended by signal 9")
		for _, d := range s.devices {
			if d.node == s.down {
				s.close(d)
			}
		}
	})
	s.at(end, func() { s.down = -1; step(event.End, "it serves again") })
}

// send has a device send something to one to three users.
func (s *sim) send(d *simDevice) {
	if d.conn == 0 {
		return
	}
	s.sent++
	m := event.Message{From: d.user, ID: fmt.Sprint("m", s.sent), Kind: event.Ordinary}
	binary.BigEndian.PutUint64(m.MessageID[:], s.sent)
	to := map[string]bool{d.user: true}
	for range 1 + s.rng.IntN(3) {
		if name := s.devices[s.rng.IntN(len(s.devices))].user; !to[name] {
			to[name] = true
			m.To = append(m.To, name)
		}
	}
	if len(m.To) == 0 {
		return
	}
	switch s.rng.IntN(20) {
	case 0:
		m.Kind = event.Signal
	case 1:
		m.TTL = 1000
	}
	conn := d.conn
	s.write(d.user, &event.Send{Conn: conn, ID: m.ID, MessageID: m.MessageID, To: m.To, Kind: m.Kind, TTL: m.TTL, BodySum: "s", Attempt: 1})
	took := time.Duration(float64(3*time.Millisecond) * (0.5 + s.rng.ExpFloat64()))
	broken := s.down >= 0 && s.rng.IntN(3) == 0
	switch n := s.rng.IntN(100); {
	case n == 0:
		s.after(took, func() { s.write(d.user, &event.Nack{Conn: conn, ID: m.ID, Code: "body_too_large"}) })
		return
	case broken && n < 30:
		s.after(took, func() { s.write(d.user, &event.Nack{Conn: conn, ID: m.ID, Code: "degraded"}) })
		return
	case broken && n < 60:
		s.after(2*time.Second, func() { s.write(d.user, &event.Unknown{Conn: conn, ID: m.ID, Why: "timeout"}) })
	default:
		if broken {
			took *= time.Duration(20 + s.rng.IntN(200))
		}
		s.after(took, func() { s.write(d.user, &event.Ack{Conn: conn, ID: m.ID, MessageID: m.MessageID}) })
	}
	for _, r := range s.devices {
		if to[r.user] && r.met && (m.Kind != event.Signal || r.conn != 0) {
			s.after(took+time.Duration(s.rng.IntN(2_000_000)), func() { s.deliver(r, m) })
		}
	}
}

// all returns the events as a list, in the order of their lines.
func all(events iter.Seq2[event.Record, error]) []event.Record {
	var list []event.Record
	for rec := range events {
		list = append(list, rec)
	}
	slices.SortFunc(list, func(a, b event.Record) int { return cmp.Compare(a.Line, b.Line) })
	return list
}
