package check

// storedOnDevices asks for what was sent after a device's view of its timeline had begun, so it
// needs nothing but the clients' own events. What was sent before, and what was not
// acknowledged, is for order, which compares devices with the log.
type storedOnDevices struct {
	base
	away int // devices that were not connected at the end
}

func newStoredOnDevices() check {
	return &storedOnDevices{base: promise("stored_on_devices",
		"Every acknowledged message came to every device of its sender and of each of its recipients that was connected at the end, or is on the pages that the device has fetched after a gap was told.")}
}

func (c *storedOnDevices) user(x *index, v *timeline) {
	for _, d := range v.user.devices {
		if !d.ended {
			c.away++
			continue
		}
		view, began, gaps := latestView(d)
		for _, n := range view {
			v.marks[n] = 1
		}
		if gaps {
			markPages(v, d, 1)
		}
		for e := range v.user.sent.all() {
			m := x.messages.at(e.n)
			if !m.must() || m.send < began {
				continue
			}
			c.Tested++
			if v.marks[e.n] == 0 {
				c.violated(x, e.n, []uint32{m.send, m.answer, began}, "it never came to %s", d)
			}
		}
		for _, n := range view {
			v.marks[n] = 0
		}
		markPages(v, d, 0)
	}
}

// latestView returns what a device has of its timeline at the end, the line where that began,
// and whether it was told of gaps since.
func latestView(d *device) (view []uint32, began uint32, gaps bool) {
	for e := range d.got.all() {
		switch e.op {
		case opMessage:
			view = append(view, e.n)
		case opBack:
			view = view[:len(view)-int(e.n)]
		case opBegin:
			view, began, gaps = view[:0], e.line, false
		case opGap:
			gaps = true
		}
	}
	return view, began, gaps
}

// markPages marks what a device has fetched. The reading at the end is none of it: that is
// made of history, after everybody has waited for the last delivery.
func markPages(v *timeline, d *device, with uint32) {
	reading := false
	for e := range d.pages.all() {
		switch {
		case e.op == opPage:
			reading = e.n&pageReading != 0
		case !reading:
			v.marks[e.n] = with
		}
	}
}

func (c *storedOnDevices) end(x *index) {
	c.settled()
	switch {
	case !x.read:
		c.untested("the run did not get to its end")
	case c.Tested == 0:
		c.untested("%d devices were not connected at the end, and the others had nothing to wait for", c.away)
	case c.away > 0:
		c.Note = plural(c.away, "device was", "devices were") + " not connected at the end"
	}
}
