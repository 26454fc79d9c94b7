package foreign

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// page is a page in a browser of its own.
type page struct {
	t   testing.TB
	ctx context.Context
}

// browse starts Chromium with an empty profile and opens a page. What the page throws
// fails the test; the browser ends with it.
func browse(t testing.TB, url string) *page {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "Chromium")
	}
	// Without a folder for the profile the allocator makes one and removes it. It also
	// has the browser killed with this process.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	var console sync.WaitGroup
	t.Cleanup(func() {
		end, cancelEnd := context.WithTimeout(ctx, patience)
		_ = chromedp.Cancel(end) // in order if it can; stop kills what is left
		cancelEnd()
		cancel()
		stop() // waits for the process
		console.Wait()
	})
	messages := chromedp.Console(ctx)
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
	p := &page{t, ctx}
	p.do(chromedp.EmulateViewport(1400, 1000), chromedp.Navigate(url))
	return p
}

// do performs actions.
func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("the browser: %v", err)
	}
}

// until waits until an expression is true in the page.
func (p *page) until(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*patience) // should the browser itself hang
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression,
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		p.t.Fatalf("it does not become true that %s: %v\nthe page says: %s", expression, err, value[string](p, "document.body.innerText"))
	}
}

// value returns the value of an expression in the page, which may be a promise.
func value[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// ended is what a page sees of a WebSocket from its beginning to its end.
type ended struct {
	Protocol string  `json:"protocol"`
	Frames   []frame `json:"frames"`
	Code     int     `json:"code"`
	Reason   string  `json:"reason"`
	Clean    bool    `json:"clean"`
}

// socket has the page open a WebSocket by the browser's own API, as a client without
// any library does, and returns what it saw when the connection has ended.
func (p *page) socket(url string, protocols ...string) ended {
	p.t.Helper()
	offered, err := json.Marshal(protocols)
	if err != nil {
		p.t.Fatal(err)
	}
	return value[ended](p, fmt.Sprintf(`new Promise((resolve) => {
		const socket = new WebSocket(%q, %s);
		const frames = [];
		socket.onmessage = ({data}) => frames.push(JSON.parse(data));
		socket.onclose = ({code, reason, wasClean}) => resolve({protocol: socket.protocol, frames, code, reason, clean: wasClean});
	})`, url, offered))
}
