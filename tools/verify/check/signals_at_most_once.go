package check

type signalsAtMostOnce struct{ base }

func newSignalsAtMostOnce() check {
	return &signalsAtMostOnce{promise("signals_at_most_once",
		"A signal comes at most once to a device, also to one that goes back to an older cursor, and is in no history.")}
}

func (c *signalsAtMostOnce) user(x *index, v *timeline) {
	c.Tested += v.counts.signals
	c.repeated(x, v, func(m *message) bool { return m.has(isSignal) })
	for _, d := range v.user.devices {
		for e := range d.pages.all() {
			if e.op != opMessage {
				continue
			}
			if m := x.messages.at(e.n); m.has(isSignal) {
				c.violated(x, e.n, []uint32{m.send, e.line}, "it is on a page of history of %s", d)
			}
		}
	}
}
