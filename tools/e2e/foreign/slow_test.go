package foreign

import (
	"fmt"
	"strings"
	"testing"
)

// TestSlowReader has one of bob's devices stop reading until the server has no room to
// keep for it what comes. When it reads again it gets all of it, or, if it wants to be
// told of gaps, learns the exact range, which the history has. It has lost no ack, and
// goes on; bob's other device, and the sender, notice nothing.
func TestSlowReader(t *testing.T) {
	n := dev(t)
	for _, overflow := range []string{"auto", "gap"} {
		t.Run(overflow, func(t *testing.T) {
			each(t, func(t *testing.T, k kind) { testSlowReader(t, n, k, overflow) })
		})
	}
}

func testSlowReader(t *testing.T, n *node, k kind, overflow string) {
	bob := "bob-" + overflow + "-" + k.String()
	args := []string{parameter("overflow", overflow)}
	if k.language.name == python.name { // ws has no say in the buffers of its socket
		args = append(args, "--receive-buffer", "8192")
	}
	slow, quick := n.connect(t, k, bob, "phone", args...), n.connect(t, k, bob, "laptop")
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
	passed := func() float64 { return n.metric(t, "godwit_left_to_catch_up_total") }
	if overflow == "gap" {
		passed = func() float64 { return n.metric(t, "godwit_drops_total", `reason="outbox_`) }
	}
	for before := passed(); passed() < before+10; {
		post()
	}

	t.Log("it reads again")
	slow.do("resume", nil)
	last := 0
	gaps := slow.covers(numbered, &last)
	if told := len(gaps) > 0; told != (overflow == "gap") {
		t.Errorf("the gaps are %+v", gaps)
	}
	for _, g := range gaps {
		slow.fetches(g, numbered)
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
}

// fetches reads what a gap has left out from the history, page by page, and compares it
// with what another device of the user got.
func (d *device) fetches(gap frame, numbered []frame) {
	d.t.Helper()
	after, more := gap.After, true
	for seq := gap.FromSeq; more; {
		page := d.page("after", after, "before", gap.Before)
		for _, m := range page.Messages {
			if seq > gap.ToSeq {
				d.t.Errorf("beside the gap there is %s at %s", m.ID, m.Cursor)
				return
			}
			if want := numbered[seq]; m.ID != want.ID || m.Cursor != want.Cursor || deref(m.Text) != deref(want.Text) {
				d.t.Errorf("in the place of number %d there is %s at %s, on the other device %s at %s", seq, m.ID, m.Cursor, want.ID, want.Cursor)
			}
			seq++
		}
		if after, more = page.After, page.MoreAfter; !more && seq != gap.ToSeq+1 {
			d.t.Errorf("the history of the gap ends before number %d", seq)
		}
	}
}

// covers takes deliveries and gaps until they cover all numbers, compares them with
// what another device of the user got, and returns the gaps. last is the last number that
// was covered before.
func (d *device) covers(numbered []frame, last *int) (gaps []frame) {
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
		gaps = append(gaps, f)
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
