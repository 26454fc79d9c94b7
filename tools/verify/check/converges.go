package check

import (
	"time"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// converges is about how long messages take; whether they come at all is for storedOnDevices.
type converges struct {
	base
	bound  time.Duration
	healed time.Duration // when; -1: faults may last
	worst  time.Duration // the longest that a message took
}

func newConverges(bound time.Duration) check {
	return &converges{base: promise("converges",
		"After healing, no acknowledged message takes longer than the bound to come to a device that waits for it."),
		bound: bound, healed: -1}
}

func (c *converges) event(x *index, f *fact) {
	switch e := f.Event.(type) {
	case *event.Phase:
		switch e.Name {
		case event.Faults:
			c.healed = -1
		case event.Heal:
			c.healed = f.T
		}
	case *event.Deliver:
		if c.healed < 0 || f.again {
			return
		}
		c.Tested++
		m := x.messages.at(f.messages[0])
		acked := time.Duration(m.acked) * time.Millisecond
		if !m.must() || acked < f.device.began { // news from before the device was there may come late
			return
		}
		took := f.T - max(c.healed, acked)
		c.worst = max(c.worst, took)
		if took > c.bound {
			c.violated(x, f.messages[0], []uint32{m.send, m.answer, f.line}, "it came to %s %v after healing and its ack, later than %v",
				f.device, took.Round(time.Millisecond), c.bound)
		}
	}
}

func (c *converges) end(*index) {
	c.settled()
	if c.Tested == 0 {
		c.untested("nothing was delivered after healing")
		return
	}
	c.Note = "the slowest took " + c.worst.Round(time.Millisecond).String()
}
