package wire

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRoute(t *testing.T) {
	n := startNode(t)
	const user = "alice 李&x=1"
	r, err := AskRoute(t.Context(), n.url, user, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := n.connect(t, Options{URL: r.URL, User: user, Format: JSON, MapVersion: r.MapVersion})
	if d.Welcome().Node != r.Node {
		t.Errorf("route %+v, welcome %+v", r, d.Welcome())
	}
	refusal := (*Refusal)(nil)
	if r, err := AskRoute(t.Context(), n.url, strings.Repeat("x", maxUser+1), nil); !errors.As(err, &refusal) {
		t.Errorf("route %+v, %v, of nobody", r, err)
	}
}

func TestBrokenRoute(t *testing.T) {
	const good = `{"user":"alice","partition":348,"node":"node-1","url":"wss://node-1.example/v1/connect","map_version":7}`
	for name, test := range map[string]struct {
		change [2]string
		rule   Rule
	}{
		"good":           {[2]string{"", ""}, ""},
		"another's":      {[2]string{"alice", "bob"}, RuleField},
		"no node":        {[2]string{"node-1\"", "\""}, RuleField},
		"no socket":      {[2]string{"wss", "https"}, RuleField},
		"unknown member": {[2]string{`"node"`, `"x":1,"node"`}, RuleEncoding},
		"no object":      {[2]string{good, "node-1"}, RuleEncoding},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/route" {
				t.Errorf("asked for %s", r.URL)
			}
			_, _ = w.Write([]byte(strings.Replace(good, test.change[0], test.change[1], 1)))
		}))
		r, err := AskRoute(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/v1/connect", "alice", nil)
		s.Close()
		if v, ok := err.(*Violation); (test.rule == "") != (err == nil) || ok && v.Rule != test.rule {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
