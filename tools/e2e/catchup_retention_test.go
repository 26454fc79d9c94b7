package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestRetention has the log lose messages that devices have not had yet, one of which was
// away and one of which does not read. Each is told of it by one gap, gets everything that
// is left, and is live again.
func TestRetention(t *testing.T) {
	const count, lost = 400, 200 // of 2 KB, which the tail has room for a few of
	padding := strings.Repeat(".", 2000)
	kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
		cfg := newLog(t, b, 4)
		n := serve(t, cfg, newKey(t, auth.HS256), narrow...)
		var away []*device
		for e := range codec.Encodings {
			d := connect(t, n, "bob", options{device: fmt.Sprint("away-", e), encoding: codec.Encoding(e)})
			d.hangup()
			away = append(away, d)
		}
		deaf := connect(t, n, "bob", options{device: "deaf", receiveBuffer: 4096, deaf: true})
		alice := connect(t, n, "alice", options{device: "phone"})
		alice.flood(1, count, 20, func(i int) (string, []string) { return fmt.Sprint(i, padding), []string{"bob"} })
		n.conserved(t)
		eventually(t, "who does not read has overflowed", func() bool { return n.metrics(t).sum(t, "godwit_overflows_total") > 0 })

		all := timelines(readLog(t, cfg))["bob"]
		if len(all) != count {
			t.Fatalf("the log has %d messages of bob's", len(all))
		}
		kafkatest.DeleteBefore(t, cfg, backplane.PartitionOf("bob", cfg.Partitions), all[lost].offset)
		for _, d := range away {
			again := connect(t, n, "bob", options{device: d.options.device, encoding: d.encoding, cursor: d.cursor})
			if again.welcome.Resumed || string(again.welcome.Cursor) != d.cursor {
				t.Errorf("resumed is %v, at %s, want false, at %s", again.welcome.Resumed, again.welcome.Cursor, d.cursor)
			}
			again.resumesAfterLoss(all, lost, 0)
			// From there on nothing is missing.
			third := connect(t, n, "bob", options{device: d.options.device, encoding: d.encoding, cursor: again.cursor})
			if !third.welcome.Resumed {
				t.Error("not resumed by a cursor behind the gap")
			}
			third.hangup()
			again.hangup()
		}
		deaf.listen()
		deaf.until("the gap", func() bool { return len(deaf.gaps) > 0 })
		first, _ := slices.BinarySearchFunc(all, deaf.gaps[0].after, func(m moment, after int64) int { return int(m.offset - after) })
		if first == 0 || first >= lost {
			t.Fatalf("who does not read had %d messages before the gap", first)
		}
		deaf.resumesAfterLoss(all, lost, first+1)
		alice.store("after", "after", "bob")
		deaf.until("what is sent afterwards", func() bool { return string(deaf.deliveries[len(deaf.deliveries)-1].Message.ID) == "after" })
		m := n.conserved(t)
		if got := m.of(t, "godwit_gaps_total"); got != 3 {
			t.Errorf("%v gaps were told, want 3", got)
		}
		if got := m.of(t, "godwit_kafka_consumer_lost_records_total"); got != 0 {
			t.Errorf("the node itself has lost %v records", got)
		}
	})
}

// resumesAfterLoss waits until the device has the last of all messages. It must have had
// the first of them up to had, then be told of one gap that reaches at least beyond those
// that are lost, and get the rest.
func (d *device) resumesAfterLoss(all []moment, lost, had int) {
	d.t.Helper()
	last := all[len(all)-1]
	d.until("the last message", func() bool {
		return len(d.deliveries) > 0 && d.deliveries[len(d.deliveries)-1].offset >= last.offset
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.gaps) != 1 {
		d.timeline.wrong("%d gaps: %+v", len(d.gaps), d.gaps)
		return
	}
	g := d.gaps[0]
	if g.Reason != codec.GapRetention || g.FromSeq != g.ToSeq || g.FromSeq != uint64(had)+1 || g.before < all[lost].offset {
		d.timeline.wrong("gap %+v, lost are those before offset %d", g, all[lost].offset)
	}
	want := slices.Clone(all[:had])
	for _, m := range all {
		if m.offset >= g.before {
			want = append(want, m)
		}
	}
	if len(want) == had {
		d.timeline.wrong("nothing is left behind the gap")
	}
	var got []moment
	for _, m := range d.deliveries {
		got = append(got, moment{m.offset, m.Message.MessageID})
	}
	if !slices.Equal(got, want) {
		d.timeline.wrong("%d messages, want %d: %d of the first and what follows offset %d", len(got), len(want), had, g.before-1)
	}
}
