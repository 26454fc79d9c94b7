package check

import (
	"hash/maphash"

	"github.com/godwit-im/godwit/tools/verify/event"
)

type nothingInvented struct{ base }

func newNothingInvented() check {
	return &nothingInvented{promise("nothing_invented",
		"Whatever is delivered, on a page, in the log or acknowledged was sent, with this message_id and content.")}
}

func (c *nothingInvented) event(x *index, f *fact) {
	switch e := f.Event.(type) {
	case *event.Ack:
		c.Tested++
		if m := x.messages.at(f.messages[0]); m.id != e.MessageID {
			c.violated(x, f.messages[0], []uint32{m.send, f.line}, "the ack calls it %s", e.MessageID)
		}
	case *event.Deliver:
		m := x.messages.at(f.messages[0])
		c.shown(x, f, f.messages[0], &e.Message, e.Self, m.device == f.device.number)
	case *event.Page:
		for i, n := range f.messages {
			c.shown(x, f, n, &e.Entries[i].Message, e.Entries[i].Self, false)
		}
	case *event.Log:
		c.shown(x, f, f.messages[0], &e.Message, false, false)
	}
}

// shown takes a message as somebody was shown it, who may be its sender, on the device that has
// sent it or on another. Only that device may get it without its body. Any of the sender's
// cannot tell an empty body from one that was left out.
func (c *nothingInvented) shown(x *index, f *fact, n uint32, m *event.Message, self, device bool) {
	c.Tested++
	sent := x.messages.at(n)
	switch {
	case sent.send == 0:
		c.violated(x, n, []uint32{f.line}, "nobody has sent it")
	case sent.head != x.head(m):
		c.violated(x, n, []uint32{sent.send, f.line}, "its sender, recipients, id, kind or ttl are not those that were sent")
	case m.BodySum == "" && device:
	case m.BodySum == "" && self && sent.body == maphash.String(x.seed, string(event.SumOf(nil))):
	case sent.body != maphash.String(x.seed, string(m.BodySum)):
		c.violated(x, n, []uint32{sent.send, f.line}, "its body is not the one that was sent")
	}
}
