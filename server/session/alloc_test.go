//go:build !race

// Under the race detector sync.Pool drops at random, so what allocates is not told.

package session

import (
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/tail"
)

func TestDeliverAllocatesNothing(t *testing.T) {
	both(t, func(t *testing.T, e codec.Encoding) {
		r := newRig(t)
		bob := r.connect("bob", e)
		m := text("alice", "bob", "hello, bob")
		m.MessageID = backplane.MessageID{1}
		recipients := backplane.AppendRecipient(nil, []byte("bob"))
		rec := &backplane.Record{Position: backplane.Position{Generation: 1, Partition: bob.s.partition},
			Value: backplane.AppendMessage(nil, m), Recipients: recipients}
		var out []byte
		sink := &sink{f: func(e delivery.Entry) {
			bob.s.Deliver(r.loop, e.Frame, false)
			out = bob.s.Fill(out[:0], 1<<16)
			bob.s.Wrote(r.loop, len(out))
			e.Done()
		}}
		// What the tail keeps of a record is one allocation; a tail without a budget keeps nothing.
		r.deps.Tails = tail.NewTails(1, 4, 1, 0)
		d := delivery.New(delivery.Config{Loops: sink, Registry: r.deps.Registry, Memory: r.deps.Memory, Tails: r.deps.Tails, Remember: 1 << 20})
		round := func() {
			rec.Offset++
			rec.Time += 1000
			rec.Value[2+rec.Offset%16]++ // another message id
			d.Record(rec)
		}
		for range 1000 {
			round()
		}
		if n := testing.AllocsPerRun(1000, round); n != 0 {
			t.Errorf("dispatch of a record to a connection allocates %v times", n)
		}
		if bob.s.seq < 2000 || len(out) == 0 {
			t.Errorf("only %d were delivered", bob.s.seq)
		}
	})
}
