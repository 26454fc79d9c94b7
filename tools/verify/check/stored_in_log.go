package check

type storedInLog struct{ base }

func newStoredInLog() check {
	return &storedInLog{promise("stored_in_log",
		"Every acknowledged message is in the log for its sender and for each of its recipients.")}
}

func (c *storedInLog) user(x *index, v *timeline) {
	if !x.logEnd {
		return
	}
	for e := range v.user.log.all() {
		v.marks[e.n] = 1
	}
	for e := range v.user.sent.all() {
		m := x.messages.at(e.n)
		if !m.has(hasAck) {
			continue
		}
		c.Tested++
		if v.marks[e.n] == 0 {
			c.violated(x, e.n, []uint32{m.send, m.answer}, "the log does not have it for user %q", v.user.name)
		}
	}
	for e := range v.user.log.all() {
		v.marks[e.n] = 0
	}
}

func (c *storedInLog) end(x *index) {
	c.settled()
	if !x.logEnd {
		c.untested("the log was not read to its end")
	}
}
