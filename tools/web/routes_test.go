package web_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// version sets what a welcome says of the node and its map.
func version(node string, map_version int) func(welcome, limits map[string]any) {
	return func(w, _ map[string]any) { w["node"], w["map_version"] = node, map_version }
}

// A client that is told to move goes on at the new node, where it was; and what is under
// way is answered on the old connection.
func TestMoves(t *testing.T) {
	a, b := newScript(t), newScript(t)
	p := newClient(t, a, ``)
	old := a.welcome(version("a", 7))
	old.deliver(1, "one")
	p.until(`seen("message", "body", "one")`)
	p.run(`globalThis.sends = [client.send({to: ["bob"], body: "under way"})]; globalThis.pages = 0; client.history().then(() => pages++)`)
	send, question := old.readSend(), old.readHistory()
	old.moves("b", b, 8, 0)
	p.until(`client.state === "connecting"`)
	p.run(`sends.push(client.send({to: ["bob"], body: "later"}))`)
	old.deliver(2, "two, for nobody")
	c := b.welcome(version("b", 8), func(w, _ map[string]any) { w["cursor"], w["resumed"] = "c1", true })
	if got := fmt.Sprint(c.query["map_version"], c.query["cursor"]); got != "[8] [c1]" {
		t.Errorf("the client goes on with %s", got)
	}
	later := c.readSend()
	if later["body"] != "later" {
		t.Errorf("the client sent %v", later)
	}
	c.ack(later, "stored", "")
	p.until(`sends[1].state === "stored"`)
	c.deliverAt(1, 2, "two")
	p.until(`seen("message", "body", "two")`)
	p.is(`sends[0].state + sends[0].attempts + pages`, "sending10")
	old.ack(send, "stored", "")
	old.page(question)
	p.until(`sends[0].state === "stored" && pages === 1`)
	old.goodbye() // nothing is left to come
	p.is(`log.filter((e) => e.type === "message").map((e) => e.body).join()`, "one,two")
	p.is(`log.filter((e) => e.type === "state").map((e) => e.state).join()`, "connecting,connected,connecting,connected")

	// It remembers where it was led; when that node is gone, it asks another.
	c.drop()
	if got := b.accept().query["map_version"]; fmt.Sprint(got) != "[8]" {
		t.Errorf("map_version is %v", got)
	}
	b.server.Listener.Close()
	b.server.CloseClientConnections()
	a.tell("a", a, 9)
	p.run(`client.stop(); client.start()`)
	if got := a.accept().query["map_version"]; fmt.Sprint(got) != "[9]" {
		t.Errorf("map_version is %v", got)
	}
	p.is(`log.filter((e) => e.type === "error").length`, "0")
}

// What the old connection does not answer goes on the new one, with the same id.
func TestMoveRepeats(t *testing.T) {
	for name, end := range map[string]func(old *conn, send map[string]any){
		"closed": func(old *conn, _ map[string]any) { old.close(4200, "moved") },
		"lost":   func(old *conn, _ map[string]any) { old.drop() },
		"silent": func(old *conn, _ map[string]any) { old.goodbye() },
		"not the owner": func(old *conn, send map[string]any) {
			old.ack(send, "rejected", "not_owner")
			old.goodbye()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newScript(t), newScript(t)
			p := newClient(t, a, ``)
			old := a.welcome()
			p.run(`globalThis.send = client.send({to: ["bob"], body: "hi"})`)
			send := old.readSend()
			old.moves("b", b, 8, 0)
			c := b.welcome(version("b", 8))
			p.until(`client.state === "connected"`)
			end(old, send)
			again := c.readSend()
			if again["id"] != send["id"] {
				t.Errorf("sent %v, and then %v", send, again)
			}
			c.ack(again, "stored", "")
			p.until(`send.state === "stored"`)
		})
	}
}

// The old node may close first, and the new one may have asked for a pause.
func TestMoveAfterAPause(t *testing.T) {
	a, b := newScript(t), newScript(t)
	p := newClient(t, a, ``)
	old := a.welcome()
	began := time.Now()
	old.moves("b", b, 8, 300)
	old.deliver(1, "before")
	p.until(`seen("message", "body", "before")`)
	p.run(`globalThis.send = client.send({to: ["bob"], body: "hi"})`)
	p.is(`send.attempts`, "0") // it would be refused
	old.close(4200, "moved")
	c := b.welcome(version("b", 8))
	if d := time.Since(began); d < 300*time.Millisecond {
		t.Errorf("the client moved after %v", d)
	}
	c.readSend()
}

// A client does not go back to an older map: it asks the nodes. Nor does it go in circles.
func TestRedirects(t *testing.T) {
	a, b, d := newScript(t), newScript(t), newScript(t)
	p := newClient(t, a, ``)
	c := a.welcome(version("a", 9))
	p.until(`client.state === "connected"`)
	a.tell("d", d, 10)
	c.moves("b", b, 8, 0)
	p.until(`log.filter((e) => e.type === "error" && e.code === "moved").length === 1`)
	c.close(4200, "moved")
	if c = d.welcome(version("d", 10)); fmt.Sprint(c.query["map_version"]) != "[10]" {
		t.Errorf("the client goes on with %v", c.query)
	}
	p.until(`client.welcome.node === "d"`)
	nodes := []*script{b, d}
	for i := range 5 { // one redirect was counted already
		c.moves("x", nodes[i%2], 10, 0)
		if i < 4 {
			c = nodes[i%2].welcome(version("x", 10))
		}
	}
	p.until(`log.filter((e) => e.type === "error" && e.code === "moved").length === 2`)
	c.close(4200, "moved")
	p.until(`client.state === "waiting" && log.at(-1).delay > 0`)
	d.welcome(version("d", 10))
}

// A node that is down is left to itself: another seed knows who has taken its place.
func TestNodeDown(t *testing.T) {
	a, b, d := newScript(t), newScript(t), newScript(t)
	p := newClient(t, a, "urls: "+urls(a, b))
	var c *conn
	other := a
	select { // it begins at one of them
	case c = <-a.conns:
		other = b
	case c = <-b.conns:
	case <-time.After(patience):
		t.Fatal("no client connects")
	}
	t.Cleanup(func() { c.net.Close() })
	c.send(map[string]any{"type": "welcome", "user": "alice", "node": "x", "map_version": 7, "cursor": "c0", "heartbeat_ms": 60000,
		"limits": map[string]any{"in_flight": 256, "sends_per_second": 0}})
	p.until(`client.state === "connected"`)
	other.tell("d", d, 8)
	c.close(1012, "stopping")
	if c = d.welcome(version("d", 8)); fmt.Sprint(c.query["map_version"]) != "[8]" {
		t.Errorf("the client goes on with %v", c.query)
	}
}

// A node that has lost its log is left for another one that has taken its place by a newer
// map, and for no other.
func TestDegraded(t *testing.T) {
	a, b := newScript(t), newScript(t)
	p := newClient(t, a, `degradedSpread: 50, urls: `+urls(a))
	first := a.accept()
	first.moves("b", b, 7, 0)
	first.close(4201, "not_owner")
	c := b.welcome(version("b", 7))
	p.until(`client.state === "connected"`)
	asked := func() {
		t.Helper()
		for len(a.asked) > 0 {
			<-a.asked
		}
		select {
		case <-a.asked:
		case <-time.After(patience):
			t.Fatal("the client asks nobody")
		}
	}
	degraded := map[string]any{"type": "error", "code": "degraded", "message": "the log is gone"}
	c.send(degraded)
	asked()
	a.tell("b", b, 8) // it is the same
	asked()
	a.tell("a", a, 7) // that was before b
	asked()
	c.deliver(1, "still here")
	p.until(`seen("message", "body", "still here")`)

	// Whoever stores something has its log again.
	p.run(`globalThis.send = client.send({to: ["bob"], body: "hi"})`)
	c.ack(c.readSend(), "stored", "")
	p.until(`send.state === "stored"`)
	a.tell("a", a, 8)
	select {
	case <-a.conns:
		t.Error("the client moves away from a node that has its log")
	case <-time.After(300 * time.Millisecond): // six times the first spread
	}
	c.send(degraded)
	next := a.welcome(version("a", 8))
	if got := fmt.Sprint(next.query["map_version"], next.query["cursor"]); got != "[8] [c1]" {
		t.Errorf("the client goes on with %s", got)
	}
	c.goodbye()
}

// A page that stops within a move leaves nothing behind.
func TestStopWithinAMove(t *testing.T) {
	a, b := newScript(t), newScript(t)
	p := newClient(t, a, ``)
	old := a.welcome()
	p.run(`globalThis.send = client.send({to: ["bob"], body: "hi"})`)
	old.readSend()
	old.moves("b", b, 8, 0)
	c := b.welcome(version("b", 8))
	p.until(`client.state === "connected"`)
	p.run(`client.stop()`)
	old.goodbye()
	c.goodbye()
	p.is(`client.state + send.state`, "closedunknown")
}

// The seeds are taken in random order, one after the other.
func TestSeeds(t *testing.T) {
	a, b := newScript(t), newScript(t)
	newClient(t, a, "urls: "+urls(a, b))
	var went []string
	for range 4 {
		select {
		case c := <-a.conns:
			went = append(went, "a")
			c.drop()
		case c := <-b.conns:
			went = append(went, "b")
			c.drop()
		case <-time.After(patience):
			t.Fatal("no client connects")
		}
	}
	if !slices.Equal(went[:2], went[2:]) || went[0] == went[1] {
		t.Errorf("the client went to %q", went)
	}
}
