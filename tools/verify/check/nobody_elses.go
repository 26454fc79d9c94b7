package check

import (
	"slices"

	"github.com/godwit-im/godwit/tools/verify/event"
)

type nobodyElses struct{ base }

func newNobodyElses() check {
	return &nobodyElses{promise("nobody_elses",
		"Nobody is given a message that is neither from nor to them, and self is true for the sender alone.")}
}

func (c *nobodyElses) event(x *index, f *fact) {
	switch e := f.Event.(type) {
	case *event.Deliver:
		c.given(x, f, f.messages[0], &e.Message, e.Self)
	case *event.Page:
		for i, n := range f.messages {
			c.given(x, f, n, &e.Entries[i].Message, e.Entries[i].Self)
		}
	case *event.Log:
		for _, user := range e.Users {
			c.Tested++
			if user != e.From && !slices.Contains(e.To, user) {
				c.violated(x, f.messages[0], []uint32{f.line}, "the log gives it to user %q", user)
			}
		}
	}
}

func (c *nobodyElses) given(x *index, f *fact, n uint32, m *event.Message, self bool) {
	c.Tested++
	user := f.device.user.name
	sent := x.messages.at(n).send
	switch {
	case user != m.From && !slices.Contains(m.To, user):
		c.violated(x, n, []uint32{sent, f.line}, "it came to %s", f.device)
	case self != (user == m.From):
		c.violated(x, n, []uint32{sent, f.line}, "it came to %s with self %t, and is from %q", f.device, self, m.From)
	}
}
