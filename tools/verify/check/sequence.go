package check

import "github.com/godwit-im/godwit/tools/verify/event"

type sequence struct{ base }

func newSequence() check {
	return &sequence{promise("sequence",
		"The numbers of a connection's deliveries begin at 1 and have no hole, but for those that a gap tells before the next delivery.")}
}

func (c *sequence) event(x *index, f *fact) {
	switch e := f.Event.(type) {
	case *event.Deliver:
		if e.Seq != 0 {
			c.number(x, f, e.Seq, e.Seq)
		}
	case *event.Gone:
		if e.Seq != 0 {
			c.number(x, f, e.Seq, e.Seq)
		}
	case *event.Gap:
		if !f.conn.gaps {
			c.violated(x, none, []uint32{f.line}, "connection %d was told of a gap, and has not asked for gaps", e.Conn)
		}
		c.number(x, f, e.FromSeq, e.ToSeq)
	case *event.Heartbeat:
		c.Tested++
		if e.Seq != f.conn.seq {
			c.violated(x, none, []uint32{f.conn.line, f.line}, "connection %d: the heartbeat has number %d, and the last was %d", e.Conn, e.Seq, f.conn.seq)
		}
		f.conn.seq, f.conn.line = e.Seq, f.line
	}
}

// number takes the numbers from one to another, both included.
func (c *sequence) number(x *index, f *fact, from, to uint64) {
	c.Tested++
	if from != f.conn.seq+1 || to < from {
		c.violated(x, none, []uint32{f.conn.line, f.line}, "%s: number %d to %d follows %d", f.device, from, to, f.conn.seq)
	}
	f.conn.seq, f.conn.line = to, f.line
}
