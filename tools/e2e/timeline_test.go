package e2e

import (
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// timeline holds one connection to the rules of the protocol that a client can
// check by itself: sequence numbers are contiguous but for gaps, cursors are of the
// user's partition and grow, a gap's cursors enclose what was lost, and no message
// comes twice.
type timeline struct {
	t         testing.TB
	name      string // of the device, for errors
	user      string
	partition backplane.Partition

	welcomed   bool
	generation uint32
	seq        uint64 // the last sequence number used up
	reached    int64  // the offset of the last cursor told
	floor      int64  // offsets below are not delivered any more
	seen       map[backplane.MessageID]bool
}

func (l *timeline) wrong(format string, args ...any) {
	l.t.Helper()
	l.t.Errorf(l.name+": "+format, args...)
}

// position reads a cursor and returns its offset.
func (l *timeline) position(cursor []byte) int64 {
	p, err := codec.ParseCursor(cursor)
	switch {
	case err != nil:
		l.wrong("cursor %q: %v", cursor, err)
	case p.Partition != l.partition:
		l.wrong("cursor %q is of partition %d, the user's is %d", cursor, p.Partition, l.partition)
	case l.welcomed && p.Generation != l.generation:
		l.wrong("cursor %q is of generation %d, that of welcome of %d", cursor, p.Generation, l.generation)
	}
	l.generation = p.Generation
	return p.Offset
}

func (l *timeline) welcome(w *codec.Welcome) {
	if l.welcomed {
		l.wrong("welcomed twice")
	}
	if w.User != l.user {
		l.wrong("welcomed as %q", w.User)
	}
	l.reached = l.position(w.Cursor)
	l.floor = l.reached + 1
	l.welcomed = true
}

func (l *timeline) deliver(d *codec.Deliver) int64 {
	offset := l.position(d.Cursor)
	if d.Seq != l.seq+1 {
		l.wrong("delivery %d follows %d", d.Seq, l.seq)
	}
	if offset < l.floor {
		l.wrong("delivery %d has offset %d, the next can be %d", d.Seq, offset, l.floor)
	}
	if self := string(d.Message.From) == l.user; self != d.Self {
		l.wrong("delivery %d from %q has self %v", d.Seq, d.Message.From, d.Self)
	}
	if l.seen[d.Message.MessageID] {
		l.wrong("message %x, %q came twice", d.Message.MessageID, d.Message.Body)
	}
	l.seen[d.Message.MessageID] = true
	l.seq, l.reached, l.floor = d.Seq, offset, offset+1
	return offset
}

func (l *timeline) gap(g *codec.Gap) (after, before int64) {
	after, before = l.position(g.After), l.position(g.Before)
	if g.FromSeq != l.seq+1 || g.ToSeq < g.FromSeq {
		l.wrong("gap of %d to %d follows %d", g.FromSeq, g.ToSeq, l.seq)
	}
	if after != l.reached {
		l.wrong("gap after offset %d follows offset %d", after, l.reached)
	}
	if lost := int64(g.ToSeq - g.FromSeq + 1); before-after-1 < lost {
		l.wrong("gap of %d deliveries lies between offsets %d and %d", lost, after, before)
	}
	l.seq, l.reached, l.floor = g.ToSeq, before-1, before
	return after, before
}

func (l *timeline) heartbeat(h *codec.Heartbeat) {
	offset := l.position(h.Cursor)
	if h.Seq != l.seq {
		l.wrong("heartbeat says that %d was the last delivery, it was %d", h.Seq, l.seq)
	}
	if offset < l.reached {
		l.wrong("heartbeat goes back from offset %d to %d", l.reached, offset)
	}
	l.reached, l.floor = offset, offset+1
}

// page is a history page as a device got it.
type page struct {
	codec.HistoryPage            // without what aliases the frame
	messages          []delivery // oldest first
	after, before     string     // cursors
	gone              string
}

// page checks that a page's messages are in the order of the timeline.
func (l *timeline) page(p *codec.HistoryPage) page {
	out := page{HistoryPage: *p, after: string(p.After), before: string(p.Before), gone: string(p.Gone)}
	out.ID, out.Messages, out.PageBounds = nil, nil, codec.PageBounds{MoreAfter: p.MoreAfter, MoreBefore: p.MoreBefore}
	last := int64(-1)
	for i := range p.Messages {
		m := &p.Messages[i]
		offset := l.position(m.Cursor)
		if offset <= last {
			l.wrong("page %s has offset %d after %d", p.ID, offset, last)
		}
		if self := string(m.Message.From) == l.user; self != m.Self || m.Seq != 0 {
			l.wrong("page %s has a message from %q with self %v and number %d", p.ID, m.Message.From, m.Self, m.Seq)
		}
		last = offset
		got := delivery{Deliver: *m, offset: offset, body: string(m.Message.Body), cursor: string(m.Cursor)}
		got.Cursor, got.Message = nil, cloneMessage(&m.Message)
		out.messages = append(out.messages, got)
	}
	return out
}
