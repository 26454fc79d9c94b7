package foreign

import (
	"fmt"
	"strings"
	"testing"
)

// TestSlowReader has one of bob's devices stop reading until the server drops what
// it cannot keep for it. When it reads again it learns the exact range, has lost no
// ack, and goes on; bob's other device, and the sender, notice nothing.
func TestSlowReader(t *testing.T) {
	n := dev(t)
	each(t, func(t *testing.T, k kind) {
		bob := "bob-" + k.String()
		var small []string
		if k.language.name == python.name { // ws has no say in the buffers of its socket
			small = []string{"--receive-buffer", "8192"}
		}
		slow, quick := n.connect(t, k, bob, "phone", small...), n.connect(t, k, bob, "laptop")
		// numbered is what bob's timeline holds from here on, by sequence number: both
		// devices count from the same place, and quick misses nothing.
		numbered := []frame{{}}
		follow := func() {
			t.Helper()
			numbered = append(numbered, quick.frame("deliver"))
		}

		t.Log("the slow device sends, and stops reading")
		slow.stored("s1", "before", "carol")
		follow()
		slow.do("pause", nil)
		slow.send("s2", "meanwhile", "carol")
		follow()
		body := strings.Repeat("x", 60_000)
		posted := 0
		post := func() {
			t.Helper()
			n.post(t, "alice", bob, fmt.Sprintf("%s-%d", k, posted), body)
			posted++
			follow() // at this pace quick never lags behind
		}
		dropped := func() float64 { return n.metric(t, "godwit_drops_total", `reason="outbox_`) }
		for before := dropped(); dropped() < before+10; {
			post()
		}

		t.Log("it reads again")
		slow.do("resume", nil)
		last := 0
		gaps := slow.covers(numbered, &last)
		if gaps == 0 {
			t.Error("no gap was told")
		}
		slow.acked("s2", "stored", "")

		t.Log("and is live again")
		post()
		slow.covers(numbered, &last)
		slow.stored("s3", "after", "carol")
		follow()
		slow.covers(numbered, &last)
		slow.quiet()
		quick.quiet()
	})
}

// covers takes deliveries and gaps until they cover all numbers, compares them with
// what another device of the user got, and returns how many gaps there were. last is
// the last number that was covered before.
func (d *device) covers(numbered []frame, last *int) (gaps int) {
	d.t.Helper()
	for *last < len(numbered)-1 {
		f := d.take("delivery or gap", func(e *event) bool {
			return e.Event == "frame" && (e.Frame.Type == "deliver" || e.Frame.Type == "gap")
		}).Frame
		if f.Type == "deliver" {
			*last = int(f.Seq)
			if want := numbered[f.Seq]; f.ID != want.ID || f.Cursor != want.Cursor {
				d.t.Errorf("number %d is %s at %s, on the other device %s at %s", f.Seq, f.ID, f.Cursor, want.ID, want.Cursor)
			}
			continue
		}
		gaps++
		d.t.Logf("gap: %d to %d of %d (%s)", f.FromSeq, f.ToSeq, len(numbered)-1, f.Reason)
		*last = int(f.ToSeq)
		if f.Reason != "outbox_full" && f.Reason != "outbox_bytes" {
			d.t.Errorf("gap with the reason %q", f.Reason)
		}
		if want := numbered[f.FromSeq-1].Cursor; f.After != want {
			d.t.Errorf("the gap lies after %s, the last delivery before it has %s", f.After, want)
		}
		if int(f.ToSeq) < len(numbered)-1 {
			// Nobody else's messages are in bob's partition meanwhile, so the next message is
			// the next record.
			if want := numbered[f.ToSeq+1].Cursor; f.Before != want {
				d.t.Errorf("the gap lies before %s, the message after it has %s", f.Before, want)
			}
		} else if f.Before == "" || f.Before == numbered[f.ToSeq].Cursor {
			d.t.Errorf("the gap lies before %q, which its last message has", f.Before)
		}
	}
	return gaps
}
