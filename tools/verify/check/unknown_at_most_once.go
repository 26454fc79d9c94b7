package check

type unknownAtMostOnce struct{ base }

func newUnknownAtMostOnce() check {
	return &unknownAtMostOnce{promise("unknown_at_most_once",
		"A message whose outcome stayed unknown comes at most once to each device, and is at most once on a page.")}
}

func (c *unknownAtMostOnce) user(x *index, v *timeline) {
	c.Tested += v.counts.unknown
	c.repeated(x, v, func(m *message) bool { return m.flags&(hasAck|isSignal) == 0 })
}
