package check_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

// mutation breaks a promise in a history that kept all of them. It reports whether it could.
type mutation struct {
	check string // the check that must see it
	what  string
	do    func(h *editor) bool
}

var mutations = []mutation{
	{"enough", "a fault does not hit", func(h *editor) bool {
		return h.remove(func(e *event.Fault) bool { return e.Phase == event.Hit })
	}},
	{"enough", "the run stops before its end", func(h *editor) bool {
		return h.remove(func(e *event.Phase) bool { return e.Name == event.Read })
	}},
	{"stored_in_log", "a record is lost", func(h *editor) bool {
		return h.remove(func(e *event.Log) bool { return h.acked[e.MessageID] && h.only(e) }) && h.recount()
	}},
	{"stored_in_log", "a record does not name one of its users", func(h *editor) bool {
		e, _ := pick(h, func(e *event.Log) bool { return h.acked[e.MessageID] && h.only(e) })
		if e == nil {
			return false
		}
		e.Users = e.Users[1:]
		return true
	}},
	{"stored_in_log", "the server acknowledges what it has not stored", func(h *editor) bool {
		_, at := pick(h, func(e *event.Nack) bool { return h.records[h.sendOf(e.Conn, e.ID).MessageID] == 0 })
		if at < 0 {
			return false
		}
		e := h.history[at].Event.(*event.Nack)
		h.history[at].Event = &event.Ack{Conn: e.Conn, ID: e.ID, MessageID: h.sendOf(e.Conn, e.ID).MessageID}
		return true
	}},
	{"stored_in_history", "history has left a message out", func(h *editor) bool {
		e, i := h.entry(func(p *event.Page, e *event.Entry) bool { return p.Reading && h.plain(&e.Message) })
		if e == nil {
			return false
		}
		e.Entries = slices.Delete(e.Entries, i, i+1)
		return true
	}},
	{"stored_on_devices", "a delivery is lost, and its number given to the next", func(h *editor) bool {
		return h.remove(h.needed) && h.renumber()
	}},
	{"stored_on_devices", "a device is given nothing any more", func(h *editor) bool {
		e, at := pick(h, h.needed)
		if e == nil {
			return false
		}
		device := h.device[e.Conn]
		rest := slices.DeleteFunc(h.history[at:], func(rec *event.Record) bool {
			switch e := rec.Event.(type) {
			case *event.Deliver:
				return h.device[e.Conn] == device
			case *event.Gap:
				return h.device[e.Conn] == device
			case *event.Page:
				return h.device[e.Conn] == device && !e.Reading
			}
			return false
		})
		h.history = h.history[:at+len(rest)]
		return h.renumber()
	}},
	{"stored_on_devices", "a gap is told, and its messages are not in history", func(h *editor) bool {
		e, i := h.entry(func(p *event.Page, e *event.Entry) bool {
			return !p.Reading && p.Query.Peer == "" && h.plain(&e.Message) && !h.delivered[onDevice{h.device[p.Conn], e.MessageID}] &&
				h.paged[onDevice{h.device[p.Conn], e.MessageID}] == 1 && h.ended(p.Conn) && h.whole(p.Conn, e.MessageID)
		})
		if e == nil {
			return false
		}
		e.Entries = slices.Delete(e.Entries, i, i+1)
		return true
	}},
	{"no_duplicates", "a delivery comes twice", func(h *editor) bool {
		return h.twice(func(e *event.Deliver) bool { return h.acked[e.MessageID] && e.Kind == event.Ordinary })
	}},
	{"no_duplicates", "a message is twice on a page", func(h *editor) bool {
		e, i := h.entry(func(p *event.Page, e *event.Entry) bool { return h.acked[e.MessageID] })
		if e == nil {
			return false
		}
		e.Entries = slices.Insert(e.Entries, i, e.Entries[i])
		return true
	}},
	{"no_duplicates", "a message is on two pages of a reading", func(h *editor) bool {
		e, i := h.entry(func(p *event.Page, e *event.Entry) bool { return p.Reading && h.acked[e.MessageID] })
		if e == nil {
			return false
		}
		other, _ := pick(h, func(o *event.Page) bool { return o.Reading && o != e && o.Conn == e.Conn })
		if other == nil {
			return false
		}
		other.Entries = append(other.Entries, e.Entries[i])
		return true
	}},
	{"unknown_at_most_once", "a message of unknown outcome comes twice", func(h *editor) bool {
		return h.twice(func(e *event.Deliver) bool { return !h.acked[e.MessageID] && e.Kind == event.Ordinary })
	}},
	{"signals_at_most_once", "a signal comes twice", func(h *editor) bool {
		return h.twice(func(e *event.Deliver) bool { return e.Kind == event.Signal })
	}},
	{"signals_at_most_once", "a signal is in history", func(h *editor) bool {
		page, _ := pick(h, func(e *event.Page) bool { return len(e.Entries) > 0 })
		signal, _ := pick(h, func(e *event.Deliver) bool { return e.Kind == event.Signal })
		if page == nil || signal == nil {
			return false
		}
		page.Entries = append(page.Entries, event.Entry{Self: signal.Self, Message: signal.Message})
		return true
	}},
	{"rejected_nowhere", "a rejected message is delivered", func(h *editor) bool {
		s, at := pick(h, func(e *event.Send) bool { return h.rejected(e.MessageID) })
		if s == nil {
			return false
		}
		e := &event.Deliver{Conn: s.Conn, Self: true, Message: event.Message{
			MessageID: s.MessageID, From: h.user[s.Conn], To: s.To, ID: s.ID, Kind: s.Kind, TTL: s.TTL, BodySum: s.BodySum,
		}}
		h.insert(at+1, e)
		return h.renumber()
	}},
	{"rejected_nowhere", "a stored message is rejected", func(h *editor) bool {
		e, at := pick(h, func(e *event.Ack) bool { return h.answers[e.MessageID] == 1 })
		if e == nil {
			return false
		}
		h.history[at].Event = &event.Nack{Conn: e.Conn, ID: e.ID, Code: "overloaded"}
		return true
	}},
	{"nothing_invented", "a retry is stored under a fresh id", func(h *editor) bool {
		e, _ := pick(h, func(*event.Log) bool { return true })
		e.MessageID[15] ^= 1
		return true
	}},
	{"nothing_invented", "an ack names another message", func(h *editor) bool {
		e, _ := pick(h, func(*event.Ack) bool { return true })
		e.MessageID[15] ^= 1
		return true
	}},
	{"nothing_invented", "nobody has sent what is delivered", func(h *editor) bool {
		e, _ := pick(h, func(*event.Deliver) bool { return true })
		e.MessageID[15] ^= 1
		return true
	}},
	{"nothing_invented", "a body is changed on its way", func(h *editor) bool {
		e, _ := pick(h, func(*event.Deliver) bool { return true })
		e.BodySum = event.SumOf([]byte("something else"))
		return true
	}},
	{"nothing_invented", "a body does not come", func(h *editor) bool {
		e, _ := pick(h, func(e *event.Deliver) bool { return !e.Self })
		e.BodySum = ""
		return true
	}},
	{"nothing_invented", "a body does not come to the sender's other device", func(h *editor) bool {
		e, _ := pick(h, func(e *event.Deliver) bool {
			return e.Self && e.BodySum != "" && e.BodySum != event.SumOf(nil) && h.device[e.Conn] != h.device[h.history[h.sent[e.MessageID]].Event.(*event.Send).Conn]
		})
		if e == nil {
			return false
		}
		e.BodySum = ""
		return true
	}},
	{"nothing_invented", "history has no body", func(h *editor) bool {
		e, i := h.entry(func(_ *event.Page, e *event.Entry) bool { return !e.Self || e.BodySum != event.SumOf(nil) })
		if e == nil {
			return false
		}
		e.Entries[i].BodySum = ""
		return true
	}},
	{"nothing_invented", "a recipient is added", func(h *editor) bool {
		e, _ := pick(h, func(*event.Deliver) bool { return true })
		e.To = append(slices.Clone(e.To), "mallory")
		return true
	}},
	{"nothing_invented", "a message loses its ttl", func(h *editor) bool {
		e, _ := pick(h, func(e *event.Log) bool { return e.TTL > 0 })
		if e == nil {
			return false
		}
		e.TTL = 0
		return true
	}},
	{"nobody_elses", "a delivery goes to the wrong connection", func(h *editor) bool {
		e, at := pick(h, func(*event.Deliver) bool { return true })
		wrong, _ := pick(h, func(c *event.Connect) bool { return c.User != e.From && !slices.Contains(e.To, c.User) })
		if wrong == nil {
			return false
		}
		if at = max(at, h.connected[wrong.Conn]); at != h.connected[wrong.Conn] {
			at-- // the delivery itself is taken out
		}
		copied := *e
		copied.Conn, copied.Self = wrong.Conn, false
		h.insert(at+1, &copied)
		return h.renumber()
	}},
	{"nobody_elses", "a delivery is called another's", func(h *editor) bool {
		e, _ := pick(h, func(*event.Deliver) bool { return true })
		e.Self = !e.Self
		return true
	}},
	{"nobody_elses", "a page is of another user", func(h *editor) bool {
		e, i := h.entry(func(p *event.Page, e *event.Entry) bool { return true })
		if e == nil {
			return false
		}
		wrong, _ := pick(h, func(c *event.Connect) bool {
			return c.User != e.Entries[i].From && !slices.Contains(e.Entries[i].To, c.User)
		})
		if wrong == nil {
			return false
		}
		stray := *e
		stray.Conn = wrong.Conn
		h.insert(len(h.history), &stray)
		return true
	}},
	{"nobody_elses", "a record names a user whom it does not concern", func(h *editor) bool {
		e, _ := pick(h, func(*event.Log) bool { return true })
		e.Users = append(slices.Clone(e.Users), "mallory")
		return true
	}},
	{"order", "two deliveries change places", func(h *editor) bool {
		a, at := pick(h, func(e *event.Deliver) bool { return h.plain(&e.Message) && h.calm(e.Conn) })
		if a == nil {
			return false
		}
		for _, rec := range h.history[at+1:] {
			if b, ok := rec.Event.(*event.Deliver); ok && b.Conn == a.Conn && h.plain(&b.Message) {
				a.Message, b.Message = b.Message, a.Message
				a.Self, b.Self = b.Self, a.Self
				return true
			}
		}
		return false
	}},
	{"order", "a message that nobody acknowledged is missing on one device", func(h *editor) bool {
		seen := make(map[uint64]bool)
		return h.remove(func(e *event.Deliver) bool {
			first := !seen[e.Conn]
			seen[e.Conn] = true
			return !first && h.records[e.MessageID] > 0 && !h.acked[e.MessageID] && e.Kind == event.Ordinary && e.TTL == 0 && h.calm(e.Conn) && h.followed(e)
		}) && h.renumber()
	}},
	{"order", "a gap tells of fewer than it left out", func(h *editor) bool {
		gap, at := pick(h, func(e *event.Gap) bool { return h.calm(e.Conn) })
		if gap == nil {
			return false
		}
		page := h.history[at+1].Event.(*event.Page) // of what it left out
		if slices.ContainsFunc(page.Entries, func(e event.Entry) bool { return e.TTL > 0 }) {
			return false // which nobody misses
		}
		if !slices.ContainsFunc(h.history[:at], func(rec *event.Record) bool {
			e, ok := rec.Event.(*event.Deliver)
			return ok && h.device[e.Conn] == h.device[gap.Conn] && e.Kind == event.Ordinary
		}) {
			return false // nobody can tell where the device began
		}
		for i, rec := range h.history[at+1:] {
			switch e := rec.Event.(type) {
			case *event.Deliver:
				if e.Conn != gap.Conn {
					continue
				}
				if e.TTL > 0 || e.Kind == event.Signal || !h.follows(e) {
					return false
				}
				h.history = slices.Delete(h.history, at+1+i, at+2+i)
				return h.renumber()
			case *event.Gap, *event.Close:
				if c, ok := rec.Event.(*event.Close); ok && c.Conn != gap.Conn {
					continue
				}
				return false
			}
		}
		return false
	}},
	{"order", "the entries of a page change places", func(h *editor) bool {
		e, i := h.entry(func(p *event.Page, e *event.Entry) bool { return len(p.Entries) > 1 })
		if e == nil {
			return false
		}
		j := (i + 1) % len(e.Entries)
		e.Entries[i], e.Entries[j] = e.Entries[j], e.Entries[i]
		return true
	}},
	{"order", "a page leaves one out in its middle", func(h *editor) bool {
		e, i := h.entry(func(p *event.Page, e *event.Entry) bool {
			return p.Query.Peer == "" && len(p.Entries) > 2 && e != &p.Entries[0] && e != &p.Entries[len(p.Entries)-1] && e.TTL == 0
		})
		if e == nil {
			return false
		}
		e.Entries = slices.Delete(e.Entries, i, i+1)
		return true
	}},
	{"sequence", "a number is left out", func(h *editor) bool {
		e, _ := pick(h, func(*event.Deliver) bool { return true })
		e.Seq++
		return true
	}},
	{"sequence", "a gap is not told", func(h *editor) bool {
		return h.remove(func(e *event.Gap) bool { return h.numbered(e.Conn, e.ToSeq) })
	}},
	{"sequence", "a gap comes to who did not ask for gaps", func(h *editor) bool {
		gap, _ := pick(h, func(*event.Gap) bool { return true })
		if gap == nil {
			return false
		}
		h.history[h.connected[gap.Conn]].Event.(*event.Connect).Overflow = "auto"
		return true
	}},
	{"sequence", "a heartbeat has a number that nothing had", func(h *editor) bool {
		e, _ := pick(h, func(*event.Heartbeat) bool { return true })
		if e == nil {
			return false
		}
		e.Seq++
		return true
	}},
	{"protocol", "a client sees what the protocol does not allow", func(h *editor) bool {
		h.insert(len(h.history), &event.Violation{What: "a frame of 2 MB"})
		return true
	}},
	{"converges", "a device waits long after healing", func(h *editor) bool {
		healed := false
		e, at := pick(h, func(e *event.Deliver) bool { return h.plain(&e.Message) && h.fresh(e) })
		if e == nil {
			return false
		}
		for _, rec := range h.history[:at] {
			if p, ok := rec.Event.(*event.Phase); ok {
				healed = healed || p.Name == event.Heal
			}
		}
		for _, rec := range h.history[at:] {
			rec.T += modelConverge + time.Second
		}
		return healed
	}},
	{"conservation", "a delivery is counted under nothing", func(h *editor) bool {
		e, _ := pick(h, func(e *event.Counter) bool { return e.Name == "godwit_deliveries_total" })
		e.Value--
		return true
	}},
	{"conservation", "a record is counted twice", func(h *editor) bool {
		e, _ := pick(h, func(e *event.Counter) bool { return e.Name == `godwit_records_total{result="nobody"}` })
		e.Value++
		return true
	}},
	{"conservation", "the consumer has lost a record", func(h *editor) bool {
		e, _ := pick(h, func(e *event.Counter) bool { return e.Name == "godwit_kafka_consumer_lost_records_total" })
		e.Value++
		return true
	}},
}

// Each mutation is found by the check that is there for it, wherever chance puts it.
func TestMutationsAreFound(t *testing.T) {
	caught := make(map[string]bool)
	for _, m := range mutations {
		t.Run(m.check+"/"+m.what, func(t *testing.T) {
			const enough, most = 10, 2000
			applied := 0
			for seed := uint64(0); applied < enough && seed < most; seed++ {
				h := edit(run(seed), seed)
				if !m.do(h) {
					continue
				}
				applied++
				r := judge(t, h.history)
				f := finding(t, r, m.check)
				want, outcome := check.Violated, check.Failed
				if m.check == "enough" {
					want, outcome = check.NotTested, check.Unknown
				}
				if f.Verdict != want || r.Outcome != outcome {
					t.Fatalf("seed %d: %s says %s, the run %s: %+v", seed, m.check, f.Verdict, r.Outcome, f)
				}
				if want == check.Violated && (f.Violations == 0 || len(f.Evidence) == 0 || len(f.Evidence[0].Lines) == 0) {
					t.Fatalf("seed %d: no evidence: %+v", seed, f)
				}
				for _, e := range f.Evidence {
					for _, line := range e.Lines {
						if line < 1 || line > int64(len(h.history)) {
							t.Fatalf("seed %d: there is no line %d", seed, line)
						}
					}
				}
			}
			if applied < enough {
				t.Errorf("it could be done %d times only", applied)
			}
		})
		caught[m.check] = true
	}
	for _, f := range judge(t, run(0)).Findings {
		if !caught[f.Check] {
			t.Errorf("no mutation is for %s", f.Check)
		}
	}
}

// pick returns one of the events of a type that will do, and its index; nil and -1 if there
// is none.
func pick[E any](h *editor, will func(E) bool) (picked E, at int) {
	var fit []int
	for i, rec := range h.history {
		if e, ok := rec.Event.(E); ok && will(e) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return picked, -1
	}
	at = fit[h.rng.IntN(len(fit))]
	return h.history[at].Event.(E), at
}

func edit(h history, seed uint64) *editor {
	e := &editor{rng: rand.New(rand.NewPCG(seed, 2)), history: h}
	e.look()
	return e
}
