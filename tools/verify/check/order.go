package check

import (
	"fmt"
	"math"
)

// order compares every device, connected at the end or not, with the log. Since all of a user's
// devices have to follow the one log, they all show the same.
type order struct{ base }

func newOrder() check {
	return &order{promise("order",
		"What comes to a device, and what is on a page, follows the log of the user, in its order and with nothing left out but what a gap has told or has a ttl.")}
}

func (c *order) user(x *index, v *timeline) {
	if !x.logEnd {
		return
	}
	for _, d := range v.user.devices {
		c.deliveries(x, v, d)
		c.pages(x, v, d)
	}
}

// walk follows a timeline.
type walk struct {
	v       *timeline
	next    int    // the index of the record that has to come; -1: any may
	skipped uint32 // how many records may be skipped before the next message
}

func (c *order) deliveries(x *index, v *timeline, d *device) {
	w := walk{v: v, next: -1}
	var past []int // w.next before each delivery of the view
	for e := range d.got.all() {
		switch e.op {
		case opMessage:
			past = append(past, w.next)
			if !x.messages.at(e.n).has(isSignal) {
				c.step(x, &w, e, d)
			}
		case opBack:
			past, w.next = past[:len(past)-int(e.n)], past[len(past)-int(e.n)]
			w.skipped = 0
		case opBegin:
			past, w.next, w.skipped = past[:0], -1, 0
		case opGap:
			w.skipped += min(e.n, math.MaxUint32-w.skipped)
		}
	}
}

func (c *order) pages(x *index, v *timeline, d *device) {
	var w walk
	var all bool // the page is of one conversation: the others' messages are not on it
	for e := range d.pages.all() {
		switch e.op {
		case opPage:
			w, all = walk{v: v, next: -1}, e.n&pagePeer != 0
		case opMessage:
			if all {
				w.skipped = math.MaxUint32
			}
			if !x.messages.at(e.n).has(isSignal) {
				c.step(x, &w, e, d)
			}
		}
	}
}

// step takes the next message of a walk.
func (c *order) step(x *index, w *walk, e entry, d *device) {
	c.Tested++
	m := x.messages.at(e.n)
	last := int(w.v.place[e.n]) - 1
	switch {
	case last < 0 && e.line > x.logBegin: // an attempt of unknown outcome that was stored later
		return
	case last < 0:
		c.violated(x, e.n, []uint32{m.send, m.answer, e.line}, "it came to %s, and the log does not have it for this user", d)
		return
	case w.next < 0 && w.v.extra[e.n] > 0: // one of several records, and nothing tells which
		return
	case w.next < 0:
		w.next = last
	case last < w.next:
		before := w.v.records[w.next-1]
		c.violated(x, e.n, []uint32{m.send, w.v.records[last].line, before.line, e.line},
			"it came to %s after message %s, which follows it in the log", d, x.messages.at(before.n).id)
		return
	}
	var missing uint32
	var first entry
	for ; w.v.records[w.next].n != e.n; w.next++ {
		r := w.v.records[w.next]
		// A client may leave out what it has had already, so that one of several records of a
		// message need not come.
		if x.messages.at(r.n).has(isMortal) || w.v.extra[r.n] > 0 {
			continue
		}
		if missing++; missing == 1 {
			first = r
		}
	}
	w.next++
	if missing > w.skipped {
		left := x.messages.at(first.n)
		c.violated(x, first.n, []uint32{left.send, left.answer, first.line, e.line},
			"%s was given what follows it in the log, and not this (%s left out here, and gaps told of %d)", d, plural(int(missing), "message is", "messages are"), w.skipped)
	}
	w.skipped = 0
}

func (c *order) end(x *index) {
	c.settled()
	if !x.logEnd {
		c.untested("the log was not read to its end")
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
