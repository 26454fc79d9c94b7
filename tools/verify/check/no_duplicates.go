package check

// noDuplicates is about acknowledged messages; unknownAtMostOnce has the others.
type noDuplicates struct{ base }

func newNoDuplicates() check {
	return &noDuplicates{promise("no_duplicates",
		"No acknowledged message comes twice to a device, or is twice on a page or in the pages of a whole timeline.")}
}

func (c *noDuplicates) user(x *index, v *timeline) {
	c.Tested += v.counts.acked
	c.repeated(x, v, func(m *message) bool { return m.has(hasAck) && !m.has(isSignal) })
}
