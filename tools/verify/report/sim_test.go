package report

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// sim is a cluster, its clients and its nemesis, as far as a story tells of them: it makes
// histories of any length, with the same events for the same settings.
type sim struct {
	seed   uint64
	users  int
	each   int           // devices of a user
	rate   int           // sends a second
	length time.Duration // of warmup and faults together
	faults int
	suffix string // of all names and texts

	rng     *rand.Rand
	devices []*simDevice
	todo    map[time.Duration][]func()
	now     time.Duration
	sent    uint64
	opened  uint64
	begun   int // faults
	down    int // the node that is down; -1: none
	line    int64
	yield   func(event.Record, error) bool
	stopped bool
}

type simDevice struct {
	user, name string
	node       int
	conn       uint64 // 0: none
	queue      []event.Message
	met        bool
}

const tickLength = 2 * time.Millisecond

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
	s.write("run", &event.Run{Format: event.Format, Seed: s.seed, Command: "godwit verify --seed " + fmt.Sprint(s.seed) + s.suffix, Start: 1767225600000})
	for u := range s.users {
		for d := range s.each {
			s.devices = append(s.devices, &simDevice{user: fmt.Sprint("u", u, s.suffix), name: fmt.Sprint("d", d), node: u % 3})
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
	s.write("reader", &event.Page{Conn: s.opened, Reading: true})
	for i := range 5 {
		s.write("reader", &event.Log{Offset: int64(i), Message: event.Message{MessageID: event.MessageID{1}, Kind: event.Ordinary}})
	}
	s.write("reader", &event.LogEnd{Partitions: 1, Records: 5})
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
		s.write(d.user, &event.Refused{User: d.user, Device: d.name, URL: "ws://n" + s.suffix, Why: "connection refused"})
		s.after(time.Duration(300+s.rng.IntN(700))*time.Millisecond, func() { s.connect(d) })
		return
	}
	s.opened++
	d.conn = s.opened
	e := &event.Connect{Conn: d.conn, User: d.user, Device: d.name, Client: "sim", Encoding: "json", URL: "ws://n"}
	if d.met && s.rng.IntN(6) > 0 {
		e.Cursor = "c"
	} else {
		d.queue = nil
	}
	d.met = true
	s.write(d.user, e)
	if page := (&event.Page{Conn: d.conn}); s.rng.IntN(4) == 0 {
		s.write(d.user, &event.Gap{Conn: d.conn, FromSeq: 1, ToSeq: uint64(len(d.queue)), Reason: "outbox_full"})
		for _, m := range d.queue {
			page.Entries = append(page.Entries, event.Entry{Message: m})
		}
		s.write(d.user, page)
	} else {
		for _, m := range d.queue {
			s.deliver(d, m)
		}
	}
	d.queue = nil
	s.write(d.user, &event.Heartbeat{Conn: d.conn})
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
		s.write(d.user, &event.Moved{Conn: d.conn, URL: "ws://n"})
		s.write(d.user, &event.Close{Conn: d.conn, Code: 1006})
		d.conn = 0
		s.after(time.Duration(100+s.rng.IntN(900))*time.Millisecond, func() { s.connect(d) })
	}
}

func (s *sim) fault(end time.Duration) {
	s.begun++
	kinds := []string{"node-kill", "broker-pause", "move", "clients-cut"}
	f := event.Fault{N: s.begun, Kind: kinds[s.begun%4], Target: fmt.Sprint("node-", 1+s.begun%3, s.suffix)}
	step := func(phase event.FaultPhase, detail string) {
		f := f
		f.Phase, f.Detail = phase, detail+s.suffix
		s.write("nemesis", &f)
	}
	step(event.Begin, "for a while")
	if s.begun%7 == 6 {
		s.at(end, func() { step(event.End, "nothing was there") })
		return
	}
	s.after(150*time.Millisecond, func() {
		s.down = s.begun % 3
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
	s.attempt(d, m, 1)
}

// attempt has a device try to send a message.
func (s *sim) attempt(d *simDevice, m event.Message, n int) {
	conn := d.conn
	if conn == 0 {
		return
	}
	s.write(d.user, &event.Send{Conn: conn, ID: m.ID, MessageID: m.MessageID, To: m.To, Kind: m.Kind, TTL: m.TTL, BodySum: "s", Attempt: n})
	took := time.Duration(float64(3*time.Millisecond) * (0.5 + s.rng.ExpFloat64()))
	answer := func(e event.Event, again bool) {
		s.after(took, func() {
			s.write(d.user, e)
			if again && n == 1 {
				s.after(time.Second, func() { s.attempt(d, m, n+1) })
			}
		})
	}
	stored := &event.Ack{Conn: conn, ID: m.ID, MessageID: m.MessageID}
	broken := s.down >= 0 && s.rng.IntN(3) == 0
	switch chance := s.rng.IntN(100); {
	case n > 1:
		answer(stored, false) // again, or at last
		return
	case chance == 0:
		answer(&event.Nack{Conn: conn, ID: m.ID, Code: "body_too_large"}, false)
		return
	case broken && chance < 30:
		answer(&event.Nack{Conn: conn, ID: m.ID, Code: "degraded"}, false)
		return
	case broken && chance < 60:
		took = 2 * time.Second
		answer(&event.Unknown{Conn: conn, ID: m.ID, Why: "timeout"}, true)
	case broken:
		took *= time.Duration(20 + s.rng.IntN(200))
		fallthrough
	default:
		answer(stored, chance < 5)
	}
	for _, r := range s.devices {
		if concerns := r.user == m.From || slices.Contains(m.To, r.user); concerns && r.met && (m.Kind != event.Signal || r.conn != 0) {
			s.after(took+time.Duration(s.rng.IntN(2_000_000)), func() { s.deliver(r, m) })
		}
	}
}

// list returns the events as a list.
func (s sim) list() []event.Record {
	var list []event.Record
	for rec := range s.events() {
		list = append(list, rec)
	}
	return list
}

// listed is the reverse of list.
func listed(list []event.Record) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for _, rec := range list {
			if !yield(rec, nil) {
				return
			}
		}
	}
}
