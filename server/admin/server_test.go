package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/godwit-im/godwit/backplane"
)

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

// log is a Producer that does what the test says and keeps what it was given.
type log struct {
	mu      sync.Mutex
	outcome *backplane.Outcome // nil: none comes until the test calls Done
	refusal error
	sends   []sent
	arrived chan struct{} // gets an entry for each send
}

// sent is a send as the log got it, with copies of what Produce may not keep.
type sent struct {
	id      backplane.MessageID
	message backplane.Message
	session uint64
	waiter  backplane.Waiter
}

func newLog() *log {
	return &log{
		outcome: &backplane.Outcome{Status: backplane.Stored, Time: 1700000000000},
		arrived: make(chan struct{}, 2*maxSends),
	}
}

func (l *log) Produce(s *backplane.Send, w backplane.Waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal != nil {
		return l.refusal
	}
	record := sent{id: s.ID, session: s.Session, waiter: w}
	if err := backplane.ParseMessage([]byte(string(s.Value)), &record.message); err != nil {
		return err
	}
	l.sends = append(l.sends, record)
	l.arrived <- struct{}{}
	if l.outcome != nil {
		w.Done(*l.outcome)
	}
	return nil
}

// last returns the last send.
func (l *log) last() sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sends[len(l.sends)-1]
}

// wait waits for n sends.
func (l *log) wait(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(patience)
	for range n {
		select {
		case <-l.arrived:
		case <-deadline:
			t.Fatalf("not all of %d sends came", n)
		}
	}
}

// port is a Server for a test, and a client of it.
type port struct {
	*Server
	t      *testing.T
	url    string
	client *http.Client
	log    *log
	ready  error // what Ready returns
}

func config(l *log) Config {
	return Config{
		Listen: "127.0.0.1:0", Gatherer: prometheus.NewRegistry(), Ready: func() error { return nil },
		Producer: l, Body: backplane.MaxBody,
	}
}

func start(t *testing.T, changes ...func(*Config)) *port {
	t.Helper()
	p := &port{t: t, log: newLog(), client: &http.Client{Transport: &http.Transport{MaxConnsPerHost: maxConnections}}}
	cfg := config(p.log)
	cfg.Ready = func() error { return p.ready }
	for _, change := range changes {
		change(&cfg)
	}
	var err error
	if p.Server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + p.Addr().String()
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// request makes a request, with headers given as name and value in turn. A header
// Host replaces the request's.
func (p *port) request(method, path, body string, headers ...string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res, string(b)
}

func TestNewRefuses(t *testing.T) {
	sign := func(string, time.Duration) (string, error) { return "", nil }
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"everywhere without a token", func(c *Config) { c.Listen = ":0" },
			`admin: ":0" is not a loopback address: without a token, anyone who reaches it could send messages as any user`},
		{"any address without a token", func(c *Config) { c.Listen = "0.0.0.0:0" }, `admin: "0.0.0.0:0" is not a loopback address`},
		{"any IPv6 address without a token", func(c *Config) { c.Listen = "[::]:0" }, `admin: "[::]:0" is not a loopback address`},
		{"a development key for others", func(c *Config) {
			c.Listen, c.Token, c.Sign, c.PublicURL = "0.0.0.0:0", "secret", sign, func() string { return "" }
		}, `the development key signs a token for anyone who asks`},
		{"Sign alone", func(c *Config) { c.Sign = sign }, "admin: Sign needs PublicURL"},
		{"no metrics", func(c *Config) { c.Gatherer = nil }, "admin: Gatherer and Ready are needed"},
		{"no body", func(c *Config) { c.Body = 0 }, "admin: Body is 0 bytes: it must be 1 to 65536"},
		{"a body beyond the protocol's", func(c *Config) { c.Body = backplane.MaxBody + 1 }, "admin: Body is 65537 bytes"},
		{"no address", func(c *Config) { c.Listen = "here" }, `admin: "here" is not an address to listen on`},
	} {
		c := config(newLog())
		test.change(&c)
		s, err := New(c)
		if err == nil {
			s.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want %q in it", test.name, err, test.want)
		}
	}
}

func TestNewReportsATakenAddress(t *testing.T) {
	p := start(t)
	c := config(newLog())
	c.Listen = p.Addr().String()
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "admin: cannot listen on 127.0.0.1:") {
		t.Errorf("the error is %v", err)
	}
}

func TestProbes(t *testing.T) {
	p := start(t)
	if r, body := p.request("GET", "/healthz", ""); r.StatusCode != 200 || body != "ok\n" {
		t.Errorf("healthz: %s, %q", r.Status, body)
	}
	if r, body := p.request("GET", "/readyz", ""); r.StatusCode != 200 || body != "ready\n" {
		t.Errorf("readyz: %s, %q", r.Status, body)
	}
	p.ready = errors.New("the consumer is 12 records behind")
	r, body := p.request("GET", "/readyz", "")
	if r.StatusCode != 503 || body != "the consumer is 12 records behind\n" || r.Header.Get("Retry-After") == "" {
		t.Errorf("readyz of a node that is not: %s, %q, %v", r.Status, body, r.Header)
	}
}

// A warning does not make a node unready.
func TestReadinessWithAWarning(t *testing.T) {
	var warning error
	p := start(t, func(c *Config) { c.Warning = func() error { return warning } })
	if r, body := p.request("GET", "/readyz", ""); r.StatusCode != 200 || body != "ready\n" {
		t.Errorf("nothing to warn of: %s, %q", r.Status, body)
	}
	warning = errors.New("history is 100h behind")
	if r, body := p.request("GET", "/readyz", ""); r.StatusCode != 200 || body != "ready\nwarning: history is 100h behind\n" {
		t.Errorf("with a warning: %s, %q", r.Status, body)
	}
	p.ready = errors.New("the node is stopping")
	if r, body := p.request("GET", "/readyz", ""); r.StatusCode != 503 || body != "the node is stopping\n" {
		t.Errorf("not ready: %s, %q", r.Status, body)
	}
}

// A process that is no node has neither messages nor timelines.
func TestWithoutANode(t *testing.T) {
	p := start(t, func(c *Config) { c.Producer, c.Body = nil, 0 })
	for _, request := range [][2]string{{"POST", "/v1/messages"}, {"GET", "/v1/history?user=alice"}, {"DELETE", "/v1/history?user=alice"}} {
		if r, body := p.request(request[0], request[1], post); r.StatusCode != 404 {
			t.Errorf("%s %s: %s, %s", request[0], request[1], r.Status, body)
		}
	}
	if r, body := p.request("GET", "/readyz", ""); r.StatusCode != 200 {
		t.Errorf("readyz: %s, %s", r.Status, body)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	p := start(t, func(c *Config) { c.Gatherer = registry })
	registry.MustRegister(p.Server)
	p.request("GET", "/healthz", "")
	p.request("POST", "/v1/messages", `{}`)
	r, body := p.request("GET", "/metrics", "")
	if r.StatusCode != 200 {
		t.Fatalf("metrics: %s", r.Status)
	}
	for _, line := range []string{
		`godwit_admin_requests_total{code="200",endpoint="healthz",method="get"} 1`,
		`godwit_admin_requests_total{code="400",endpoint="messages",method="post"} 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("the metrics lack %s\n%s", line, body)
		}
	}
}

func TestProfiles(t *testing.T) {
	p := start(t)
	for _, path := range []string{"", "goroutine", "heap", "cmdline", "trace?seconds=0.01"} {
		if r, body := p.request("GET", "/debug/pprof/"+path, ""); r.StatusCode != 200 || body == "" {
			t.Errorf("%s: %s, %d bytes", path, r.Status, len(body))
		}
	}
}

func TestPages(t *testing.T) {
	p := start(t, func(c *Config) {
		c.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page "+r.URL.Path) })
	})
	if _, body := p.request("GET", "/app.js", ""); body != "page /app.js" {
		t.Errorf("GET /app.js: %q", body)
	}
	if r, _ := p.request("POST", "/", ""); r.StatusCode != 405 {
		t.Errorf("POST /: %s", r.Status)
	}
	if r, _ := start(t).request("GET", "/", ""); r.StatusCode != 404 {
		t.Errorf("GET / without pages: %s", r.Status)
	}
}

// Close lets the requests at hand finish.
func TestCloseWaitsForAnswers(t *testing.T) {
	p := start(t)
	p.log.outcome = nil
	status := make(chan int, 1)
	go func() {
		r, _ := p.request("POST", "/v1/messages", `{"id":"1","from":"alice","to":["bob"]}`)
		status <- r.StatusCode
	}()
	p.log.wait(t, 1)
	closed := make(chan error, 1)
	go func() { closed <- p.Close(context.Background()) }()
	// Once nobody is let in any more, Close waits for the one who is in.
	for {
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v before the answer", err)
	default:
	}
	p.log.last().waiter.Done(backplane.Outcome{Status: backplane.Stored, Time: 1})
	if got := <-status; got != 200 {
		t.Errorf("the send at hand was answered with %d", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// When there is no time left, Close cuts off who waits. The outcome that comes later
// finds nobody, and does not block.
func TestCloseCutsOff(t *testing.T) {
	l := newLog()
	l.outcome = nil
	s, err := New(config(l))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		r, err := http.Post("http://"+s.Addr().String()+"/v1/messages", "application/json", strings.NewReader(`{"id":"1","from":"alice","to":["bob"]}`))
		if err == nil {
			r.Body.Close()
		}
		failed <- err
	}()
	l.wait(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
	l.last().waiter.Done(backplane.Outcome{Status: backplane.Stored})
	http.DefaultClient.CloseIdleConnections()
}
