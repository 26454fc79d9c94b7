package check

type storedInHistory struct {
	base
	unread int // users with messages to find whose timelines were not read to the end
}

func newStoredInHistory() check {
	return &storedInHistory{base: promise("stored_in_history",
		"Every acknowledged message is in the history of its sender and of each of its recipients, but for signals and what has a ttl.")}
}

func (c *storedInHistory) user(x *index, v *timeline) {
	c.mark(v, 1)
	defer c.mark(v, 0)
	for e := range v.user.sent.all() {
		m := x.messages.at(e.n)
		if !m.must() {
			continue
		}
		if !v.user.read {
			c.unread++
			return
		}
		c.Tested++
		if v.marks[e.n] == 0 {
			c.violated(x, e.n, []uint32{m.send, m.answer}, "the history of user %q does not have it", v.user.name)
		}
	}
}

// mark marks what the reading of the user's timeline has.
func (c *storedInHistory) mark(v *timeline, with uint32) {
	for _, d := range v.user.devices {
		reading := false
		for e := range d.pages.all() {
			switch {
			case e.op == opPage:
				reading = e.n&pageReading != 0
			case reading:
				v.marks[e.n] = with
			}
		}
	}
}

func (c *storedInHistory) end(*index) {
	c.settled()
	if c.unread > 0 {
		c.untested("the timelines of %d users were not read to the end", c.unread)
	}
}
