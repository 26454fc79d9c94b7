package report

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

func collect(t *testing.T, events []event.Record) *Story {
	t.Helper()
	s, err := Collect(listed(events))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// naive counts a history with all of it at hand.
func naive(events []event.Record) (Totals, time.Duration) {
	type party struct{ user, device string }
	var (
		totals  Totals
		end     time.Duration
		users   = map[string]bool{}
		conns   = map[uint64]party{}
		began   = map[party]int{} // the index of the event with which its view began
		sends   = map[event.MessageID]*event.Send{}
		sent    = map[event.MessageID]int{}
		senders = map[event.MessageID]string{}
		stored  = map[event.MessageID]bool{}
		seen    = map[party]map[event.MessageID]bool{}
	)
	for i, rec := range events {
		totals.Events++
		end = max(end, rec.T)
		switch e := rec.Event.(type) {
		case *event.Connect:
			totals.Connections++
			users[e.User] = true
			p := party{e.User, e.Device}
			conns[e.Conn] = p
			if e.Cursor == "" {
				began[p] = i
				seen[p] = map[event.MessageID]bool{}
			}
		case *event.Refused:
			totals.Refused++
		case *event.Moved:
			totals.Moved++
		case *event.Violation:
			totals.Violations++
		case *event.Send:
			totals.Attempts.Sends++
			if sends[e.MessageID] == nil {
				sends[e.MessageID], sent[e.MessageID], senders[e.MessageID] = e, i, conns[e.Conn].user
			}
		case *event.Ack:
			totals.Attempts.Stored++
			stored[e.MessageID] = true
		case *event.Nack:
			if e.Code == "body_too_large" {
				totals.Attempts.Invalid++
			} else {
				totals.Attempts.Rejected++
			}
		case *event.Unknown:
			totals.Attempts.Unknown++
		case *event.Deliver:
			totals.Deliveries++
			seen[conns[e.Conn]][e.MessageID] = true
		case *event.Gap:
			totals.Gaps++
		case *event.Gone:
			totals.Gone++
		case *event.Page:
			totals.Pages++
			for _, entry := range e.Entries {
				seen[conns[e.Conn]][entry.MessageID] = true
			}
		case *event.Log:
			totals.Records++
		}
	}
	totals.Users, totals.Devices = int64(len(users)), int64(len(began))
	for id := range stored {
		if e := sends[id]; e.Kind == event.Ordinary && e.TTL == 0 {
			for p, begin := range began {
				if (p.user == senders[id] || slices.Contains(e.To, p.user)) && begin < sent[id] && !seen[p][id] {
					totals.Unseen++
				}
			}
		}
	}
	return totals, end
}

func TestTotalsAreWhatACountGives(t *testing.T) {
	var unseen int64
	for seed := range uint64(12) {
		s := sim{seed: seed, users: 3 + int(seed), each: 1 + int(seed%3), rate: 100, length: 20 * time.Second, faults: 3}
		events := s.list()
		// A history may end anywhere, such as in the middle of a fault.
		cut := rand.New(rand.NewPCG(seed, 1)).IntN(len(events))
		for _, n := range []int{cut, len(events)} {
			story := collect(t, events[:n])
			want, end := naive(events[:n])
			got := story.Totals
			got.Ack, got.Deliver = Latency{}, Latency{}
			if got != want || story.End != end {
				t.Errorf("seed %d, %d of %d events: %+v until %v, want %+v until %v", seed, n, len(events), got, story.End, want, end)
			}
			parts(t, story)
			unseen += got.Unseen
		}
	}
	if unseen == 0 {
		t.Error("no history ended with deliveries outstanding")
	}
}

// parts checks that the steps and phases of a story make up the whole.
func parts(t *testing.T, s *Story) {
	t.Helper()
	var sum Totals
	var answers Answers
	for i, step := range s.Steps {
		if step.Begin != time.Duration(i)*s.Length {
			t.Fatalf("step %d of %v begins at %v", i, s.Length, step.Begin)
		}
		answers.add(step.Answers)
		sum.Attempts.Sends += step.Attempts.Sends
		sum.Attempts.add(step.Attempts.Answers)
		sum.Refused += step.Refused
		sum.Ack.Count += step.Ack.Count
		sum.Deliver.Count += step.Deliver.Count
		if step.Connected < 0 || step.Connected > s.Totals.Devices || step.Unseen < 0 {
			t.Errorf("in step %d %d of %d devices are connected, and %d deliveries outstanding", i, step.Connected, s.Totals.Devices, step.Unseen)
		}
	}
	if last := s.Steps[len(s.Steps)-1]; last.Begin > s.End || last.Begin+s.Length <= s.End || len(s.Steps) > maxSteps {
		t.Errorf("%d steps of %v for %v", len(s.Steps), s.Length, s.End)
	}
	if sum.Attempts != s.Totals.Attempts || answers != s.Totals.Attempts.Answers || sum.Refused != s.Totals.Refused ||
		sum.Ack.Count != s.Totals.Ack.Count || sum.Ack.Count != s.Totals.Attempts.Stored || sum.Deliver.Count != s.Totals.Deliver.Count {
		t.Errorf("the steps have %+v, the story %+v", sum, s.Totals)
	}
	var phases Attempts
	for i, p := range s.Phases {
		phases.Sends += p.Attempts.Sends
		phases.add(p.Attempts.Answers)
		if i > 0 && s.Phases[i-1].End != p.Begin || p.End < p.Begin || p.Ack.Count != p.Attempts.Stored {
			t.Errorf("phase %d is %+v", i, p)
		}
	}
	if phases != s.Totals.Attempts {
		t.Errorf("the phases have %+v, the story %+v", phases, s.Totals.Attempts)
	}
}

// A long run has no more steps than another, and nothing else grows with it.
func TestMemoryIsBounded(t *testing.T) {
	s := sim{seed: 1, users: 12, each: 2, rate: 12, length: 35 * time.Minute, faults: 120}
	c := newCollector()
	messages, conns, queued, histograms := 0, 0, 0, 0
	for rec := range s.events() {
		c.add(rec)
		messages, conns = max(messages, len(c.flight.messages)), max(conns, len(c.conns))
		queued = max(queued, cap(c.flight.queue.list)+cap(c.closed.list))
	}
	story := c.finish()
	for i := range c.steps.list {
		for _, h := range []latencies{c.steps.list[i].ack, c.steps.list[i].deliver} {
			if h.h != nil {
				histograms = max(histograms, h.h.ByteSize())
			}
		}
	}
	parts(t, story)
	if n := len(story.Steps); n > maxSteps || n < maxSteps/2-1 {
		t.Errorf("%d steps for %v", n, story.End)
	}
	// 12 a second for 90 s, and 24 devices of which a third is cut off each 17 s.
	sent, opened := story.Totals.Attempts.Sends, story.Totals.Connections
	if messages > 1500 || conns > 400 || queued > 8000 || histograms > 8<<10 {
		t.Errorf("of %d messages %d were held, of %d connections %d, %d queued, %d bytes a histogram", sent, messages, opened, conns, queued, histograms)
	}
	if sent < 10*int64(messages) || opened < 3*int64(conns) {
		t.Errorf("%d sends and %d connections are too few to tell", sent, opened)
	}
	t.Logf("%d events, %d sends, at most %d held; %d connections, %d held; %d queued; %d bytes a histogram",
		story.Totals.Events, sent, messages, opened, conns, queued, histograms)
}

// script makes a history by hand: one event each 100 ms, from 100 ms on.
func script(events ...event.Event) []event.Record {
	var list []event.Record
	for i, e := range events {
		list = append(list, event.Record{Line: int64(i + 1), T: time.Duration(i+1) * 100 * time.Millisecond, Event: e})
	}
	return list
}

func connect(conn uint64, user, device, cursor string) event.Event {
	return &event.Connect{Conn: conn, User: user, Device: device, Cursor: cursor}
}

func send(conn uint64, n byte, to ...string) *event.Send {
	return &event.Send{Conn: conn, ID: fmt.Sprint("m", n), MessageID: event.MessageID{n}, To: to, Kind: event.Ordinary, Attempt: 1}
}

func ack(conn uint64, n byte) event.Event {
	return &event.Ack{Conn: conn, ID: fmt.Sprint("m", n), MessageID: event.MessageID{n}}
}

func deliver(conn uint64, n byte) event.Event {
	return &event.Deliver{Conn: conn, Message: event.Message{MessageID: event.MessageID{n}}}
}

func TestLatencies(t *testing.T) {
	s := collect(t, script(
		connect(1, "alice", "phone", ""), connect(2, "bob", "phone", ""), connect(3, "bob", "desk", ""), &event.Close{Conn: 3},
		send(1, 1, "bob"), deliver(2, 1), ack(1, 1), deliver(1, 1), // at 500 ms; after 100, 200 and 300 ms
		deliver(2, 1),                                 // again: it is no news
		connect(4, "bob", "desk", "c"), deliver(4, 1), // it was not there
		send(1, 2, "bob"), &event.Unknown{Conn: 1, ID: "m2"}, retry(1, 2, "bob"), deliver(2, 2), ack(1, 2), // 100 ms, and 200 since the retry
	))
	near := func(d time.Duration, ms int64) bool { return (d - time.Duration(ms)*time.Millisecond).Abs() < d/50 }
	if l := s.Totals.Ack; l.Count != 2 || !near(l.P50, 200) || !near(l.Max, 200) {
		t.Errorf("acks took %+v", l)
	}
	if l := s.Totals.Deliver; l.Count != 3 || !near(l.P50, 300) || !near(l.Max, 300) {
		t.Errorf("deliveries took %+v", l)
	}
	// They belong to the times of the sends, 0.5 and 1.2 s.
	if s.Steps[0].Ack.Count != 1 || s.Steps[0].Deliver.Count != 2 || s.Steps[1].Ack.Count != 1 || s.Steps[1].Deliver.Count != 1 {
		t.Errorf("the steps are %+v", s.Steps)
	}
}

func retry(conn uint64, n byte, to ...string) event.Event {
	e := send(conn, n, to...)
	e.Attempt = 2
	return e
}

func TestUnseen(t *testing.T) {
	begin := []event.Event{connect(1, "alice", "phone", ""), connect(2, "bob", "phone", ""), connect(3, "bob", "desk", "")}
	signal, mortal := send(1, 1, "bob"), send(1, 1, "bob")
	signal.Kind, mortal.TTL = event.Signal, 1
	page := func(reading bool) event.Event {
		return &event.Page{Conn: 3, Reading: reading, Entries: []event.Entry{{Message: event.Message{MessageID: event.MessageID{1}}}}}
	}
	for _, test := range []struct {
		name   string
		events []event.Event
		want   int64
	}{
		{"all devices wait", []event.Event{send(1, 1, "bob"), ack(1, 1)}, 3},
		{"nothing is sure before the ack", []event.Event{send(1, 1, "bob")}, 0},
		{"one has got it before the ack", []event.Event{send(1, 1, "bob"), deliver(2, 1), ack(1, 1)}, 2},
		{"one has got it after the ack", []event.Event{send(1, 1, "bob"), ack(1, 1), deliver(2, 1), deliver(2, 1)}, 2},
		{"one has fetched it", []event.Event{send(1, 1, "bob"), ack(1, 1), page(false)}, 2},
		{"the reading at the end is not fetched by the device", []event.Event{send(1, 1, "bob"), ack(1, 1), page(true)}, 3},
		{"one begins anew", []event.Event{send(1, 1, "bob"), ack(1, 1), &event.Close{Conn: 3}, connect(4, "bob", "desk", "")}, 2},
		{"one begins anew before the ack", []event.Event{send(1, 1, "bob"), connect(4, "bob", "desk", ""), ack(1, 1), deliver(4, 1)}, 2},
		{"one goes on", []event.Event{send(1, 1, "bob"), ack(1, 1), &event.Close{Conn: 3}, connect(4, "bob", "desk", "c")}, 3},
		{"one comes late", []event.Event{send(1, 1, "carol"), connect(4, "carol", "phone", ""), ack(1, 1)}, 1},
		{"a recipient twice", []event.Event{send(1, 1, "bob", "bob", "alice"), ack(1, 1)}, 3},
		{"a signal", []event.Event{signal, ack(1, 1)}, 0},
		{"with a ttl", []event.Event{mortal, ack(1, 1)}, 0},
		{"stored twice", []event.Event{send(1, 1, "bob"), ack(1, 1), retry(1, 1, "bob"), ack(1, 1), deliver(1, 1), deliver(2, 1), deliver(3, 1), retry(1, 1, "bob"), ack(1, 1)}, 0},
		{"rejected", []event.Event{send(1, 1, "bob"), &event.Nack{Conn: 1, ID: "m1", Code: "degraded"}}, 0},
	} {
		s := collect(t, script(slices.Concat(begin, test.events)...))
		if s.Totals.Unseen != test.want {
			t.Errorf("%s: %d are unseen, want %d", test.name, s.Totals.Unseen, test.want)
		}
	}
}

func TestConnectedDevicesAreTheLeastOfEachStep(t *testing.T) {
	events := script(connect(1, "alice", "phone", ""), connect(2, "alice", "phone", "c"), &event.Close{Conn: 1}, connect(3, "bob", "phone", ""),
		&event.Close{Conn: 3}, &event.Close{Conn: 3})
	for i := range events {
		events[i].T += time.Duration(i) * time.Second
	}
	var got []int64
	for _, step := range collect(t, events).Steps {
		got = append(got, step.Connected)
	}
	// A device with two connections is one; a second end of a connection is none.
	if want := []int64{0, 1, 1, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("%v were connected, want %v", got, want)
	}
}

func TestFaultsHaveTheirSteps(t *testing.T) {
	f := func(n int, phase event.FaultPhase, detail string) event.Event {
		return &event.Fault{N: n, Kind: "node-kill", Target: "node-1", Phase: phase, Detail: detail}
	}
	s := collect(t, script(f(1, event.Begin, "for 1s"), f(2, event.Begin, ""), f(1, event.Hit, "signal 9"), f(1, event.Hit, "again"), f(1, event.End, "serves")))
	ms := time.Millisecond
	want := []Fault{
		{N: 1, Kind: "node-kill", Target: "node-1", Begin: 100 * ms, Hit: 300 * ms, End: 500 * ms, Hits: 2, Order: "for 1s", Evidence: "signal 9", Undone: "serves"},
		{N: 2, Kind: "node-kill", Target: "node-1", Begin: 200 * ms, Hit: Never, End: Never},
	}
	if !reflect.DeepEqual(s.Faults, want) {
		t.Errorf("the faults are %+v, want %+v", s.Faults, want)
	}
}

// Whatever a history says, there is a story: the checks refuse what cannot be.
func TestNonsenseIsCounted(t *testing.T) {
	events := script(
		&event.Close{Conn: 9}, send(9, 1, "bob"), ack(9, 1), deliver(9, 1), &event.Page{Conn: 9}, &event.Unknown{Conn: 9, ID: "m1"},
		connect(1, "alice", "phone", "c"), ack(1, 1), &event.Nack{Conn: 1, ID: "m1"}, &event.Fault{N: 1, Phase: event.End},
	)
	events[3].T = -time.Hour
	events[7].T = 10000 * time.Hour
	s := collect(t, events)
	if s.Totals.Events != 10 || s.Totals.Attempts != (Attempts{1, Answers{Stored: 2, Rejected: 1, Unknown: 1}}) || len(s.Steps) > maxSteps || s.End != 10000*time.Hour {
		t.Errorf("%d steps until %v of %+v", len(s.Steps), s.End, s.Totals)
	}
	if s = collect(t, nil); len(s.Steps) != 1 || s.Totals != (Totals{}) {
		t.Errorf("nothing became %+v", s)
	}
}

func TestCollectReturnsTheErrorOfTheHistory(t *testing.T) {
	s, err := Collect(event.Records(strings.NewReader("{\"type\":\"close\",\"t\":1,\"by\":\"x\",\"conn\":1}\n{")))
	if e := new(event.Error); s != nil || !errors.As(err, &e) || e.Line != 2 {
		t.Errorf("it is %v", err)
	}
}

// Codes for invalid sends are among those that the protocol says are not to be retried.
func TestInvalidCodesAreOfTheProtocol(t *testing.T) {
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for code := range invalidCodes {
		if !bytes.Contains(text, fmt.Appendf(nil, "\n| `%s` | no | ", code)) {
			t.Errorf("docs/protocol.md does not have %s as a code that is not to be retried", code)
		}
	}
}

func TestAvailability(t *testing.T) {
	for _, test := range []struct {
		a     Attempts
		share float64
		ok    bool
	}{
		{Attempts{}, 0, false},
		{Attempts{Sends: 2, Answers: Answers{Invalid: 2}}, 0, false},
		{Attempts{Sends: 6, Answers: Answers{Stored: 3, Rejected: 1, Invalid: 2}}, 0.75, true},
	} {
		if share, ok := test.a.Availability(); share != test.share || ok != test.ok {
			t.Errorf("of %+v %v is available, %t", test.a, share, ok)
		}
	}
}
