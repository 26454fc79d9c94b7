package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/auth"
)

// TestSlowReader has devices that do not read, and that want to be told of gaps. Their
// outboxes overflow for the reason that the settings make the first, others get
// everything, and when the slow ones read again they learn exactly what they have lost.
func TestSlowReader(t *testing.T) {
	for _, c := range []struct {
		reason codec.GapReason
		flags  []string
		memory float64 // what frames may take while nobody but the slow ones waits
	}{
		{codec.GapOutboxFull, []string{"--limits-queue-messages", "32", "--limits-queue-bytes", "1MiB"}, 2 << 20},
		{codec.GapOutboxBytes, []string{"--limits-queue-messages", "4096", "--limits-queue-bytes", "128KiB"}, 2 << 20},
		{codec.GapNodeMemory, []string{"--limits-queue-messages", "4096", "--limits-queue-bytes", "1MiB", "--limits-node-frame-bytes", "1MiB"}, 3 << 19},
	} {
		t.Run(string(c.reason), func(t *testing.T) {
			kafkatest.Each(t, func(t *testing.T, b kafkatest.Backend) {
				n := serve(t, newLog(t, b, 8), newKey(t, auth.HS256), append(append(noRate, "--limits-body-bytes", "8KiB"), c.flags...)...)
				slowReader(t, n, c.reason, c.memory)
			})
		})
	}
}

func slowReader(t *testing.T, n *node, reason codec.GapReason, memory float64) {
	const (
		drops = 300 // at least so many, of 8 KB in each encoding, which would not fit into memory
		burst = 8   // more than may wait for a connection while the node lacks room
		owned = 20  // sends of a slow device itself
	)
	body := strings.Repeat("slow ", 1600)
	fast := connect(t, n, "bob", options{device: "fast", encoding: codec.Proto})
	// The slow ones differ in what they wait for: silence, and the middle of a storm.
	deaf := options{device: "slow", encoding: codec.JSON, overflow: codec.OverflowGap, receiveBuffer: 4096, deaf: true}
	slow := connect(t, n, "bob", deaf)
	deaf.device, deaf.encoding = "slower", codec.Proto
	slower := connect(t, n, "bob", deaf)
	alice := connect(t, n, "alice", options{device: "phone"})

	sent := 0
	storm := func(bursts int) {
		t.Helper()
		for range bursts {
			before := fast.count()
			alice.flood(sent+1, sent+burst, burst, func(i int) (string, []string) { return fmt.Sprint(i, " ", body), []string{"bob"} })
			sent += burst
			fast.got(before + burst) // so that its queue never fills
		}
	}
	dropped := func(m metrics) float64 { return m.of(t, label("godwit_drops_total", "reason", string(reason))) }
	var m metrics
	for m = n.metrics(t); dropped(m) < drops; m = n.metrics(t) {
		storm(8)
		if sent > 20_000 {
			t.Fatal("the outboxes of devices that do not read never overflow")
		}
	}
	for i := range owned {
		slow.send(fmt.Sprint("own", i), "hello", "nobody")
		fast.got(sent + i + 1)
	}
	m = n.conserved(t)
	if got := m.of(t, "godwit_frame_bytes"); got > memory {
		t.Errorf("frames take %v bytes, want at most %v", got, memory)
	}
	// When it is the node that lacks room, some comes now and then although they do not read.
	if got := m.of(t, "godwit_gaps_total"); got != 0 && reason != codec.GapNodeMemory {
		t.Errorf("%v gaps were told to devices that do not read", got)
	}
	if m.sum(t, "godwit_drops_total") != dropped(m) {
		t.Errorf("deliveries were dropped for other reasons than %s: %v", reason, m)
	}

	// One reads when nothing is sent any more: it learns that the last ones are lost.
	slow.listen()
	slow.reaches(sent + owned)
	for i := range owned {
		if a := slow.ack(fmt.Sprint("own", i), 0); a.Status != backplane.Stored {
			t.Errorf("own%d was answered %d %q", i, a.Status, a.Code)
		}
	}
	// The other reads while more comes, and may lose more.
	storm(1)
	slower.listen()
	storm(40)
	for _, d := range []*device{slow, slower} {
		d.reaches(sent + owned)
		// From here on everything arrives again.
		d.ping()
	}
	got := slow.count()
	storm(1)
	slow.got(got + burst)
	slow.reaches(sent + owned)
	slower.reaches(sent + owned)

	m = n.conserved(t)
	lost := slow.lost(fast, reason) + slower.lost(fast, reason)
	if total := m.sum(t, "godwit_drops_total"); total != float64(lost) {
		t.Errorf("gaps tell of %d lost deliveries, the server has dropped %v", lost, total)
	}
	if fast.count() != sent+owned || len(fast.gaps) != 0 || alice.count() != sent {
		t.Errorf("others got %d and %d messages, want %d and %d", fast.count(), alice.count(), sent+owned, sent)
	}
	if got := m.of(t, "godwit_gaps_total"); got != float64(len(slow.gaps)+len(slower.gaps)) {
		t.Errorf("%v gaps were told, %d and %d came", got, len(slow.gaps), len(slower.gaps))
	}
}

// reaches waits until the device knows of n deliveries, those in gaps included.
func (d *device) reaches(n int) {
	d.t.Helper()
	d.until(fmt.Sprint("news of ", n, " deliveries"), func() bool { return d.timeline.seq >= uint64(n) })
}

// lost compares what d got with what another device of the user got, which has lost
// nothing: what is missing must be what the gaps tell, neither more nor less. It
// returns how much that is.
func (d *device) lost(complete *device, reason codec.GapReason) int {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	complete.mu.Lock()
	defer complete.mu.Unlock()
	if len(d.gaps) == 0 {
		d.timeline.wrong("no gap")
	}
	var lost int
	for _, g := range d.gaps {
		if g.Reason != reason {
			d.timeline.wrong("gap because of %s, want %s", g.Reason, reason)
		}
		// Sequence numbers of both begin with 1 at the same message.
		inside := complete.deliveries[g.FromSeq-1 : g.ToSeq]
		if first, last := inside[0], inside[len(inside)-1]; first.offset <= g.after || last.offset >= g.before {
			d.timeline.wrong("gap between offsets %d and %d, lost are %d to %d", g.after, g.before, first.offset, last.offset)
		}
		if g.FromSeq > 1 && complete.deliveries[g.FromSeq-2].offset != g.after {
			d.timeline.wrong("gap after offset %d, the delivery before it has %d", g.after, complete.deliveries[g.FromSeq-2].offset)
		}
		if int(g.ToSeq) < len(complete.deliveries) && complete.deliveries[g.ToSeq].offset < g.before {
			d.timeline.wrong("gap before offset %d, the delivery after it has %d", g.before, complete.deliveries[g.ToSeq].offset)
		}
		lost += len(inside)
	}
	for _, got := range d.deliveries {
		if want := complete.deliveries[got.Seq-1]; want.offset != got.offset || want.Message.MessageID != got.Message.MessageID {
			d.timeline.wrong("delivery %d is not that of %s", got.Seq, complete.timeline.name)
		}
	}
	if len(d.deliveries)+lost != len(complete.deliveries) {
		d.timeline.wrong("%d deliveries and %d lost, want %d in all", len(d.deliveries), lost, len(complete.deliveries))
	}
	return lost
}
