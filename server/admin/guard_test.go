package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

const post = `{"id":"1","from":"alice","to":["bob"],"body":"hi"}`

func TestToken(t *testing.T) {
	p := start(t, func(c *Config) {
		c.Token = "open sesame"
		c.Pages = http.NotFoundHandler()
	})
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if r, _ := p.request("GET", path, "", "Host", "node-1.example"); r.StatusCode != 200 {
			t.Errorf("GET %s without a token: %s", path, r.Status)
		}
	}
	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/heap"} {
		if r, _ := p.request("GET", path, ""); r.StatusCode != 401 || r.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("GET %s without a token: %s, %v", path, r.Status, r.Header)
		}
	}
	for header, want := range map[string]int{
		"":                        401,
		"Bearer":                  401,
		"Bearer ":                 401,
		"Bearer open":             401,
		"Bearer open sesame and":  401,
		"Basic open sesame":       401,
		"open sesame":             401,
		"Bearer open sesame":      200,
		"bearer open sesame":      200,
		"Bearer  open sesame    ": 200,
	} {
		r, body := p.request("POST", "/v1/messages", post, "Authorization", header, "Host", "node-1.example")
		if r.StatusCode != want {
			t.Errorf("Authorization %q: %s, %s", header, r.Status, body)
		}
		if want == 401 && !strings.HasPrefix(body, `{"type":"error","code":"unauthorized","message":"`) {
			t.Errorf("Authorization %q is answered with %s", header, body)
		}
	}
	if n := len(p.log.sends); n != 3 {
		t.Errorf("%d messages were sent", n)
	}
}

// Without a token, what a page of a stranger could make a browser ask is refused.
func TestStrangersPages(t *testing.T) {
	p := start(t, development)
	_, number, _ := strings.Cut(p.Addr().String(), ":")
	for _, test := range []struct {
		name    string
		headers []string
		want    int // of a post and of a token
		read    int // of GET /healthz
	}{
		{"a program", nil, 200, 200},
		{"by name", []string{"Host", "localhost:" + number}, 200, 200},
		{"by name in capitals", []string{"Host", "LOCALHOST"}, 200, 200},
		{"by another loopback address", []string{"Host", "127.3.2.1:80"}, 200, 200},
		{"by IPv6", []string{"Host", "[::1]:80"}, 200, 200},
		{"by IPv6 without a port", []string{"Host", "[::1]"}, 200, 200},
		{"its own page", []string{"Sec-Fetch-Site", "same-origin", "Origin", p.url}, 200, 200},
		{"typed by the user", []string{"Sec-Fetch-Site", "none"}, 200, 200},
		{"DNS rebinding", []string{"Host", "evil.example:" + number}, 403, 403},
		{"a name that begins well", []string{"Host", "localhost.evil.example"}, 403, 403},
		{"a name that looks like an address", []string{"Host", "127.0.0.1.evil.example"}, 403, 403},
		{"another address of the machine", []string{"Host", "192.168.0.2"}, 403, 403},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, 403, 200},
		{"another port", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:9"}, 403, 200},
		{"another site in an old browser", []string{"Origin", "http://evil.example"}, 403, 200},
		{"a sandbox", []string{"Origin", "null"}, 403, 200},
	} {
		if r, body := p.request("POST", "/v1/messages", post, test.headers...); r.StatusCode != test.want {
			t.Errorf("%s: a post gets %s, %s", test.name, r.Status, body)
		}
		if r, body := p.request("GET", "/dev/token?user=alice", "", test.headers...); r.StatusCode != test.want {
			t.Errorf("%s: a token request gets %s, %s", test.name, r.Status, body)
		}
		if r, body := p.request("GET", "/healthz", "", test.headers...); r.StatusCode != test.read {
			t.Errorf("%s: healthz gets %s, %s", test.name, r.Status, body)
		}
	}
}

// development makes a port give tokens that say what they were made from.
func development(c *Config) {
	c.Sign = func(user string, ttl time.Duration) (string, error) {
		if user == "" {
			return "", errors.New("the user id is empty")
		}
		return user + " for " + ttl.String(), nil
	}
	c.PublicURL = func() string { return "ws://127.0.0.1:8080/v1/connect" }
}

func TestDevelopmentTokens(t *testing.T) {
	p := start(t, development)
	for _, test := range []struct{ user, ttl, want string }{
		{"alice", "", "alice for 1h0m0s"},
		{"żółw & co", "90s", "żółw & co for 1m30s"},
		{"alice", "720h", "alice for 720h0m0s"},
	} {
		r, body := p.request("GET", "/dev/token?"+url.Values{"user": {test.user}, "ttl": {test.ttl}}.Encode(), "")
		var got Token
		if err := json.Unmarshal([]byte(body), &got); err != nil || r.StatusCode != 200 {
			t.Fatalf("%s: %v, %s", r.Status, err, body)
		}
		if got.Token != test.want || got.URL != "ws://127.0.0.1:8080/v1/connect" {
			t.Errorf("for %q the answer is %+v", test.user, got)
		}
		if r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("a token may be cached: %v", r.Header)
		}
	}
	for query, want := range map[string]string{
		"ttl=1h":                "the user id is empty",
		"user=alice&ttl=1":      "ttl: a duration such as 10m or 24h",
		"user=alice&ttl=-1h":    "ttl: a duration",
		"user=alice&ttl=999ms":  "ttl: a duration",
		"user=alice&ttl=720h1s": "ttl: a duration",
		"user=alice&ttl=x":      "ttl: a duration",
	} {
		if r, body := p.request("GET", "/dev/token?"+query, ""); r.StatusCode != 400 ||
			!strings.HasPrefix(body, `{"type":"error","code":"bad_parameter","message":"`+want) {
			t.Errorf("%s: %s, %s", query, r.Status, body)
		}
	}
	if r, _ := p.request("POST", "/dev/token?user=alice", ""); r.StatusCode != 405 {
		t.Errorf("POST: %s", r.Status)
	}
	if r, _ := start(t).request("GET", "/dev/token?user=alice", ""); r.StatusCode != 404 {
		t.Errorf("without a development key: %s", r.Status)
	}
}
