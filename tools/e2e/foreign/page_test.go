package foreign

import (
	"fmt"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The demo page, by the attributes that package web promises to tests.

// pane is one device on the page.
type pane struct {
	*page
	selector string
}

func (p *page) pane(user, device string) *pane {
	return &pane{p, fmt.Sprintf("[data-testid=pane][data-user=%s][data-device=%s]", user, device)}
}

// part returns a part of the pane.
func (p *pane) part(name string) chromedp.CSS {
	return chromedp.CSS(fmt.Sprintf("%s [data-testid=%s]", p.selector, name))
}

// state waits until the pane's connection is in a state.
func (p *pane) state(want string) {
	p.t.Helper()
	p.until(fmt.Sprintf("document.querySelector(%q)?.dataset.state === %q", p.selector, want))
}

// shows waits until there is exactly one row whose text contains body, and it has all
// of the attributes, which are those of the page's dataset.
func (p *pane) shows(body string, attributes map[string]string) {
	p.t.Helper()
	for name, want := range attributes {
		p.until(fmt.Sprintf(`(() => {
			const rows = [...document.querySelectorAll(%q)].filter((row) => row.querySelector("p").textContent === %q);
			return rows.length === 1 && rows[0].dataset[%q] === %q;
		})()`, string(p.part("message")), body, name, want))
	}
}

// number returns a number that the pane shows.
func (p *pane) number(name string) int {
	p.t.Helper()
	return value[int](p.page, fmt.Sprintf("Number(document.querySelector(%q).textContent)", string(p.part(name))))
}

// showsNumber waits until the pane shows a number.
func (p *pane) showsNumber(name string, want int) {
	p.t.Helper()
	p.until(fmt.Sprintf("Number(document.querySelector(%q).textContent) === %d", string(p.part(name)), want))
}

// write types a message and presses Enter.
func (p *pane) write(to, body string) {
	p.t.Helper()
	p.do(
		chromedp.SetValue(p.part("recipients"), to),
		chromedp.SendKeys(p.part("body"), body+"\n"),
	)
}

// demo opens the demo page of a node and waits until its panes are connected.
func demo(t testing.TB, n *node) (alicePhone, aliceLaptop, bobPhone *pane) {
	t.Helper()
	n.get(t, "/") // or there is nothing to wait for
	p := browse(t, n.admin+"/")
	alicePhone, aliceLaptop, bobPhone = p.pane("alice", "phone"), p.pane("alice", "laptop"), p.pane("bob", "phone")
	for _, pane := range []*pane{alicePhone, aliceLaptop, bobPhone} {
		pane.state("connected")
	}
	return alicePhone, aliceLaptop, bobPhone
}

// TestPage writes from one pane to another and back.
func TestPage(t *testing.T) {
	n := dev(t)
	alicePhone, aliceLaptop, bobPhone := demo(t, n)

	t.Log("a message, while the node is held up")
	n.Signal(t, syscall.SIGSTOP)
	alicePhone.write("bob", "hello <b>bob</b>")
	alicePhone.shows("hello <b>bob</b>", map[string]string{"state": "sending", "from": "alice"})
	n.Signal(t, syscall.SIGCONT)
	alicePhone.shows("hello <b>bob</b>", map[string]string{"state": "stored", "seq": "1", "self": "true"})
	aliceLaptop.shows("hello <b>bob</b>", map[string]string{"state": "delivered", "seq": "1", "self": "true", "from": "alice"})
	bobPhone.shows("hello <b>bob</b>", map[string]string{"state": "delivered", "seq": "1", "self": "false", "from": "alice"})

	t.Log("the answer, and a message from a backend")
	bobPhone.write("alice", "hello alice 🦆")
	bobPhone.shows("hello alice 🦆", map[string]string{"state": "stored", "seq": "2", "self": "true"})
	alicePhone.shows("hello alice 🦆", map[string]string{"state": "delivered", "seq": "2", "self": "false", "from": "bob"})
	aliceLaptop.shows("hello alice 🦆", map[string]string{"state": "delivered", "seq": "2", "self": "false", "from": "bob"})
	n.post(t, "carol", "bob", "b1", "from a backend")
	bobPhone.shows("from a backend", map[string]string{"state": "delivered", "seq": "3", "from": "carol"})

	t.Log("a rejection")
	alicePhone.write("alice", "to myself")
	alicePhone.shows("to myself", map[string]string{"state": "rejected"})

	t.Log("the numbers")
	for pane, want := range map[*pane][3]int{ // sequence, received, stored
		alicePhone: {2, 2, 1}, aliceLaptop: {2, 2, 0}, bobPhone: {3, 3, 1},
	} {
		for i, name := range []string{"seq", "received", "stored"} {
			pane.showsNumber(name, want[i])
		}
	}
}

// TestPageAddsPanes adds a device on the page, and takes it away again.
func TestPageAddsPanes(t *testing.T) {
	n := dev(t)
	alicePhone, _, _ := demo(t, n)
	p := alicePhone.page
	p.do(
		chromedp.SendKeys(chromedp.CSS("[data-testid=add-user]"), "carol"),
		chromedp.SendKeys(chromedp.CSS("[data-testid=add-device]"), "tablet\n"),
	)
	carol := p.pane("carol", "tablet")
	carol.state("connected")
	carol.write("alice, bob", "hi both")
	carol.shows("hi both", map[string]string{"state": "stored", "seq": "1"})
	alicePhone.shows("hi both", map[string]string{"state": "delivered", "seq": "1", "from": "carol"})

	p.do(chromedp.Click(carol.part("connection")))
	carol.state("closed")
	p.do(chromedp.Click(carol.part("connection")))
	carol.state("connected")
	p.do(chromedp.Click(carol.part("remove")))
	p.until(fmt.Sprintf("document.querySelector(%q) === null", carol.selector))
	eventually(t, "the node has three connections", func() bool { return n.metric(t, "godwit_sessions") == 3 })
}

// TestPageSlowReader makes a device read slowly during a burst: what it has no room for
// comes when it reads again, in order and all of it; nobody else notices.
func TestPageSlowReader(t *testing.T) {
	n := dev(t)
	alicePhone, aliceLaptop, bobPhone := demo(t, n)
	p := alicePhone.page
	p.do(chromedp.Click(bobPhone.part("slow")))
	button := value[string](p, fmt.Sprintf("document.querySelector(%q).textContent", string(alicePhone.part("burst"))))
	var burst int
	if _, err := fmt.Sscanf(button, "Burst of %d", &burst); err != nil {
		t.Fatalf("the button says %q: %v", button, err)
	}
	p.do(
		chromedp.SetValue(alicePhone.part("recipients"), "bob"),
		chromedp.Click(alicePhone.part("burst")),
	)
	alicePhone.showsNumber("stored", burst)
	aliceLaptop.showsNumber("received", burst)
	if left := n.metric(t, "godwit_left_to_catch_up_total"); left == 0 {
		t.Fatal("the node had room for all: the burst is too small for the buffers between it and the page")
	}
	p.until(fmt.Sprintf("document.querySelector(%q).dataset.behind > 0", bobPhone.selector))
	if got := bobPhone.number("received"); got == burst {
		t.Error("bob's pane is not slow")
	}

	p.do(chromedp.Click(bobPhone.part("slow"))) // off
	for _, number := range []string{"received", "seq"} {
		bobPhone.showsNumber(number, burst)
	}
	p.until(fmt.Sprintf("document.querySelector(%q).dataset.behind === '0'", bobPhone.selector))
	bobPhone.shows(fmt.Sprintf("burst %d of %d … (24 KB)", burst, burst), map[string]string{"seq": fmt.Sprint(burst), "state": "delivered"})
	if gone := n.metric(t, "godwit_gaps_total"); gone != 0 {
		t.Errorf("%v gaps were told", gone)
	}
}

// TestPageHistory fills a new pane with the newest messages, and gets those before them.
func TestPageHistory(t *testing.T) {
	n := dev(t)
	const count = 70
	for i := range count {
		n.post(t, "dora", "erik", fmt.Sprint("m", i), fmt.Sprint("message ", i))
	}
	alicePhone, _, _ := demo(t, n)
	p := alicePhone.page
	p.do(
		chromedp.SendKeys(chromedp.CSS("[data-testid=add-user]"), "erik"),
		chromedp.SendKeys(chromedp.CSS("[data-testid=add-device]"), "tablet\n"),
	)
	erik := p.pane("erik", "tablet")
	erik.state("connected")
	bodies := func(from int) string {
		return fmt.Sprintf(`[...document.querySelectorAll(%q)].map((row) => row.querySelector("p").textContent).join() ===
			Array.from({length: %d}, (_, i) => "message " + (i + %d)).join()`, string(erik.part("message")), count-from, from)
	}
	p.until(bodies(count - 30))
	erik.showsNumber("received", 30)
	p.do(chromedp.Click(erik.part("earlier")))
	p.until(bodies(0))
	p.do(chromedp.WaitNotVisible(erik.part("earlier")))
	erik.shows("message 0", map[string]string{"state": "history", "from": "dora"})
	n.post(t, "dora", "erik", "last", "and another")
	erik.shows("and another", map[string]string{"state": "delivered", "seq": "31"})
}

// resendFor is how long a client repeats a send that it has no answer to, as
// docs/protocol.md asks.
const resendFor = 20 * time.Second

// TestPageReconnects kills the node while one message is on its way and another is
// written, and starts it again.
func TestPageReconnects(t *testing.T) {
	data := t.TempDir()
	n := devAt(t, "127.0.0.1:0", "127.0.0.1:0", data)
	alicePhone, aliceLaptop, bobPhone := demo(t, n)

	began := time.Now()
	n.Signal(t, syscall.SIGSTOP)
	alicePhone.write("bob", "on its way")
	alicePhone.shows("on its way", map[string]string{"state": "sending"})
	n.Kill()
	for _, pane := range []*pane{alicePhone, aliceLaptop, bobPhone} {
		pane.until(fmt.Sprintf(`["waiting", "connecting"].includes(document.querySelector(%q).dataset.state)`, pane.selector))
	}
	alicePhone.write("bob", "while it is down")

	devAt(t, host(t, n.url), host(t, n.admin), data)
	for _, pane := range []*pane{alicePhone, aliceLaptop, bobPhone} {
		pane.state("connected")
	}
	alicePhone.shows("while it is down", map[string]string{"state": "stored"})
	if time.Since(began) < resendFor {
		alicePhone.shows("on its way", map[string]string{"state": "stored"})
	} else {
		t.Log("the node took too long to start: the page may have given its first message up, as it should")
	}

	// Whoever was the last to reconnect has what came meanwhile, once.
	alicePhone.write("bob", "welcome back")
	alicePhone.shows("welcome back", map[string]string{"state": "stored", "self": "true"})
	for _, pane := range []*pane{aliceLaptop, bobPhone} {
		pane.shows("while it is down", map[string]string{"state": "delivered", "from": "alice"})
		pane.shows("welcome back", map[string]string{"state": "delivered", "from": "alice"})
	}
}

// TestPageDisconnects takes a pane off for a while: what it missed comes when it is back.
func TestPageDisconnects(t *testing.T) {
	n := dev(t)
	alicePhone, _, bobPhone := demo(t, n)
	p := alicePhone.page
	alicePhone.write("bob", "one")
	bobPhone.shows("one", map[string]string{"seq": "1"})
	p.do(chromedp.Click(bobPhone.part("connection")))
	bobPhone.state("closed")
	alicePhone.write("bob", "two")
	alicePhone.shows("two", map[string]string{"state": "stored"})
	n.post(t, "carol", "bob", "b1", "three")
	p.do(chromedp.Click(bobPhone.part("connection")))
	bobPhone.shows("two", map[string]string{"seq": "1", "from": "alice"})
	bobPhone.shows("three", map[string]string{"seq": "2", "from": "carol"})
	bobPhone.shows("one", map[string]string{"seq": "1"})
	bobPhone.showsNumber("received", 3)
}

// host returns the host and port of a URL.
func host(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
