package check

import "github.com/godwit-im/godwit/tools/verify/event"

// protocol passes on what clients have seen by themselves.
type protocol struct{ base }

func newProtocol() check {
	return &protocol{promise("protocol", "The server sends nothing that the protocol does not allow.")}
}

func (c *protocol) event(x *index, f *fact) {
	switch e := f.Event.(type) {
	case *event.Violation:
		c.violated(x, none, []uint32{f.line}, "connection %d: %s", e.Conn, e.What)
	case *event.Connect:
		c.Tested++
	}
}
