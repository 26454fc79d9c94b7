package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for something that must happen.
const patience = 90 * time.Second

// browser is one headless Chromium for all tests; each test has a tab of its own.
var browser struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

// stopBrowser ends the browser, if a test started it.
func stopBrowser() {
	if browser.stop != nil {
		browser.stop()
	}
}

func startBrowser() {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	browser.ctx = ctx
	browser.stop = func() {
		_ = chromedp.Cancel(ctx) // waits for the process
		cancel()
		stopAllocator()
	}
	browser.err = chromedp.Do(ctx) // starts it
}

// tab is a page in the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open opens a page. The test is skipped where there is no browser, unless
// GODWIT_REQUIRE_SERVICES is 1. What the page throws fails the test.
func open(t *testing.T, url string) *tab {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("GODWIT_REQUIRE_SERVICES") == "1" {
			t.Fatal("there is no chromium, and GODWIT_REQUIRE_SERVICES is 1")
		}
		t.Skip("there is no chromium")
	}
	browser.once.Do(startBrowser)
	if browser.err != nil {
		t.Fatalf("chromium does not start: %v", browser.err)
	}
	ctx, cancel := chromedp.NewContext(browser.ctx)
	messages := chromedp.Console(ctx)
	var console sync.WaitGroup
	console.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() {
				t.Errorf("the page threw: %s", m)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		console.Wait()
	})
	p := &tab{t: t, ctx: ctx}
	p.do(chromedp.EmulateViewport(1280, 1000), chromedp.Navigate(url))
	return p
}

// do runs actions.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("the browser: %v", err)
	}
}

// run runs statements in the page, which may await.
func (p *tab) run(script string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void]("(async () => {"+script+"})()", chromedp.EvalAwaitPromise))
}

// until waits until an expression is true in the page.
func (p *tab) until(expression string) {
	p.t.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Poll[bool](expression,
		chromedp.WithPollingInterval(10*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		p.t.Fatalf("it does not become true that %s: %v\nlog: %s", expression, err, p.text("JSON.stringify(globalThis.log ?? document.body.innerText)"))
	}
}

// text returns the value of an expression in the page, a string.
func (p *tab) text(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[any](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return fmt.Sprint(v)
}

// is checks the value of an expression in the page.
func (p *tab) is(expression, want string) {
	p.t.Helper()
	if got := p.text(expression); got != want {
		p.t.Errorf("%s is %q, want %q\nlog: %s", expression, got, want, p.text("JSON.stringify(globalThis.log ?? 0)"))
	}
}

// client makes a GodwitClient in an empty page, as client, and a list of all its
// events, as log. options is what to add to the options, as JavaScript.
func newClient(t *testing.T, s *script, options string) *tab {
	t.Helper()
	p := open(t, s.url("/empty"))
	p.run(fmt.Sprintf(`
		const m = await import("/godwit.js");
		Object.assign(globalThis, m);
		globalThis.log = [];
		globalThis.client = new GodwitClient({urls: %s, token: "a.b-c._d", device: "tab 1", %s});
		for (const type of ["state", "welcome", "message", "ack", "gone", "gap", "error"]) {
			client.addEventListener(type, ({detail}) => log.push({...detail, type, ...detail.body && {body: String(detail.body)}}));
		}
		globalThis.seen = (type, member, value) => log.some((e) => e.type === type && e[member] === value);
		client.start();`, urls(s), options))
	return p
}

func quote(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// pane returns the selector of a part of a pane.
func pane(user, device string, part ...string) chromedp.CSS {
	return chromedp.CSS(fmt.Sprintf(`[data-testid=pane][data-user=%s][data-device=%s] %s`, user, device, strings.Join(part, " ")))
}
