package check_test

import (
	"math/rand/v2"
	"slices"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// editor changes a history. What it knows of it is of the time before the change.
type editor struct {
	history history
	rng     *rand.Rand

	user      map[uint64]string // by connection
	device    map[uint64]string
	connected map[uint64]int // the index of its Connect
	open      map[uint64]bool
	began     map[string]int // where a device's last view began
	restless  map[string]bool
	acked     map[event.MessageID]bool
	answers   map[event.MessageID]int
	nacks     map[event.MessageID]int
	sends     map[sendKey]*event.Send
	sent      map[event.MessageID]int // the index of the first send
	records   map[event.MessageID]int
	copies    map[inPartition]int
	delivered map[onDevice]bool
	paged     map[onDevice]int
}

type sendKey struct {
	conn uint64
	id   string
}

type inPartition struct {
	partition int32
	id        event.MessageID
}

type onDevice struct {
	device string
	id     event.MessageID
}

func (h *editor) look() {
	h.user, h.device, h.connected = make(map[uint64]string), make(map[uint64]string), make(map[uint64]int)
	h.open, h.began, h.restless = make(map[uint64]bool), make(map[string]int), make(map[string]bool)
	h.acked, h.answers, h.nacks = make(map[event.MessageID]bool), make(map[event.MessageID]int), make(map[event.MessageID]int)
	h.sends, h.sent, h.records = make(map[sendKey]*event.Send), make(map[event.MessageID]int), make(map[event.MessageID]int)
	h.copies = make(map[inPartition]int)
	h.delivered, h.paged = make(map[onDevice]bool), make(map[onDevice]int)
	for i, rec := range h.history {
		switch e := rec.Event.(type) {
		case *event.Connect:
			device := e.User + "/" + e.Device
			h.user[e.Conn], h.device[e.Conn], h.connected[e.Conn], h.open[e.Conn] = e.User, device, i, true
			if e.Cursor == "" {
				if _, again := h.began[device]; again {
					h.restless[device] = true
				}
				h.began[device] = i
			}
			if e.Back > 0 {
				h.restless[device] = true
			}
		case *event.Close:
			h.open[e.Conn] = false
		case *event.Send:
			h.sends[sendKey{e.Conn, e.ID}] = e
			if _, again := h.sent[e.MessageID]; !again {
				h.sent[e.MessageID] = i
			}
		case *event.Ack:
			h.acked[e.MessageID] = true
			h.answers[e.MessageID]++
		case *event.Nack:
			id := h.sendOf(e.Conn, e.ID).MessageID
			h.answers[id]++
			h.nacks[id]++
		case *event.Unknown:
			h.answers[h.sendOf(e.Conn, e.ID).MessageID]++
		case *event.Deliver:
			h.delivered[onDevice{h.device[e.Conn], e.MessageID}] = true
		case *event.Page:
			for _, entry := range e.Entries {
				h.paged[onDevice{h.device[e.Conn], entry.MessageID}]++
			}
		case *event.Log:
			h.records[e.MessageID]++
			h.copies[inPartition{e.Partition, e.MessageID}]++
		}
	}
}

func (h *editor) sendOf(conn uint64, id string) *event.Send { return h.sends[sendKey{conn, id}] }

func (h *editor) rejected(id event.MessageID) bool { return h.answers[id] == h.nacks[id] }

// plain reports whether a message has to be everywhere.
func (h *editor) plain(m *event.Message) bool {
	return h.acked[m.MessageID] && m.Kind == event.Ordinary && m.TTL == 0
}

// ended reports whether the device of a connection is connected at the end.
func (h *editor) ended(conn uint64) bool {
	for other, device := range h.device {
		if device == h.device[conn] && h.open[other] {
			return true
		}
	}
	return false
}

// calm reports whether the device of a connection has one view only, and never goes back.
func (h *editor) calm(conn uint64) bool { return !h.restless[h.device[conn]] }

// whole reports whether a message was sent after the last view of a connection's device
// began.
func (h *editor) whole(conn uint64, id event.MessageID) bool {
	return h.sent[id] > h.began[h.device[conn]]
}

// only reports whether a record is the only one of its message in its partition.
func (h *editor) only(e *event.Log) bool { return h.copies[inPartition{e.Partition, e.MessageID}] == 1 }

// needed reports whether a delivery is the only one by which its device has a message that it
// must have.
func (h *editor) needed(e *event.Deliver) bool {
	return h.plain(&e.Message) && h.calm(e.Conn) && h.ended(e.Conn) && h.whole(e.Conn, e.MessageID) &&
		h.paged[onDevice{h.device[e.Conn], e.MessageID}] == 0
}

// fresh reports whether a delivery is news for a device that waits for it.
func (h *editor) fresh(e *event.Deliver) bool {
	return h.calm(e.Conn) && h.whole(e.Conn, e.MessageID)
}

// followed reports whether a message of the log follows a delivery on its device, with no gap
// between them.
func (h *editor) followed(e *event.Deliver) bool {
	found, before := false, false
	for _, rec := range h.history {
		switch o := rec.Event.(type) {
		case *event.Gap:
			if h.device[o.Conn] != h.device[e.Conn] {
				continue
			}
			if found {
				return false
			}
			before = false // it may make up for what is left out
		case *event.Deliver:
			switch {
			case o == e:
				found = before
				if !found {
					return false
				}
			case h.device[o.Conn] != h.device[e.Conn] || o.Kind == event.Signal:
			case found:
				return true
			default:
				before = true
			}
		}
	}
	return false
}

// follows reports whether another ordinary message follows a delivery on its device before
// any gap.
func (h *editor) follows(e *event.Deliver) bool {
	found := false
	for _, rec := range h.history {
		switch o := rec.Event.(type) {
		case *event.Gap:
			if found && h.device[o.Conn] == h.device[e.Conn] {
				return false
			}
		case *event.Deliver:
			if found && h.device[o.Conn] == h.device[e.Conn] && o.Kind == event.Ordinary {
				return true
			}
			found = found || o == e
		}
	}
	return false
}

// numbered reports whether something on a connection has a higher number.
func (h *editor) numbered(conn, seq uint64) bool {
	return slices.ContainsFunc(h.history, func(rec *event.Record) bool {
		switch e := rec.Event.(type) {
		case *event.Deliver:
			return e.Conn == conn && e.Seq > seq
		case *event.Heartbeat:
			return e.Conn == conn && e.Seq >= seq
		}
		return false
	})
}

// entry picks an entry of a page.
func (h *editor) entry(will func(*event.Page, *event.Entry) bool) (*event.Page, int) {
	var fit []int
	page, _ := pick(h, func(p *event.Page) bool {
		return slices.ContainsFunc(indices(p.Entries), func(i int) bool { return will(p, &p.Entries[i]) })
	})
	if page == nil {
		return nil, 0
	}
	for i := range page.Entries {
		if will(page, &page.Entries[i]) {
			fit = append(fit, i)
		}
	}
	return page, fit[h.rng.IntN(len(fit))]
}

func indices[E any](of []E) []int {
	all := make([]int, len(of))
	for i := range all {
		all[i] = i
	}
	return all
}

// remove takes one of the events out that will do.
func (h *editor) remove(will any) bool {
	at := -1
	switch will := will.(type) {
	case func(*event.Fault) bool:
		_, at = pick(h, will)
	case func(*event.Phase) bool:
		_, at = pick(h, will)
	case func(*event.Log) bool:
		_, at = pick(h, will)
	case func(*event.Deliver) bool:
		_, at = pick(h, will)
	case func(*event.Gap) bool:
		_, at = pick(h, will)
	default:
		panic("remove cannot find such events")
	}
	if at >= 0 {
		h.history = slices.Delete(h.history, at, at+1)
	}
	return at >= 0
}

func (h *editor) insert(at int, e event.Event) {
	t := h.history[at-1].T
	h.history = slices.Insert(h.history, at, &event.Record{T: t, By: "mutation", Event: e})
}

// twice repeats a delivery.
func (h *editor) twice(will func(*event.Deliver) bool) bool {
	e, at := pick(h, will)
	if e == nil {
		return false
	}
	again := *e
	h.insert(at+1, &again)
	return h.renumber()
}

// renumber gives the deliveries of each connection their numbers anew, so that numbers alone
// do not tell of the change.
func (h *editor) renumber() bool {
	last := make(map[uint64]uint64)
	for _, rec := range h.history {
		switch e := rec.Event.(type) {
		case *event.Deliver:
			last[e.Conn]++
			e.Seq = last[e.Conn]
		case *event.Gap:
			width := e.ToSeq - e.FromSeq
			e.FromSeq = last[e.Conn] + 1
			e.ToSeq = e.FromSeq + width
			last[e.Conn] = e.ToSeq
		case *event.Heartbeat:
			e.Seq = last[e.Conn]
		}
	}
	return true
}

// recount makes the end of the log's reading fit what is there.
func (h *editor) recount() bool {
	n := int64(0)
	for _, rec := range h.history {
		switch e := rec.Event.(type) {
		case *event.Log:
			n++
		case *event.LogEnd:
			e.Records = n
		}
	}
	return true
}
