package foreign

import (
	"syscall"
	"testing"
	"time"
)

// TestConversation has users with several devices write to each other. Each test has
// devices of all kinds, and another kind begins.
func TestConversation(t *testing.T) {
	n := dev(t)
	for first, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			next := func(i int) kind { return kinds[(first+i)%len(kinds)] }
			alice, bob, carol := "alice "+k.String(), "bób@"+k.String(), "卡罗尔-"+k.String()
			alicePhone := n.connect(t, k, alice, "phone")
			aliceLaptop := n.connect(t, next(1), alice, "laptop")
			bobPhone := n.connect(t, next(2), bob, "phone")
			bobTablet := n.connect(t, next(3), bob, "tablet")
			carolNameless := n.connect(t, next(1), carol, "")
			all := []*device{alicePhone, aliceLaptop, bobPhone, bobTablet, carolNameless}

			t.Log("alice writes to bob and carol")
			text := "Grüße\n\"🦆\" \\ \u2028"
			ack := alicePhone.stored("m1", text, bob, carol)
			want := frame{From: alice, To: []string{bob, carol}, ID: "m1", Kind: "message", MessageID: ack.MessageID, Seq: 1}
			for _, d := range all[2:] {
				d.delivered(want, &text, nil)
			}
			want.Self = true
			aliceLaptop.delivered(want, &text, nil)
			if own := alicePhone.delivered(want, nil, nil); own.Time != ack.Time {
				t.Errorf("the message has the time %d on the device that sent it, and the ack says %d", own.Time, ack.Time)
			}

			t.Log("bob answers with bytes, as a signal")
			base64 := "AP/+gMMo"
			bobPhone.do("send", map[string]any{"id": "m1", "to": []string{alice}, "body_base64": base64, "kind": "signal"})
			ack = bobPhone.acked("m1", "stored", "")
			want = frame{From: bob, To: []string{alice}, ID: "m1", Kind: "signal", MessageID: ack.MessageID, Seq: 2}
			alicePhone.delivered(want, nil, &base64)
			aliceLaptop.delivered(want, nil, &base64)
			want.Self = true
			bobTablet.delivered(want, nil, &base64)
			bobPhone.delivered(want, nil, nil)

			t.Log("carol, whose device has no name, writes to alice, and all say goodbye")
			text = "bye"
			ack = carolNameless.stored("m1", text, alice)
			want = frame{From: carol, To: []string{alice}, ID: "m1", Kind: "message", MessageID: ack.MessageID, Seq: 3}
			alicePhone.delivered(want, &text, nil)
			aliceLaptop.delivered(want, &text, nil)
			want.Self, want.Seq = true, 2
			carolNameless.delivered(want, nil, nil)
			for _, d := range all {
				d.do("close", nil)
			}
			for _, d := range all {
				// Python says 1000; ws says no code, which the server answers with 1000.
				d.closed(1000)
				d.quiet()
			}
		})
	}
}

// delivered takes the next delivery and compares it with what the test knows of it.
func (d *device) delivered(want frame, text, base64 *string) frame {
	d.t.Helper()
	got := d.frame("deliver")
	if got.Cursor == "" || got.Time == 0 {
		d.t.Errorf("a delivery without cursor or time: %+v", got)
	}
	same := got.From == want.From && len(got.To) == len(want.To) && got.ID == want.ID && got.Kind == want.Kind &&
		got.MessageID == want.MessageID && got.Seq == want.Seq && got.Self == want.Self &&
		equal(got.Text, text) && equal(got.Base64, base64)
	for i := range got.To {
		same = same && got.To[i] == want.To[i]
	}
	if !same {
		d.t.Errorf("delivered: %+v, want %+v with the body %v, %v", got, want, deref(text), deref(base64))
	}
	return got
}

func equal(a, b *string) bool { return deref(a) == deref(b) && (a == nil) == (b == nil) }

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TestRetryAfterReconnect sends a message, loses the connection, and sends it again
// with the same id from the same device, as a client does that has not seen the ack.
func TestRetryAfterReconnect(t *testing.T) {
	n := dev(t)
	each(t, func(t *testing.T, k kind) {
		alice, bob := "alice-"+k.String(), "bob-"+k.String()
		receiver := n.connect(t, k, bob, "phone")
		before := n.connect(t, k, alice, "phone")
		first := before.stored("m1", "once", bob)
		before.Kill()

		after := n.connect(t, k, alice, "phone")
		again := after.stored("m1", "once", bob)
		if again.MessageID != first.MessageID {
			t.Errorf("the retry has the message id %s, the first attempt %s", again.MessageID, first.MessageID)
		}
		after.stored("m2", "another", bob)
		for seq, id := range []string{"m1", "m2"} {
			if got := receiver.frame("deliver"); got.ID != id || got.Seq != uint64(seq)+1 {
				t.Errorf("bob gets %s with number %d, want %s with %d", got.ID, got.Seq, id, seq+1)
			}
		}
		receiver.quiet()
		// The device that came later sees what was sent since, so not the first attempt.
		if got := after.frame("deliver"); got.ID != "m2" || got.Seq != 1 {
			t.Errorf("alice gets %s with number %d, want m2 with 1", got.ID, got.Seq)
		}
	})
}

// TestPings asks whether the server is there, in both ways.
func TestPings(t *testing.T) {
	n := dev(t)
	each(t, func(t *testing.T, k kind) {
		d := n.connect(t, k, "alice", "")
		d.do("ping", nil)
		d.frame("pong")
		d.do("probe", nil)
		d.take("pong of WebSocket", func(e *event) bool { return e.Event == "probed" })
		d.quiet()
	})
}

// TestShutdown stops a node in order: clients learn it, and may come again.
func TestShutdown(t *testing.T) {
	n := dev(t)
	var devices []*device
	for _, k := range kinds {
		devices = append(devices, n.connect(t, k, "alice", k.String()))
	}
	n.Signal(t, syscall.SIGTERM)
	for _, d := range devices {
		if e := d.frame("error"); e.Code != "shutting_down" || e.Message == "" {
			t.Errorf("error: %+v, want shutting_down and a sentence", e)
		}
		if e := d.closed(1012); e.Reason == "" {
			t.Error("closed without a reason")
		}
	}
	if code := n.Wait(t, patience); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestTokenExpires waits for tokens to expire: that ends the connections, and opens no
// others.
func TestTokenExpires(t *testing.T) {
	n := dev(t)
	// Long enough for clients to start on a busy machine: one that comes too late is
	// refused, and fails the test.
	const ttl = 15 * time.Second
	var devices []*device
	var tokens []string
	for _, k := range kinds {
		token := n.token(t, "alice", ttl)
		d := start(t, k, n.url, token, k.String())
		d.welcomed("alice")
		devices, tokens = append(devices, d), append(tokens, token)
	}
	for i, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			if e := devices[i].frame("error"); e.Code != "token_expired" {
				t.Errorf("error: %+v, want token_expired", e)
			}
			if e := devices[i].closed(4102); e.Reason == "" {
				t.Error("closed without a reason")
			}
			refusal{status: 401, code: "token_expired", close: 4102}.check(t, k, n.url, tokens[i], "phone")
		})
	}
}
