package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// readPing reads the next frame, which must be a ping.
func (c *conn) readPing() {
	c.t.Helper()
	if frame := c.read(); frame["type"] != "ping" {
		c.t.Fatalf("the client sent %v, want a ping", frame)
	}
}

// A node that hangs takes what it is sent, and gives nothing. A client that awaits an answer
// finds out long before the next heartbeat is due, and goes elsewhere.
func TestLateAnswer(t *testing.T) {
	for name, ask := range map[string]func(p *tab, c *conn){
		"of a send": func(p *tab, c *conn) {
			p.run(`globalThis.answer = client.send({to: ["bob"], body: "hi"}).settled`)
			c.readSend()
		},
		"of history": func(p *tab, c *conn) {
			p.run(`globalThis.answer = client.history()`)
			c.readHistory()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newScript(t), newScript(t)
			p := newClient(t, a, ``)
			c := a.welcome(version("a", 7))
			c.moves("b", b, 8, 0)
			c = b.welcome(version("b", 8), func(w, _ map[string]any) { w["heartbeat_ms"] = 3600_000 })
			p.until(`client.state === "connected"`)
			ask(p, c)
			c.readPing()
			c.deliver(1, "anything is a sign of life")
			c.readPing() // it is there, but why does it not answer?
			a.tell("a", a, 9)
			c = a.welcome(version("a", 9))
			if !strings.Contains(p.text(`JSON.stringify(log)`), "no answer to a ping") {
				t.Error("the client left for another reason")
			}
			if frame := c.read(); frame["type"] == "send" {
				c.ack(frame, "stored", "")
			} else {
				c.page(frame)
			}
			p.run(`await answer`)
		})
	}
}

// A client that waits for the welcome of a node asks the others meanwhile, and goes where they
// say, unless that is where it is.
func TestSilentNode(t *testing.T) {
	a, b, d := newScript(t), newScript(t), newScript(t)
	p := newClient(t, a, ``)
	c := a.welcome(version("a", 7))
	c.moves("b", b, 8, 0)
	c = b.welcome(version("b", 8))
	p.until(`client.state === "connected"`)
	a.tell("b", b, 8)
	p.run(`Math.random = () => 0`) // the pauses are the shortest
	c.drop()
	b.accept()
	for range 2 {
		select {
		case <-a.asked:
		case <-time.After(patience):
			t.Fatal("the client asks nobody")
		}
	}
	a.tell("d", d, 9)
	next := d.welcome(version("d", 9))
	if got := fmt.Sprint(next.query["map_version"]); got != "[9]" {
		t.Errorf("map_version is %v", got)
	}
	p.until(`client.state === "connected" && client.welcome.node === "d"`)
	p.is(`log.filter((e) => e.state === "waiting").map((e) => e.reason).join()`, ",no welcome came, and another node serves the user")
	p.is(`log.filter((e) => e.type === "error").length`, "0")
}

// A node that says nothing to a client which was never welcomed is left for one that was not
// tried yet, and waited for where there is none.
func TestSilentSeed(t *testing.T) {
	a, b := newScript(t), newScript(t)
	p := newClient(t, a, "urls: "+urls(a, b))
	for range 2 {
		select {
		case <-a.conns:
		case <-b.conns:
		case <-time.After(patience):
			t.Fatal("no client connects")
		}
	}
	p.until(`log.filter((e) => e.state === "waiting").length >= 2`)
	p.is(`log.filter((e) => e.state === "waiting")[0].reason`, "no welcome came, and other nodes are not tried yet")
	p.is(`log.filter((e) => e.state === "waiting")[1].reason`, "no welcome came")
}

// Nodes that hang may take longer for all the questions than another has for its welcome. The
// client connects all the same.
func TestSilentNodesAreAsked(t *testing.T) {
	a, b := newScript(t), newScript(t)
	p := newClient(t, a, ``)
	c := a.welcome(version("a", 7))
	c.moves("b", b, 8, 0)
	c = b.welcome(version("b", 8))
	p.until(`client.state === "connected"`)
	p.run(`const now = performance.now.bind(performance);
		let ahead = 0;
		performance.now = () => now() + ahead;
		globalThis.fetch = async () => {
			ahead += 11_000;
			await new Promise((resolve) => setTimeout(resolve, 600)); // the client looks at the time meanwhile
			throw new Error("no answer");
		}`)
	c.close(1012, "")
	a.welcome(version("a", 9))
	p.until(`client.state === "connected" && client.welcome.node === "a"`)
	p.is(`log.filter((e) => e.state === "waiting").map((e) => e.code).join()`, "1012")
}

// While the others answer, a failed node is about to be replaced, so the pauses stay short. If
// they do not, the pauses grow.
func TestPausesWhileOthersAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		routed bool
		bound  string // the longest of 16 pauses
	}{"they answer": {true, "3000"}, "they do not": {false, "15000"}} {
		t.Run(name, func(t *testing.T) {
			a, b := newScript(t), newScript(t)
			p := newClient(t, a, ``)
			c := a.welcome(version("a", 7))
			c.moves("b", b, 8, 0)
			c = b.welcome(version("b", 8))
			p.until(`client.state === "connected"`)
			if test.routed {
				a.tell("b", b, 8)
			} else {
				a.server.Listener.Close()
			}
			p.run(`Math.random = () => 0.02; // so much of each bound the client waits
				const now = performance.now();
				performance.now = () => now`) // all of it is soon after the first failure
			b.server.Listener.Close()
			c.drop()
			p.until(`log.filter((e) => e.state === "waiting").length >= 16`)
			p.is(`Math.round(Math.max(...log.filter((e) => e.state === "waiting").map((e) => e.delay)) / 0.02)`, test.bound)
		})
	}
}

// The server reads few pages of a client at a time, and refuses more. Sends need not wait for
// that.
func TestHistoryAwaitsItsTurn(t *testing.T) {
	s := newScript(t)
	p := newClient(t, s, ``)
	c := s.welcome()
	p.until(`client.state === "connected"`)
	p.run(`globalThis.pages = 0; for (let i = 0; i < 20; i++) client.history().then(() => pages++);
		globalThis.send = client.send({to: ["bob"], body: "hi"})`)
	var asked []map[string]any
	for range 8 {
		asked = append(asked, c.readHistory())
	}
	c.ack(c.readSend(), "stored", "")
	p.until(`send.state === "stored"`)
	for i := range 20 {
		c.page(asked[i])
		if len(asked) < 20 {
			asked = append(asked, c.readHistory())
		}
	}
	p.until(`pages === 20`)
}
