package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestNode speaks to a real node in both formats, whole messages and fragments, and sees
// every frame that a single node sends.
func TestNode(t *testing.T) {
	n := startNode(t)
	for _, format := range []Format{JSON, Proto} {
		for _, fragments := range []int{1, 64} {
			t.Run(fmt.Sprintf("%s in %d fragments", format, fragments), func(t *testing.T) {
				name := func(who string) string { return fmt.Sprintf("%s-%s-%d-李", who, format, fragments) }
				connect := func(t *testing.T, who, called string, o Options) *device {
					o.User, o.Device, o.Format, o.Fragments = name(who), called, format, fragments
					return n.connect(t, o)
				}
				testConversation(t, connect, name)
			})
		}
	}
	last := n.connect(t, Options{User: "last", Format: JSON})
	n.Signal(t, syscall.SIGTERM)
	if end := last.ended(); end.Code != 1012 {
		t.Errorf("a node that stops ends with %v", end)
	}
}

func testConversation(t *testing.T, connect func(t *testing.T, who, device string, o Options) *device, name func(string) string) {
	alice, bob := name("alice"), name("bob")
	phone := connect(t, "alice", "phone", Options{})
	laptop := connect(t, "alice", "", Options{})
	b := connect(t, "bob", "phone", Options{Overflow: "gap"})
	begin := phone.Welcome()
	if begin.Resumed || begin.User != alice {
		t.Fatalf("welcome %+v", begin)
	}

	bodies := [][]byte{[]byte("hi"), nil, {0, 0xff, 0xfe}, []byte("\"\\\n\x00 <&> 🦆\u2028"), bytes.Repeat([]byte("0123456789abcdef"), 4096)}
	for i, body := range bodies {
		s := Send{ID: fmt.Sprintf("m%d", i), To: []string{bob}, Body: body, TTL: uint64(i) * 86400000}
		a := phone.stored(s)
		for _, d := range []*device{phone, laptop, b} {
			got := next[*Deliver](d)
			if got.Seq != uint64(i+1) || got.MessageID != a.MessageID || got.ID != s.ID || got.From != alice || !slices.Equal(got.To, s.To) ||
				got.TTL != s.TTL || got.Kind != KindMessage || got.Self == (d == b) {
				t.Fatalf("delivery %+v of %+v", got, s)
			}
			want := body
			if d == phone {
				want = nil // its own message comes live, without the body
			}
			if !bytes.Equal(got.Body, want) {
				t.Fatalf("body of %d bytes, want %d", len(got.Body), len(want))
			}
			if d != b && got.Time != a.Time {
				t.Fatalf("time %d, of the ack %d", got.Time, a.Time)
			}
		}
	}

	// A signal is delivered, and in no history.
	phone.stored(Send{ID: "s", To: []string{bob}, Kind: KindSignal, Body: []byte("typing")})
	if d := next[*Deliver](b); d.Kind != KindSignal || string(d.Body) != "typing" {
		t.Fatalf("signal %+v", d)
	}
	// A retry is stored again, and delivered once: the next delivery is of another send.
	phone.stored(Send{ID: "m0", To: []string{bob}, Body: bodies[0]})
	phone.stored(Send{ID: "last", To: []string{bob, name("carol")}})
	if d := next[*Deliver](b); d.ID != "last" {
		t.Fatalf("after a retry came %+v", d)
	}
	if a := phone.send(Send{ID: "self", To: []string{alice}}); a.Status != Rejected || a.Code != "recipient_is_sender" {
		t.Fatalf("ack %+v", a)
	}

	if err := phone.Ping(); err != nil {
		t.Fatal(err)
	}
	next[*Pong](phone)

	// History, from either end, and what is refused of it.
	var all []Message
	eventually(t, "history has caught up", func() bool {
		p := phone.page(History{ID: "newest", Limit: 100})
		all = p.Messages
		return p.Code == "" && len(all) == len(bodies)+1
	})
	for i, body := range bodies {
		if all[i].ID != fmt.Sprintf("m%d", i) || !bytes.Equal(all[i].Body, body) || !all[i].Self {
			t.Fatalf("in history at %d: %+v", i, all[i])
		}
	}
	p := phone.page(History{ID: "before", Before: all[2].Cursor, Limit: 1, Peer: bob})
	if len(p.Messages) != 1 || p.Messages[0].ID != "m1" || !p.MoreBefore || p.Asked.ID != "before" {
		t.Fatalf("page %+v", p)
	}
	if p := phone.page(History{ID: "between", After: all[0].Cursor, Before: all[3].Cursor}); len(p.Messages) != 2 {
		t.Fatalf("page %+v", p)
	}
	if p := phone.page(History{ID: "around", Around: all[1].Cursor, Limit: 3}); len(p.Messages) != 3 {
		t.Fatalf("page %+v", p)
	}
	if p := phone.page(History{ID: "none", Peer: name("nobody")}); len(p.Messages) != 0 {
		t.Fatalf("page %+v", p)
	}
	if p := phone.page(History{ID: "bad", After: "nonsense"}); p.Code != "bad_cursor" {
		t.Fatalf("page %+v", p)
	}

	if err := phone.Refresh("nonsense"); err != nil {
		t.Fatal(err)
	}
	if e := next[*Error](phone); e.Code != "unauthorized" {
		t.Fatalf("error %+v", e)
	}

	if err := phone.Close(); err != nil {
		t.Fatal(err)
	}
	if end := phone.ended(); end.Code != closeNormal {
		t.Fatalf("the end is %v", end)
	}
	if err := phone.Ping(); err == nil {
		t.Fatal("a closed connection takes a ping")
	}
	b.Cut()
	if end := b.ended(); end.Code != 0 {
		t.Fatalf("the end is %v", end)
	}

	// What was missed comes after a cursor, with the bodies that are this user's own.
	again := connect(t, "alice", "phone", Options{Cursor: begin.Cursor})
	if !again.Welcome().Resumed {
		t.Fatalf("welcome %+v", again.Welcome())
	}
	for i := range all {
		if d := next[*Deliver](again); d.Cursor != all[i].Cursor || !bytes.Equal(d.Body, all[i].Body) {
			t.Fatalf("caught up %+v, in history %+v", d.Message, all[i])
		}
	}
	newest := connect(t, "bob", "tablet", Options{Start: "last:2"})
	for d := next[*Deliver](newest); d.ID != "last"; d = next[*Deliver](newest) {
	}
}

// TestSlow has clients read slowly, not at all, and again. Nothing is lost; a client that
// wants gaps is told what was dropped, and finds it in history.
func TestSlow(t *testing.T) {
	n := startNode(t)
	sender := n.connect(t, Options{User: "sender", Format: Proto})
	slow := n.connect(t, Options{User: "slow", Format: JSON, ReceiveBuffer: 256 << 10})
	gaps := n.connect(t, Options{User: "slow", Format: Proto, ReceiveBuffer: 256 << 10, Overflow: "gap"})
	slow.SetPace(NoPace)
	gaps.SetPace(NoPace)
	const count = 150
	body := bytes.Repeat([]byte("x"), maxBody) // together more than kernels hold
	for i := range count {
		s := Send{ID: fmt.Sprint(i), To: []string{"slow"}, Body: body}
		eventually(t, "a send is not rejected", func() bool {
			a := sender.send(s)
			if a.Status == Unknown || a.Status == Rejected && a.Code != "rate_limited" {
				t.Fatalf("ack %+v", a)
			}
			return a.Status == Stored
		})
	}
	slow.SetPace(4 << 20)
	for i := range count {
		if i == count/10 {
			slow.SetPace(FullPace)
		}
		if d := next[*Deliver](slow); d.ID != fmt.Sprint(i) {
			t.Fatalf("delivery %s in place of %d", d.ID, i)
		}
	}
	gaps.SetPace(FullPace)
	g := next[*Gap](gaps)
	if g.Reason != "outbox_full" && g.Reason != "outbox_bytes" {
		t.Fatalf("gap %+v", g)
	}
	var p *Page
	eventually(t, "history has what was dropped", func() bool {
		p = gaps.page(History{ID: "gap", After: g.After, Before: g.Before, Limit: 1})
		return len(p.Messages) == 1
	})
	if m := p.Messages[0]; m.ID != fmt.Sprint(g.From-1) || !bytes.Equal(m.Body, body) {
		t.Fatalf("history has %s after %+v", m.ID, g)
	}
}

// TestRefused has a node refuse connections, to clients and to pages.
func TestRefused(t *testing.T) {
	n := startNode(t)
	good := n.token(t, "alice")
	for name, test := range map[string]struct {
		o      Options
		status int
		code   string
		close  int
	}{
		"token":         {Options{Token: "nonsense"}, 401, "unauthorized", 4001},
		"cursor":        {Options{Cursor: "nonsense"}, 400, "bad_cursor", 4000},
		"parameter":     {Options{Start: "yesterday"}, 400, "bad_parameter", 4000},
		"path":          {Options{URL: strings.TrimSuffix(n.url, "connect") + "other"}, 404, "", 0},
		"version ahead": {Options{MapVersion: 1 << 40}, 503, "not_ready", 1013},
	} {
		for _, format := range []Format{JSON, Proto} {
			for _, origin := range []string{"", "http://page.example"} {
				t.Run(fmt.Sprintf("%s %s %s", name, format, origin), func(t *testing.T) {
					o := test.o
					o.User, o.Format, o.Origin = "alice", format, origin
					if o.Token == "" {
						o.Token = good
					}
					_, err := n.dial(t, o)
					var r *Refusal
					if !errors.As(err, &r) {
						t.Fatalf("error %v", err)
					}
					t.Logf("%+v", r)
					for _, v := range r.Violations {
						t.Error(v)
					}
					byFrames := origin != "" && test.close != 0
					if test.code != "" && r.Code != test.code || byFrames != (r.Status == 0) ||
						byFrames && r.CloseCode != test.close || !byFrames && r.Status != test.status {
						t.Errorf("refused with %+v", r)
					}
				})
			}
		}
	}
}
