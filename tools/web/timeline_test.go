package web_test

import (
	"fmt"
	"testing"
)

// Each connection goes on at the cursor where the one before ended, and what comes again
// is left out.
func TestResumes(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, `start: "last:5"`)
	c := s.welcome()
	if got := fmt.Sprint(c.query["start"], c.query["cursor"]); got != "[last:5] []" {
		t.Errorf("the client begins with %s", got)
	}
	c.deliver(1, "one")
	c.send(map[string]any{"type": "gap", "from_seq": 2, "to_seq": 5, "reason": "outbox_full", "after": "c1", "before": "c6"})
	p.until(`seen("gap", "to_seq", 5)`)
	c.drop()
	c = s.welcome(func(w, _ map[string]any) { w["cursor"], w["resumed"] = "c1", true })
	if got := fmt.Sprint(c.query["start"], c.query["cursor"]); got != "[] [c1]" {
		t.Errorf("the client goes on with %s", got)
	}
	c.deliver(1, "one")
	c.deliver(2, "two")
	c.send(map[string]any{"type": "heartbeat", "seq": 2, "cursor": "c9"})
	p.until(`client.cursor === "c9"`)
	p.is(`log.filter((e) => e.type === "message").map((e) => e.body).join()`, "one,two")
	p.run(`client.stop(); client.start()`)
	if got := s.accept().query["cursor"]; fmt.Sprint(got) != "[c9]" {
		t.Errorf("after a stop the client goes on with %v", got)
	}
	p.is(`log.filter((e) => e.type === "error" || e.type === "gone").length`, "0")
}

// The page may keep the cursor and give it to the next client.
func TestStartsAtACursor(t *testing.T) {
	s := newScript(t)
	newClient(t, s, `cursor: "c7", start: "last:5"`)
	if q := s.accept().query; fmt.Sprint(q["start"], q["cursor"]) != "[] [c7]" {
		t.Errorf("the client begins with %v", q)
	}
}

// Signals are not known again: they are news of the moment.
func TestSignalsComeAgain(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome()
	for seq := 1; seq <= 3; seq++ {
		c.send(map[string]any{
			"type": "deliver", "seq": seq, "cursor": fmt.Sprint("c", seq), "time": 1, "message_id": "aa", "from": "bob",
			"to": []string{"alice"}, "id": "x", "kind": "signal", "body": "typing",
		})
	}
	p.until(`seen("message", "seq", 3)`)
	p.is(`log.filter((e) => e.type === "message").length`, "3")
}

// What is gone for good is told once; a cursor that the server does not know is forgotten.
func TestGone(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, `cursor: "c1", start: "last:5"`)
	gone := map[string]any{"type": "gap", "from_seq": 1, "to_seq": 1, "reason": "retention", "after": "c1", "before": "c40"}
	for range 2 {
		c := s.welcome(func(w, _ map[string]any) { w["cursor"] = "c1" })
		c.send(gone)
		p.until(`client.state === "connected" && client.seq === 1`)
		c.drop()
		p.until(`client.state === "waiting"`)
	}
	p.is(`log.filter((e) => e.type === "gone").map((e) => [e.after, e.before, e.code].join()).join(";")`, "c1,c40,")

	c := s.accept()
	c.send(map[string]any{"type": "error", "code": "unknown_cursor", "message": "of another log"})
	c.close(4000, "unknown_cursor")
	p.until(`log.filter((e) => e.type === "gone").length === 2`)
	p.is(`log.filter((e) => e.type === "gone").map((e) => [e.after, e.before, e.code].join()).at(-1)`, "c1,,unknown_cursor")
	c = s.welcome()
	if got := fmt.Sprint(c.query["start"], c.query["cursor"]); got != "[last:5] []" {
		t.Errorf("the client begins anew with %s", got)
	}
	// Any other 4000 is final.
	p.until(`client.state === "connected"`)
	c.close(4000, "bad_frame")
	p.until(`client.state === "closed"`)
}

func TestHistory(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	p.run(`globalThis.pages = []; globalThis.ask = (query) => client.history(query).then((page) => pages.push(page), (err) => pages.push(err));
		ask({before: "c9", limit: 2, peer: "bob"}); ask()`)
	c := s.welcome()
	first, second := c.readHistory(), c.readHistory()
	if len(first) != 5 || first["before"] != "c9" || first["limit"] != 2.0 || first["peer"] != "bob" || len(second) != 2 {
		t.Errorf("asked for %v and %v", first, second)
	}
	c.send(map[string]any{"type": "history_page", "id": second["id"], "code": "history_behind"})
	p.until(`pages.length === 1`)
	p.is(`pages[0] instanceof HistoryError && pages[0].code + pages[0].retryable`, "history_behindtrue")
	c.page(first, map[string]any{"self": true, "body": "one"}, map[string]any{"body_base64": "AP8="})
	p.until(`pages.length === 2`)
	p.is(`pages[1].messages.map((m) => String(m.body)).join(" ")`, "one 0,255")
	p.is(`client.cursor + client.seq + log.filter((e) => e.type === "message").length`, "c000")

	// A connection that is lost takes a question along: it is asked again on the next.
	p.run(`ask({after: "c2"})`)
	c.readHistory()
	c.drop()
	c = s.welcome()
	again := c.readHistory()
	if again["after"] != "c2" {
		t.Errorf("asked for %v", again)
	}
	c.send(map[string]any{"type": "history_page", "id": again["id"], "code": "no_history"})
	p.until(`pages.length === 3`)
	p.is(`pages[2].code + pages[2].retryable`, "no_historyfalse")

	p.run(`ask({})`)
	c.readHistory()
	p.run(`client.stop(); ask({})`)
	p.until(`pages.length === 5`)
	p.is(`pages[3].code + pages[4].code`, "closedclosed")
}

// Questions and sends share the places for answers.
func TestHistoryTakesPlaces(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome(func(_, limits map[string]any) { limits["in_flight"] = 4 })
	p.until(`client.state === "connected"`)
	p.run(`globalThis.sends = ["1", "2"].map((body) => client.send({to: ["bob"], body})); globalThis.pages = 0;
		for (let i = 0; i < 3; i++) client.history().then(() => pages++)`)
	one, two := c.readSend(), c.readSend()
	c.ack(one, "stored", "")
	h := c.readHistory() // came only now: there are two places
	c.ack(two, "stored", "")
	c.page(h)
	c.page(c.readHistory())
	c.page(c.readHistory())
	p.until(`pages === 3 && sends.every((s) => s.state === "stored")`)
}
