package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/codec"
)

// asked is a Timelines that answers what a test says, and keeps what it was asked.
type asked struct {
	mu      sync.Mutex
	what    []string
	err     error
	waiting chan struct{} // gets an entry for each question that waits; nil if none is to
}

func (a *asked) note(ctx context.Context, text string) error {
	a.mu.Lock()
	a.what = append(a.what, text)
	waiting, err := a.waiting, a.err
	a.mu.Unlock()
	if waiting != nil {
		waiting <- struct{}{}
		<-ctx.Done()
		return &Refusal{Code: codec.CodeHistoryDown}
	}
	return err
}

func (a *asked) Page(ctx context.Context, user []byte, h *codec.History) ([]byte, error) {
	text := fmt.Sprintf("page user=%s after=%s before=%s around=%s peer=%s limit=%d", user, h.After, h.Before, h.Around, h.Peer, h.Limit)
	return []byte(`{"messages":[]}`), a.note(ctx, text)
}

func (a *asked) Erase(ctx context.Context, user []byte) (Erasure, error) {
	return Erasure{User: string(user), Partition: 3, Time: 5, LogRetentionMS: 7}, a.note(ctx, "erase user="+string(user))
}

func startAsked(t *testing.T, changes ...func(*Config)) (*port, *asked) {
	a := &asked{}
	return start(t, append(changes, func(c *Config) { c.Timelines = a })...), a
}

// cursorAt returns the cursor of an offset.
func cursorAt(offset int64) string {
	return string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: 3, Offset: offset}))
}

func TestHistoryQuestions(t *testing.T) {
	p, a := startAsked(t)
	one, two := cursorAt(1), cursorAt(2)
	for query, want := range map[string]string{
		"user=alice": "page user=alice after= before= around= peer= limit=50",
		"user=" + url.QueryEscape(`a"b é`) + "&peer=" + url.QueryEscape("b&\n"): "page user=a\"b é after= before= around= peer=b&\n limit=50",
		"user=alice&after=" + one + "&before=" + two + "&limit=7":               "page user=alice after=" + one + " before=" + two + " around= peer= limit=7",
		"user=alice&around=" + one + "&limit=0":                                 "page user=alice after= before= around=" + one + " peer= limit=50",
		"user=alice&around=&limit=&peer=":                                       "page user=alice after= before= around= peer= limit=50",
	} {
		r, body := p.request("GET", "/v1/history?"+query, "")
		if r.StatusCode != 200 || body != "{\"messages\":[]}\n" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s, %s", query, r.Status, body)
		}
		if got := a.what[len(a.what)-1]; got != want {
			t.Errorf("%s asks\n%q, want\n%q", query, got, want)
		}
	}
	r, body := p.request("DELETE", "/v1/history?user=alice", "")
	if r.StatusCode != 200 || body != `{"user":"alice","partition":3,"time":5,"log_retention_ms":7}`+"\n" {
		t.Errorf("erase: %s, %s", r.Status, body)
	}
	if got := a.what[len(a.what)-1]; got != "erase user=alice" {
		t.Errorf("erase asks %q", got)
	}
}

func TestBadHistoryQuestions(t *testing.T) {
	p, a := startAsked(t)
	one := cursorAt(1)
	for _, test := range []struct {
		method, query string
		code          backplane.Code
	}{
		{"GET", "", codec.CodeBadParameter},
		{"GET", "user=", codec.CodeBadParameter},
		{"GET", "user=" + strings.Repeat("u", 129), codec.CodeBadParameter},
		{"GET", "user=%ff", codec.CodeBadParameter},
		{"GET", "user=a&user=b", codec.CodeBadParameter},
		{"GET", "user=a&id=1", codec.CodeBadParameter},
		{"GET", "user=a;limit=1", codec.CodeBadParameter},
		{"GET", "user=a&peer=%ff", codec.CodeBadParameter},
		{"GET", "user=a&peer=" + strings.Repeat("u", 129), codec.CodeBadPeer},
		{"GET", "user=a&limit=101", codec.CodeBadLimit},
		{"GET", "user=a&limit=-1", codec.CodeBadLimit},
		{"GET", "user=a&limit=1e1", codec.CodeBadLimit},
		{"GET", "user=a&after=1", codec.CodeBadCursor},
		{"GET", "user=a&around=" + one + "&after=" + one, codec.CodeBadCursor},
		{"DELETE", "", codec.CodeBadParameter},
		{"DELETE", "user=" + strings.Repeat("u", 129), codec.CodeBadParameter},
		{"DELETE", "user=a&peer=b", codec.CodeBadParameter}, // must not erase more than was meant
		{"DELETE", "user=a&before=" + one, codec.CodeBadParameter},
	} {
		r, body := p.request(test.method, "/v1/history?"+test.query, "")
		if r.StatusCode != 400 || !strings.HasPrefix(body, `{"type":"error","code":"`+string(test.code)+`","message":"`) {
			t.Errorf("%s %s: %s, %s; want %s", test.method, test.query, r.Status, body, test.code)
		}
	}
	if len(a.what) > 0 {
		t.Errorf("they asked %q", a.what)
	}
}

func TestHistoryRefusals(t *testing.T) {
	p, a := startAsked(t)
	for _, test := range []struct {
		err    error
		status int
		code   backplane.Code
		retry  bool
		owner  string
	}{
		{&Refusal{Code: codec.CodeNotOwner, Message: "node n2 does", OwnerURL: "wss://n2/v1/connect"}, 421, codec.CodeNotOwner, false, "wss://n2/v1/connect"},
		{&Refusal{Code: codec.CodeHistoryDown}, 503, codec.CodeHistoryDown, true, ""},
		{&Refusal{Code: codec.CodeHistoryBehind}, 503, codec.CodeHistoryBehind, true, ""},
		{&Refusal{Code: codec.CodeNotReady}, 503, codec.CodeNotReady, true, ""},
		{&Refusal{Code: codec.CodeUnknownCursor}, 400, codec.CodeUnknownCursor, false, ""},
		{&Refusal{Code: codec.CodeNoHistory}, 404, codec.CodeNoHistory, false, ""},
		{&Refusal{Code: backplane.CodeTimeout, Unknown: true}, 504, backplane.CodeTimeout, false, ""},
		{&Refusal{Code: backplane.CodeForbidden}, 403, backplane.CodeForbidden, false, ""},
		{fmt.Errorf("something else"), 503, codec.CodeInternal, true, ""},
	} {
		a.err = test.err
		for _, method := range []string{"GET", "DELETE"} {
			r, body := p.request(method, "/v1/history?user=alice", "")
			if r.StatusCode != test.status || !strings.HasPrefix(body, `{"type":"error","code":"`+string(test.code)+`","message":"`) {
				t.Errorf("%v: %s, %s", test.err, r.Status, body)
			}
			if retry := r.Header.Get("Retry-After") != ""; retry != test.retry || r.Header.Get("Godwit-Node-Url") != test.owner {
				t.Errorf("%v: %v", test.err, r.Header)
			}
		}
	}
}

// Whoever may not use the port may not ask for a timeline, and pages of other sites may
// not make a browser ask.
func TestHistoryIsGuarded(t *testing.T) {
	p, a := startAsked(t)
	secret, b := startAsked(t, func(c *Config) { c.Token = "open sesame" })
	for _, method := range []string{"GET", "DELETE"} {
		for _, test := range []struct {
			p       *port
			headers []string
			status  int
		}{
			{p, []string{"Origin", "http://evil.example"}, 403},
			{p, []string{"Sec-Fetch-Site", "cross-site"}, 403},
			{p, []string{"Host", "evil.example"}, 403},
			{secret, nil, 401},
			{secret, []string{"Authorization", "Bearer guess"}, 401},
			{secret, []string{"Authorization", "Bearer open sesame", "Origin", "http://evil.example"}, 403},
		} {
			if r, body := test.p.request(method, "/v1/history?user=alice", "", test.headers...); r.StatusCode != test.status {
				t.Errorf("%s with %q: %s, %s", method, test.headers, r.Status, body)
			}
		}
	}
	if len(a.what)+len(b.what) > 0 {
		t.Errorf("they asked %q, %q", a.what, b.what)
	}
	if r, body := secret.request("GET", "/v1/history?user=alice", "", "Authorization", "Bearer open sesame"); r.StatusCode != 200 {
		t.Errorf("with the token: %s, %s", r.Status, body)
	}
}

// With all places taken, the next question is refused at once; whoever goes away gives the
// place back.
func TestHistoryQuestionsAreBounded(t *testing.T) {
	p, a := startAsked(t)
	a.waiting = make(chan struct{}, maxQuestions)
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for range maxQuestions {
		clients.Go(func() { p.get(ctx, "/v1/history?user=alice") })
	}
	for range maxQuestions {
		<-a.waiting
	}
	if r, body := p.request("GET", "/v1/history?user=alice", ""); r.StatusCode != 503 || !strings.Contains(body, `"code":"overloaded"`) {
		t.Errorf("one more: %s, %s", r.Status, body)
	}
	cancel()
	clients.Wait()
	eventually(t, "the places are free", func() bool { return len(p.questions) == 0 })
	a.mu.Lock()
	a.waiting = nil
	a.mu.Unlock()
	if r, body := p.request("DELETE", "/v1/history?user=alice", ""); r.StatusCode != 200 {
		t.Errorf("afterwards: %s, %s", r.Status, body)
	}
}

// get makes a request whose answer nobody is interested in.
func (p *port) get(ctx context.Context, path string) {
	r, err := http.NewRequestWithContext(ctx, "GET", p.url+path, nil)
	if err != nil {
		p.t.Error(err)
		return
	}
	if res, err := p.client.Do(r); err == nil {
		res.Body.Close()
	}
}
