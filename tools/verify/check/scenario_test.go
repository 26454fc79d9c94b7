package check_test

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

// script writes small histories by hand: alice sends to bob, each has one device, and all is
// in one partition.
type script struct {
	history history
	conns   uint64
	last    map[string]uint64 // each user's latest connection
	seq     map[uint64]uint64
	offset  int64
}

const second = 1000 // of log time

func newScript() *script {
	s := &script{last: make(map[string]uint64), seq: make(map[uint64]uint64)}
	s.connect("alice", "", 0)
	s.connect("bob", "", 0)
	return s
}

func (s *script) add(e event.Event) {
	s.history = append(s.history, &event.Record{T: time.Duration(len(s.history)) * time.Second, Event: e})
}

func (s *script) connect(user, cursor string, back int) {
	if conn := s.last[user]; conn != 0 {
		s.add(&event.Close{Conn: conn})
	}
	s.conns++
	s.last[user] = s.conns
	s.add(&event.Connect{Conn: s.conns, User: user, Device: "phone", Cursor: cursor, Back: back})
}

// message returns the n-th message; negative ones are signals.
func message(n int) event.Message {
	m := event.Message{
		MessageID: event.MessageID{byte(n), 1}, From: "alice", To: []string{"bob"}, ID: string(rune('a' + n + 20)), Kind: event.Ordinary, BodySum: "x",
	}
	if n < 0 {
		m.Kind = event.Signal
	}
	return m
}

func (s *script) send(n, attempt int) {
	m := message(n)
	s.add(&event.Send{Conn: s.last["alice"], ID: m.ID, MessageID: m.MessageID, To: m.To, Kind: m.Kind, BodySum: m.BodySum, Attempt: attempt})
}

func (s *script) ack(n int) {
	s.add(&event.Ack{Conn: s.last["alice"], ID: message(n).ID, MessageID: message(n).MessageID})
}

func (s *script) unknown(n int) {
	s.add(&event.Unknown{Conn: s.last["alice"], ID: message(n).ID, Why: "timeout"})
}

func (s *script) sent(n int) {
	s.send(n, 1)
	s.ack(n)
}

func (s *script) deliver(user string, all ...int) {
	for _, n := range all {
		conn := s.last[user]
		s.seq[conn]++
		s.add(&event.Deliver{Conn: conn, Seq: s.seq[conn], Self: user == "alice", Message: message(n)})
	}
}

func (s *script) log(n int, time int64) {
	s.add(&event.Log{Offset: s.offset, Time: time, Users: []string{"alice", "bob"}, Message: message(n)})
	s.offset++
}

func (s *script) page(user string, reading, more bool, all ...int) {
	p := &event.Page{Conn: s.last[user], Reading: reading, More: more}
	for _, n := range all {
		p.Entries = append(p.Entries, event.Entry{Self: user == "alice", Message: message(n)})
	}
	s.add(p)
}

func (s *script) end() {
	s.add(&event.LogEnd{Partitions: 1, Records: s.offset})
}

// TestScenarios has the cases that chance seldom makes.
func TestScenarios(t *testing.T) {
	for _, c := range []struct {
		what     string
		play     func(s *script)
		violated []string // all checks that must see something
	}{
		{"a retry after the window is a second message", func(s *script) {
			s.send(1, 1)
			s.unknown(1)
			s.send(1, 2)
			s.ack(1)
			s.deliver("bob", 1, 1)
			s.deliver("alice", 1, 1)
			s.log(1, 0)
			s.log(1, 60*second+1)
			s.end()
		}, nil},
		{"which a client may leave out that has the first", func(s *script) {
			s.sent(3)
			s.send(1, 1)
			s.unknown(1)
			s.send(1, 2)
			s.ack(1)
			s.sent(2)
			s.deliver("bob", 3, 1, 2)
			s.deliver("alice", 3, 1, 2)
			s.add(&event.Phase{Name: event.Read})
			s.log(3, 0)
			s.log(1, 0)
			s.log(1, 60*second+1)
			s.log(2, 60*second+1)
			s.end()
		}, nil},
		{"but not both", func(s *script) {
			s.sent(3)
			s.sent(1)
			s.sent(2)
			s.deliver("bob", 3, 2)
			s.deliver("alice", 3, 1, 1, 2)
			s.add(&event.Phase{Name: event.Read})
			s.log(3, 0)
			s.log(1, 0)
			s.log(1, 60*second+1)
			s.log(2, 60*second+1)
			s.end()
		}, []string{"stored_on_devices"}},
		{"it is not a third one", func(s *script) {
			s.sent(1)
			s.deliver("bob", 1, 1, 1)
			s.log(1, 0)
			s.log(1, 61*second)
			s.end()
		}, []string{"no_duplicates"}},
		{"a retry within the window is a duplicate", func(s *script) {
			s.sent(1)
			s.deliver("bob", 1, 1)
			s.log(1, 0)
			s.log(1, 60*second)
			s.end()
		}, []string{"no_duplicates", "order"}},
		{"the window begins anew with each retry", func(s *script) {
			s.sent(1)
			s.deliver("bob", 1, 1)
			s.log(1, 0)
			s.log(1, 50*second)
			s.log(1, 100*second)
			s.log(2, 500*second)
			s.send(2, 1)
			s.end()
		}, []string{"no_duplicates", "order", "nothing_invented"}},
		{"a device that goes back is given the same again", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.sent(3)
			s.deliver("bob", 1, 2)
			s.connect("bob", "c", 2)
			s.deliver("bob", 1, 2, 3)
			s.log(1, 0)
			s.log(2, 0)
			s.log(3, 0)
			s.end()
		}, nil},
		{"what it goes back over and does not get again is lost", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.sent(3)
			s.deliver("bob", 1, 2)
			s.connect("bob", "c", 1)
			s.deliver("bob", 3)
			s.deliver("alice", 1, 2, 3)
			s.add(&event.Phase{Name: event.Read})
			s.log(1, 0)
			s.log(2, 0)
			s.log(3, 0)
			s.end()
		}, []string{"stored_on_devices", "order"}},
		{"no signal comes again", func(s *script) {
			s.sent(-1)
			s.deliver("bob", -1)
			s.connect("bob", "c", 1)
			s.deliver("bob", -1)
			s.log(-1, 0)
			s.end()
		}, []string{"signals_at_most_once"}},
		{"a view that begins anew may begin anywhere", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.sent(3)
			s.deliver("bob", 1)
			s.connect("bob", "", 0)
			s.sent(4)
			s.deliver("bob", 3, 4)
			s.deliver("alice", 1, 2, 3, 4)
			s.add(&event.Phase{Name: event.Read})
			for n := range 4 {
				s.log(n+1, 0)
			}
			s.end()
		}, nil},
		{"what is gone for good is lost, and told", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.sent(3)
			s.deliver("bob", 1)
			s.add(&event.Gone{Conn: s.last["bob"], Seq: 2})
			s.seq[s.last["bob"]]++
			s.deliver("bob", 3)
			s.deliver("alice", 1, 2, 3)
			s.add(&event.Phase{Name: event.Read})
			s.log(1, 0)
			s.log(2, 0)
			s.log(3, 0)
			s.end()
		}, []string{"stored_on_devices"}},
		{"the reading of history brings nothing to a device", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.add(&event.Gone{Conn: s.last["bob"], Seq: 1})
			s.seq[s.last["bob"]]++
			s.deliver("bob", 1)
			s.deliver("alice", 1, 2)
			s.add(&event.Phase{Name: event.Read})
			s.page("bob", true, false, 1, 2)
			s.log(1, 0)
			s.log(2, 0)
			s.end()
		}, []string{"stored_on_devices"}},
		{"a page brings nothing to a device that knows of no gap", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.deliver("bob", 1)
			s.page("bob", false, false, 1, 2)
			s.deliver("alice", 1, 2)
			s.add(&event.Phase{Name: event.Read})
			s.log(1, 0)
			s.log(2, 0)
			s.end()
		}, []string{"stored_on_devices"}},
		{"a device that is away at the end may lack the end", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.deliver("bob", 1)
			s.deliver("alice", 1, 2)
			s.add(&event.Close{Conn: s.last["bob"]})
			s.add(&event.Phase{Name: event.Read})
			s.log(1, 0)
			s.log(2, 0)
			s.end()
		}, nil},
		{"what comes after the reading has begun is in time", func(s *script) {
			s.sent(1)
			s.deliver("alice", 1)
			s.add(&event.Phase{Name: event.Read})
			s.deliver("bob", 1)
			s.log(1, 0)
			s.end()
		}, nil},
		{"nobody knows what became of a send without an answer", func(s *script) {
			s.send(1, 1)
			s.deliver("bob", 1)
			s.log(1, 0)
			s.end()
		}, nil},
		{"a rejected retry does not undo an unknown attempt", func(s *script) {
			s.send(1, 1)
			s.unknown(1)
			s.send(1, 2)
			s.add(&event.Nack{Conn: s.last["alice"], ID: message(1).ID, Code: "overloaded"})
			s.deliver("bob", 1)
			s.log(1, 0)
			s.end()
		}, nil},
		{"a user lives in one partition", func(s *script) {
			s.sent(1)
			s.sent(2)
			s.log(1, 0)
			s.add(&event.Log{Partition: 1, Users: []string{"bob"}, Message: message(2)})
			s.log(2, 0)
			s.offset++
			s.end()
		}, []string{"stored_in_log"}},
		{"acknowledged, delivered, and lost by the log", func(s *script) {
			s.sent(1)
			s.deliver("bob", 1)
			s.end()
		}, []string{"stored_in_log", "order"}},
		{"stored after the log was read", func(s *script) {
			s.send(1, 1)
			s.unknown(1)
			s.end()
			s.deliver("bob", 1)
		}, nil},
		{"a page has its first entry where it likes, and no hole", func(s *script) {
			for n := range 4 {
				s.sent(n + 1)
			}
			s.page("bob", false, true, 2, 3)
			s.page("bob", false, false, 3, 4)
			s.page("alice", false, false, 1, 3)
			for n := range 4 {
				s.log(n+1, 0)
			}
			s.end()
		}, []string{"order"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newScript()
			c.play(s)
			var violated []string
			for _, f := range judge(t, s.history).Findings {
				if f.Verdict == check.Violated {
					violated = append(violated, f.Check)
				}
			}
			slices.Sort(violated)
			slices.Sort(c.violated)
			if !slices.Equal(violated, c.violated) {
				t.Errorf("violated are %v, want %v", violated, c.violated)
			}
		})
	}
}

// A run that does not show enough has not passed, and says what is missing.
func TestWhatIsNotTestedIsUnknown(t *testing.T) {
	without := func(h history, gone func(event.Event) bool) history {
		return slices.DeleteFunc(h, func(rec *event.Record) bool { return gone(rec.Event) })
	}
	for name, c := range map[string]struct {
		history history
		options func(*check.Options)
		checks  []string
	}{
		"no counters": {
			without(run(1), func(e event.Event) bool { _, is := e.(*event.Counter); return is }), nil, []string{"conservation"},
		},
		"not all counters": {
			without(run(1), func(e event.Event) bool {
				c, is := e.(*event.Counter)
				return is && c.Name == "godwit_targets_total"
			}), nil, []string{"conservation"},
		},
		"no log": {
			without(run(1), func(e event.Event) bool {
				_, record := e.(*event.Log)
				_, end := e.(*event.LogEnd)
				return record || end
			}), nil, []string{"stored_in_log", "order"},
		},
		"no history of some": {
			without(run(1), func(e event.Event) bool {
				p, is := e.(*event.Page)
				return is && p.Reading && !p.More
			}), nil, []string{"stored_in_history"},
		},
		"no healing": {
			without(run(1), func(e event.Event) bool {
				p, is := e.(*event.Phase)
				return is && p.Name == event.Heal
			}), nil, []string{"converges"},
		},
		"few acks":   {run(1), func(o *check.Options) { o.MinAcks = 10_000 }, []string{"enough"}},
		"few faults": {run(1), func(o *check.Options) { o.MinFaults++ }, []string{"enough"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			if c.options != nil {
				c.options(&o)
			}
			r, err := check.Run(c.history.all(), o)
			if err != nil {
				t.Fatal(err)
			}
			var untested []string
			for _, f := range r.Findings {
				if f.Verdict == check.NotTested {
					untested = append(untested, f.Check)
					if f.Note == "" {
						t.Errorf("%s does not say why", f.Check)
					}
				}
			}
			slices.Sort(untested)
			slices.Sort(c.checks)
			if r.Outcome != check.Unknown || !slices.Equal(untested, c.checks) {
				t.Errorf("the run %s, and not tested are %v, want %v", r.Outcome, untested, c.checks)
			}
			o.Without = c.checks
			if r, err = check.Run(c.history.all(), o); err != nil || r.Outcome != check.Passed {
				t.Errorf("without %v the run %s, %v", c.checks, r.Outcome, err)
			}
		})
	}
}

func TestEmptyHistoryIsUnknown(t *testing.T) {
	r, err := check.Run(history(nil).all(), check.DefaultOptions())
	if err != nil || r.Outcome != check.Unknown {
		t.Errorf("%+v, %v", r, err)
	}
}
