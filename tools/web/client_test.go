package web_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func TestConnectsWithTokenAndDevice(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, `overflow: "gap"`)
	c := s.welcome()
	if c.protocols != "godwit.v1.json, bearer.a.b-c._d" {
		t.Errorf("the client offers %q", c.protocols)
	}
	if got := fmt.Sprint(c.query); got != "map[device:[tab 1] overflow:[gap]]" {
		t.Errorf("the query is %s", got)
	}
	p.until(`client.state === "connected"`)
	p.is(`client.cursor`, "c0")
	p.is(`log.map((e) => e.state ?? e.type).join()`, "connecting,connected,welcome")
	p.run(`client.stop()`)
	p.is(`client.state`, "closed")
}

func TestSendOutcomes(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome()
	p.run(`globalThis.sends = ["yes", "no", "maybe", "later"].map((body) => client.send({to: ["bob", "carol"], body, ttl: body === "yes" ? 5000 : 0}))`)
	byBody := map[any]map[string]any{}
	for range 4 {
		f := c.readSend()
		byBody[f["body"]] = f
	}
	if f := byBody["yes"]; fmt.Sprint(f["to"]) != "[bob carol]" || f["kind"] != "message" || f["ttl_ms"] != 5000.0 || byBody["no"]["ttl_ms"] != nil || len(f["id"].(string)) != 32 {
		t.Errorf("the frame is %v", f)
	}
	c.ack(byBody["yes"], "stored", "")
	c.ack(byBody["no"], "rejected", "bad_recipient")
	c.ack(byBody["maybe"], "unknown", "timeout")
	p.until(`sends[2].state === "retrying"`)
	p.is(`sends.slice(0, 2).map((s) => s.state + ":" + s.code).join()`, "stored:,rejected:bad_recipient")
	p.is(`sends[0].messageId`, strings.Repeat("ab", 16))

	again := c.readSend()
	if again["id"] != byBody["maybe"]["id"] || again["body"] != "maybe" {
		t.Errorf("after an unknown, %v was sent in place of %v", again, byBody["maybe"])
	}
	// After an unknown, a rejection of the repetition does not settle the first attempt.
	c.ack(again, "rejected", "body_too_large")
	// But the history may have it.
	looked := c.readHistory()
	if looked["after"] != "c0" || looked["peer"] != "bob" {
		t.Errorf("asked for %v", looked)
	}
	c.page(looked, map[string]any{"self": true, "id": byBody["maybe"]["id"]})
	c.ack(byBody["later"], "rejected", "overloaded")
	again = c.readSend()
	if again["id"] != byBody["later"]["id"] {
		t.Errorf("after a retryable rejection, %v was sent in place of %v", again, byBody["later"])
	}
	c.ack(again, "stored", "")
	p.run(`await Promise.all(sends.map((s) => s.settled))`)
	p.is(`sends.map((s) => s.state + s.found).join()`, "storedfalse,rejectedfalse,unknowntrue,storedfalse")
	p.is(`sends[3].attempts`, "2")
}

func TestSendsAgainAfterALostConnection(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome()
	p.run(`globalThis.sends = ["1", "2", "3"].map((body) => client.send({to: ["bob"], body}))`)
	var ids []any
	for range 3 {
		ids = append(ids, c.readSend()["id"])
	}
	c.ack(map[string]any{"id": ids[1]}, "stored", "")
	p.until(`sends[1].state === "stored"`)
	c.drop()
	p.until(`client.state === "waiting"`)
	p.run(`sends.push(client.send({to: ["bob"], body: "4"}))`)

	c = s.welcome()
	var bodies []any
	for i := range 3 {
		f := c.readSend()
		bodies = append(bodies, f["body"])
		if i < 2 && !slices.Contains(ids, f["id"]) {
			t.Errorf("%v is sent again as %v", f["body"], f["id"])
		}
		c.ack(f, "stored", "")
	}
	if fmt.Sprint(bodies) != "[1 3 4]" {
		t.Errorf("sent on the new connection: %v", bodies)
	}
	p.until(`sends.every((s) => s.state === "stored")`)
}

func TestStop(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome(func(_, limits map[string]any) { limits["in_flight"] = 3 })
	p.run(`globalThis.sends = ["tried", "not tried"].map((body) => client.send({to: ["bob"], body}))`)
	c.readSend()
	p.run(`client.stop()`)
	p.is(`sends.map((s) => s.state + ":" + s.code).join()`, "unknown:closed,rejected:not_sent")
	// What is written while stopped waits for the next start.
	p.run(`sends.push(client.send({to: ["bob"], body: "later"})); client.start()`)
	c = s.welcome()
	c.ack(c.readSend(), "stored", "")
	p.until(`sends[2].state === "stored"`)
}

// With in_flight 4 the client leaves two places free.
func TestInFlightLimit(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome(func(_, limits map[string]any) { limits["in_flight"] = 4 })
	p.run(`globalThis.sends = Array.from({length: 10}, (_, i) => client.send({to: ["bob"], body: String(i)}))`)
	first, second := c.readSend(), c.readSend()
	p.is(`sends.map((s) => s.state[0]).join("")`, "ssqqqqqqqq")
	c.ack(second, "stored", "")
	c.ack(first, "stored", "")
	for range 8 {
		c.ack(c.readSend(), "stored", "")
	}
	p.until(`sends.every((s) => s.state === "stored")`)
}

// A client may begin with as many sends as it may make in a second, and must go on at
// less than that rate.
func TestRateLimit(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome(func(_, limits map[string]any) { limits["sends_per_second"] = 20 })
	p.run(`globalThis.sends = Array.from({length: 30}, (_, i) => client.send({to: ["bob"], body: String(i)}))`)
	for range 30 {
		c.readSend()
	}
	// The ten beyond the first twenty take 10/18 s, by the client's own clock.
	p.is(`sends[29].first - sends[0].first >= 500`, "true")
}

func TestCloseClasses(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	s.welcome().close(4102, "the token has expired")
	p.until(`seen("state", "code", 4102)`)
	c := s.welcome()
	c.send(map[string]any{"type": "error", "code": "shutting_down", "message": "the node is stopping"})
	c.close(1012, "")
	p.until(`seen("state", "code", 1012)`)
	c = s.welcome()
	p.until(`client.state === "connected"`)
	c.send(map[string]any{"type": "error", "code": "forbidden"})
	c.close(4003, "forbidden")
	p.until(`client.state === "closed"`)
	p.is(`log.at(-1).code + log.at(-1).reason`, "4003forbidden")
	p.is(`log.filter((e) => e.type === "error").map((e) => e.code + ":" + e.message).join()`,
		"shutting_down:the node is stopping,forbidden:")
	select {
	case <-s.conns:
		t.Error("after 4003 the client connects again")
	case <-time.After(500 * time.Millisecond): // the first pauses are shorter
	}
}

func TestSequence(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome()
	c.deliver(1, "one")
	c.send(map[string]any{"type": "gap", "from_seq": 2, "to_seq": 5, "reason": "outbox_full", "after": "c1", "before": "c6"})
	c.deliver(6, "six")
	c.send(map[string]any{"type": "heartbeat", "seq": 6, "cursor": "c8"})
	p.until(`client.cursor === "c8"`)
	p.is(`log.slice(3).map((e) => e.type + (e.seq ?? "")).join()`, "message1,gap,message6")
	p.is(`client.seq`, "6")
	c.deliver(8, "eight") // seven is missing
	c.send(map[string]any{"type": "heartbeat", "seq": 9, "cursor": "c9"})
	p.until(`log.filter((e) => e.type === "error" && e.code === "sequence").length === 2`)
	c.send(map[string]any{"type": "future"})
	c.send(map[string]any{
		"type": "deliver", "seq": 10, "cursor": "c10", "time": 1, "message_id": "00", "from": "bob", "to": []string{"alice"},
		"id": "x", "kind": "message", "body_base64": "AP8=",
	})
	p.until(`seen("message", "seq", 10)`)
	p.is(`log.at(-1).body`, "0,255")
}

func TestSendsBytes(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome()
	p.run(`client.send({to: ["bob"], body: new Uint8Array([0, 255])})`)
	if f := c.readSend(); f["body_base64"] != "AP8=" || f["body"] != nil {
		t.Errorf("sent %v", f)
	}
	p.is(`(() => { try { client.send({to: ["bob"], body: "\ud800"}) } catch (e) { return e.name } })()`, "TypeError")
}

func TestPings(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	soon := func(w, _ map[string]any) { w["heartbeat_ms"] = 300 }
	c := s.welcome(soon)
	for range 2 {
		if f := c.read(); f["type"] != "ping" {
			t.Fatalf("in silence the client sent %v", f)
		}
		c.send(map[string]any{"type": "pong"})
	}
	if f := c.read(); f["type"] != "ping" {
		t.Fatalf("in silence the client sent %v", f)
	}
	// No answer: the client gives the connection up and makes another.
	s.welcome()
	p.until(`client.state === "connected" && seen("state", "reason", "no answer to a ping")`)
}

// The test of the demo's promise: a slow reader makes the server's writes wait, and
// what waited comes later, in order.
func TestSlowReaderHoldsTheServerUp(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, `Transport: (await import("/godwit.js")).StreamTransport`)
	c := s.welcome()
	p.until(`client.state === "connected"`)
	p.run(`client.readDelay = 60000`)
	body := strings.Repeat("x", 60<<10)
	sent := 0
	for ; sent < 4000; sent++ {
		c.net.SetWriteDeadline(time.Now().Add(2 * time.Second))
		frame := fmt.Sprintf(`{"type":"deliver","seq":%d,"cursor":"c","time":1,"message_id":"00","from":"bob","to":["alice"],"id":"x","kind":"message","body":%q}`, sent+1, body)
		if wsutil.WriteServerText(c.net, []byte(frame)) != nil {
			break
		}
	}
	if sent == 4000 {
		t.Fatalf("the browser took %d MB that its page did not read", sent*60/1024)
	}
	t.Logf("the connection took %d KB before it was full", sent*60)
	if got := p.text(`log.filter((e) => e.type === "message").length`); got != "0" && got != "1" {
		t.Errorf("the page read %s messages", got)
	}
	p.run(`client.readDelay = 0`)
	p.until(fmt.Sprintf(`client.seq >= %d`, sent))
	p.is(`log.filter((e) => e.type === "error").length`, "0")
}

func TestPlainTransportCannotWait(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	s.welcome()
	p.is(`(() => { try { client.readDelay = 1 } catch (e) { return e.message } })()`, "this transport reads whatever comes; use StreamTransport")
}

func TestPage(t *testing.T) {
	s := newScript(t)
	p := open(t, s.url("/"))
	conns := map[string]*conn{}
	for _, device := range []string{"phone", "laptop", "phone"} {
		c := s.welcome()
		if c.query["device"][0] != device || !strings.HasPrefix(c.protocols, "godwit.v1.json, bearer.token-of-") {
			t.Errorf("the pane of %s connects with %v and %q", device, c.query, c.protocols)
		}
		conns[strings.TrimPrefix(c.protocols, "godwit.v1.json, bearer.token-of-")+"/"+device] = c
	}
	c := conns["alice/phone"]
	if len(conns) != 3 || c == nil {
		t.Fatalf("the panes are %v", conns)
	}
	p.do(
		chromedp.WaitVisible(pane("alice", "phone", `[data-testid=state]`)),
		chromedp.SetValue(pane("alice", "phone", `[data-testid=recipients]`), "bob, carol"),
		chromedp.SendKeys(pane("alice", "phone", `[data-testid=body]`), "<b>hi</b>\n"),
	)
	f := c.readSend()
	if got := fmt.Sprintf("%v %v", f["to"], f["body"]); got != "[bob carol] <b>hi</b>" {
		t.Errorf("sent %v", f)
	}
	p.until(`document.querySelector("[data-testid=message]")?.dataset.state === "sending"`)
	c.ack(f, "stored", "")
	c.send(map[string]any{
		"type": "deliver", "seq": 1, "self": true, "cursor": "c1", "time": 1700000000000, "message_id": "11",
		"from": "alice", "to": []string{"bob", "carol"}, "id": f["id"], "kind": "message",
	})
	c.deliver(2, "hello alice")
	c.send(map[string]any{"type": "gap", "from_seq": 3, "to_seq": 3, "reason": "retention", "after": "c2", "before": "c9"})
	p.do(chromedp.WaitVisible(pane("alice", "phone", `[data-testid=gone][data-code=""]`)))
	p.is(`[...document.querySelectorAll("[data-device=phone][data-user=alice] [data-testid=message]")].map((m) =>
		[m.dataset.state, m.dataset.seq, m.dataset.cursor, m.querySelector("p").textContent].join(" ")).join("; ")`,
		"stored 1 c1 <b>hi</b>; delivered 2 c2 hello alice")
	p.is(`[...document.querySelectorAll("[data-device=phone][data-user=alice] dd")].map((n) => n.textContent).join()`, "3,2,1,0 s")

	// What came before comes from the history, until there is nothing more.
	p.do(chromedp.Click(pane("alice", "phone", `[data-testid=earlier]`)))
	h := c.readHistory()
	if h["before"] != "c1" {
		t.Errorf("asked for %v", h)
	}
	c.page(h, map[string]any{"body": "before"})
	p.do(chromedp.WaitNotVisible(pane("alice", "phone", `[data-testid=earlier]`)))
	p.is(`[...document.querySelectorAll("[data-device=phone][data-user=alice] [data-testid=message]")].map((m) =>
		m.dataset.state + " " + m.querySelector("p").textContent).join("; ")`,
		"history before; stored <b>hi</b>; delivered hello alice")

	// A message that comes late shows that the pane is behind, for a while.
	now := time.Now().UnixMilli()
	for i, ago := range []int64{0, 65_000} {
		c.send(map[string]any{
			"type": "deliver", "seq": 4 + i, "cursor": fmt.Sprint("d", i), "time": now - ago, "message_id": fmt.Sprint("d", i),
			"from": "bob", "to": []string{"alice"}, "id": fmt.Sprint("d", i), "kind": "message", "body": "late",
		})
	}
	p.do(chromedp.WaitVisible(pane("alice", "phone", `[data-testid=notice]`)))
	p.is(`document.querySelector("[data-testid=pane]").dataset.behind`, "65")
	p.until(`document.querySelector("[data-testid=pane]").dataset.behind === "0"`)
	p.do(chromedp.WaitNotVisible(pane("alice", "phone", `[data-testid=notice]`)))

	c.close(ws.StatusCode(4003), "forbidden")
	p.do(
		chromedp.WaitVisible(pane("alice", "phone", `.trouble`)),
		chromedp.Click(pane("alice", "phone", `[data-testid=connection]`)),
	)
	s.welcome()
	p.until(`document.querySelector("[data-testid=pane]")?.dataset.state === "connected"`)
	p.do(
		chromedp.Click(pane("alice", "phone", `[data-testid=remove]`)),
		chromedp.SendKeys(chromedp.CSS(`[data-testid=add-user]`), "dora"),
		chromedp.SendKeys(chromedp.CSS(`[data-testid=add-device]`), "watch\n"),
	)
	s.welcome()
	p.until(`[...document.querySelectorAll("[data-testid=pane]")].map((p) => p.dataset.user).join() === "alice,bob,dora"`)
}
