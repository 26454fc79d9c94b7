package check

// repeat is a message that came once too often.
type repeat struct {
	device *device
	msg    uint32
	line   uint32
	paged  bool // on a page, or on the pages of one reading
}

// deliveries counts what was looked at, by the class of the message.
type deliveries struct {
	acked, unknown, signals int64
}

func (c *deliveries) count(m *message) {
	switch {
	case m.has(isSignal):
		c.signals++
	case m.has(hasAck):
		c.acked++
	default:
		c.unknown++
	}
}

// findRepeats finds what came to the user's devices once too often. A device that goes back to an
// older cursor asks for what followed it again, and one that begins anew for all of it.
// Nobody can ask for a signal again.
func (v *timeline) findRepeats(x *index) {
	for _, d := range v.user.devices {
		var view []uint32
		for e := range d.got.all() {
			switch e.op {
			case opMessage:
				m := x.messages.at(e.n)
				v.counts.count(m)
				most := uint32(1)
				if !m.has(isSignal) {
					most = v.allowed(e.n)
				}
				if v.marks[e.n]++; v.marks[e.n] > most {
					v.repeats = append(v.repeats, repeat{device: d, msg: e.n, line: e.line})
				}
				view = append(view, e.n)
			case opBack:
				v.unmark(x, view[len(view)-int(e.n):])
				view = view[:len(view)-int(e.n)]
			case opBegin:
				v.unmark(x, view)
				view = view[:0]
			}
		}
		for e := range d.got.all() {
			if e.op == opMessage {
				v.marks[e.n] = 0
			}
		}
		v.findOnPages(x, d)
	}
}

// unmark takes deliveries back, but for signals.
func (v *timeline) unmark(x *index, view []uint32) {
	for _, n := range view {
		if !x.messages.at(n).has(isSignal) {
			v.marks[n]--
		}
	}
}

// findOnPages finds what is twice on a page, or on the pages of the reading.
func (v *timeline) findOnPages(x *index, d *device) {
	const read = 1 << 16 // marks count the pages of the reading in their upper half
	var page []uint32
	var flags uint32
	turn := func() {
		for _, n := range page {
			v.marks[n] &^= read - 1
		}
		page = page[:0]
	}
	for e := range d.pages.all() {
		switch e.op {
		case opPage:
			turn()
			flags = e.n
		case opMessage:
			v.counts.count(x.messages.at(e.n))
			page = append(page, e.n)
			v.marks[e.n]++
			if flags&pageReading != 0 {
				v.marks[e.n] += read
			}
			if most := v.allowed(e.n); v.marks[e.n]%read > most || v.marks[e.n]/read > most {
				v.repeats = append(v.repeats, repeat{device: d, msg: e.n, line: e.line, paged: true})
			}
		}
	}
	for e := range d.pages.all() {
		if e.op == opMessage {
			v.marks[e.n] = 0
		}
	}
}

// report makes a violation of the repeats that a check is about.
func (f *Finding) repeated(x *index, v *timeline, mine func(*message) bool) {
	for _, r := range v.repeats {
		m := x.messages.at(r.msg)
		switch {
		case !mine(m):
		case r.paged:
			f.violated(x, r.msg, []uint32{m.send, m.answer, r.line}, "history gives it to %s once too often", r.device)
		default:
			f.violated(x, r.msg, []uint32{m.send, m.answer, m.seen, r.line}, "it came to %s once too often", r.device)
		}
	}
}
