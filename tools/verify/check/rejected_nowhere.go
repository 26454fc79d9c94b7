package check

type rejectedNowhere struct{ base }

func newRejectedNowhere() check {
	return &rejectedNowhere{promise("rejected_nowhere",
		"A message of which every attempt was rejected is on no device, in no history and not in the log.")}
}

func (c *rejectedNowhere) end(x *index) {
	for n := range x.messages.n {
		m := x.messages.at(n)
		if !m.rejected() {
			continue
		}
		c.Tested++
		if m.seen != 0 {
			c.violated(x, n, []uint32{m.send, m.answer, m.seen}, "every attempt was rejected, and it is there")
		}
	}
	c.settled()
}
