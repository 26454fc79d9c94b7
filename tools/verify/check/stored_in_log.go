package check

import "github.com/godwit-im/godwit/tools/verify/event"

type storedInLog struct {
	base
	homes map[string]home // of users
}

// home is the partition in which a user was first seen.
type home struct {
	partition int32
	line      uint32
}

func newStoredInLog() check {
	return &storedInLog{base: promise("stored_in_log",
		"Every acknowledged message is in the log for its sender and for each of its recipients, in the one partition of each."),
		homes: make(map[string]home)}
}

func (c *storedInLog) event(x *index, f *fact) {
	e, ok := f.Event.(*event.Log)
	if !ok {
		return
	}
	for _, user := range e.Users {
		h, known := c.homes[user]
		switch {
		case !known:
			c.homes[user] = home{e.Partition, f.line}
		case h.partition != e.Partition:
			c.violated(x, f.messages[0], []uint32{h.line, f.line}, "the log has it for user %q in partition %d, and others in %d",
				user, e.Partition, h.partition)
		}
	}
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
