package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/placement"
)

// running is a node that is ready, until stop or the end of its test.
type running struct {
	*Node
	t    *testing.T
	once sync.Once
}

func startNode(t *testing.T, o Options) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Node: n, t: t}
	t.Cleanup(r.stop)
	eventually(t, "the node is ready", func() bool { return n.Ready() == nil })
	return r
}

func (r *running) stop() {
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			r.t.Error(err)
		}
	})
}

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

// ask makes a request to the admin port.
func ask(t *testing.T, n *running, method, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, n.AdminURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(answer)
}

// say has messages stored, and returns when the timelines show them: what is stored is
// still on its way from the log to the node. Until then a node that has read nothing of a
// partition yet asks the store, which may be slow or away.
func say(t *testing.T, n *running, from, to string, bodies ...string) {
	t.Helper()
	post(t, n, from, to, bodies...)
	last := bodies[len(bodies)-1:]
	for _, user := range []string{from, to} {
		eventually(t, "the message is in the timeline of "+user, func() bool {
			p, status, _ := page(t, n, user, "&limit=1")
			return status == http.StatusOK && slices.Equal(p.bodies(), last)
		})
	}
}

// post has messages stored that a user sends to another, one with each body.
func post(t *testing.T, n *running, from, to string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		send := fmt.Sprintf(`{"id":"%s-%s","from":%q,"to":[%q],"body":%q}`, body, to, from, to, body)
		if r, answer := ask(t, n, "POST", "/v1/messages", send); r.StatusCode != 200 {
			t.Fatalf("%s: %s", r.Status, answer)
		}
	}
}

// shown is a page as an operator gets it.
type shown struct {
	Messages []struct {
		Self   bool     `json:"self"`
		Cursor string   `json:"cursor"`
		From   string   `json:"from"`
		To     []string `json:"to"`
		Body   string   `json:"body"`
	} `json:"messages"`
	After      string `json:"after"`
	Before     string `json:"before"`
	MoreAfter  bool   `json:"more_after"`
	MoreBefore bool   `json:"more_before"`
	Gone       string `json:"gone"`
	Type       string `json:"type"`
	ID         string `json:"id"`
}

func (p shown) bodies() []string {
	bodies := []string{}
	for _, m := range p.Messages {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// show returns a part of a user's timeline.
func show(t *testing.T, n *running, user, query string) shown {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		p, status, answer := page(t, n, user, query)
		switch {
		case status == http.StatusOK:
			return p
		case status != http.StatusServiceUnavailable || time.Now().After(deadline): // else as the answer says
			t.Fatalf("%s%s: %d, %s", user, query, status, answer)
		}
	}
}

// page asks for a part of a user's timeline. There is none unless the status is 200.
func page(t *testing.T, n *running, user, query string) (p shown, status int, answer string) {
	t.Helper()
	r, answer := ask(t, n, "GET", "/v1/history?user="+url.QueryEscape(user)+query, "")
	if r.StatusCode != http.StatusOK {
		return p, r.StatusCode, answer
	}
	if err := json.Unmarshal([]byte(answer), &p); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if p.Type != "" || p.ID != "" {
		t.Errorf("the answer is a frame: %s", answer)
	}
	return p, r.StatusCode, answer
}

// withPebble returns what a node with history is started with.
func withPebble(t *testing.T) Options {
	t.Helper()
	o := options(t)
	o.Config.History.Store, o.Config.History.Folder = config.HistoryPebble, t.TempDir()
	return o
}

// TestOperatorsSeeTimelines asks for every kind of page.
func TestOperatorsSeeTimelines(t *testing.T) {
	n := startNode(t, withPebble(t))
	say(t, n, "alice", "bob", "1", "2", "3")
	say(t, n, "carol", "bob", "4")
	say(t, n, "bob", "alice", "5")
	all := show(t, n, "bob", "")
	if got := all.bodies(); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) || all.MoreBefore || all.MoreAfter {
		t.Fatalf("bob's timeline is %+v", all)
	}
	if all.Messages[0].Self || !all.Messages[4].Self || all.Messages[4].To[0] != "alice" {
		t.Errorf("bob's timeline is %+v", all)
	}
	cursor := func(i int) string { return all.Messages[i].Cursor }
	for query, want := range map[string][]string{
		"&peer=alice":                  {"1", "2", "3", "5"},
		"&peer=dora":                   {},
		"&limit=2":                     {"4", "5"},
		"&limit=2&before=" + cursor(3): {"2", "3"},
		"&limit=2&after=" + cursor(0):  {"2", "3"},
		"&after=" + cursor(1) + "&before=" + cursor(4):         {"3", "4"},
		"&limit=3&around=" + cursor(2):                         {"2", "3", "4"},
		"&limit=1&peer=carol":                                  {"4"},
		"&limit=1&peer=alice&before=" + all.Messages[4].Cursor: {"3"},
	} {
		if p := show(t, n, "bob", query); !slices.Equal(p.bodies(), want) {
			t.Errorf("%s: %v, want %v", query, p.bodies(), want)
		}
	}
	p := show(t, n, "bob", "&limit=2&before="+cursor(3))
	if !p.MoreBefore || !p.MoreAfter {
		t.Errorf("the page in the middle is %+v", p)
	}
	if older := show(t, n, "bob", "&before="+p.Before); !slices.Equal(older.bodies(), []string{"1"}) {
		t.Errorf("what precedes it is %v", older.bodies())
	}
	if newer := show(t, n, "bob", "&after="+p.After); !slices.Equal(newer.bodies(), []string{"4", "5"}) {
		t.Errorf("what follows it is %v", newer.bodies())
	}
	if nothing := show(t, n, "nobody", ""); len(nothing.Messages) > 0 || nothing.MoreBefore {
		t.Errorf("nobody's timeline is %+v", nothing)
	}
	elsewhere := string(codec.AppendCursor(nil, backplane.Position{Generation: 1, Partition: backplane.PartitionOf("bob", 4) ^ 1}))
	earlier := string(codec.AppendCursor(nil, backplane.Position{Generation: 7, Partition: backplane.PartitionOf("bob", 4)}))
	for cursor, code := range map[string]backplane.Code{elsewhere: codec.CodeBadCursor, earlier: codec.CodeUnknownCursor} {
		if r, answer := ask(t, n, "GET", "/v1/history?user=bob&around="+cursor, ""); r.StatusCode != 400 || !strings.Contains(answer, `"code":"`+string(code)+`"`) {
			t.Errorf("a cursor that is not bob's: %s, %s", r.Status, answer)
		}
	}
}

// TestPagesTellWhatIsGone: history was set up when the log had deleted some already.
func TestPagesTellWhatIsGone(t *testing.T) {
	o := withPebble(t)
	store := o.Config.History.Store
	o.Config.History.Store = config.HistoryNone
	n := startNode(t, o)
	post(t, n, "alice", "bob", "1", "2", "3", "4", "5")
	n.stop()
	kc, err := KafkaConfig(o.Config, o.Log)
	if err != nil {
		t.Fatal(err)
	}
	p := backplane.PartitionOf("bob", 4)
	kafkatest.DeleteBefore(t, kc, p, 2)
	at := func(offset int64) string {
		return string(codec.AppendCursor(nil, backplane.Position{Generation: kc.Generation, Partition: p, Offset: offset}))
	}
	o.Config.History.Store, o.Config.Limits.TailBytes = store, 0
	n = startNode(t, o)
	eventually(t, "history has all there is", func() bool {
		return slices.Equal(show(t, n, "bob", "").bodies(), []string{"3", "4", "5"})
	})
	for _, tt := range []struct {
		query string
		gone  int64
		want  []string
	}{
		{"", 1, []string{"3", "4", "5"}},
		{"&limit=2", -1, []string{"4", "5"}},
		{"&before=" + at(1), 0, []string{}},
		{"&after=" + at(0), 1, []string{"3", "4", "5"}},
		{"&after=" + at(1), -1, []string{"3", "4", "5"}},
		{"&after=" + at(0) + "&before=" + at(3), 1, []string{"3"}},
		{"&after=" + at(-1) + "&before=" + at(1), 0, []string{}},
		{"&after=" + at(0) + "&before=" + at(1), -1, []string{}},
		{"&around=" + at(2), 1, []string{"3", "4", "5"}},
		{"&around=" + at(4) + "&limit=2", -1, []string{"5"}},
	} {
		gone := ""
		if tt.gone >= 0 {
			gone = at(tt.gone)
		}
		if got := show(t, n, "bob", tt.query); got.Gone != gone || !slices.Equal(got.bodies(), tt.want) {
			t.Errorf("%q: %v, gone up to %q, want %v, %q", tt.query, got.bodies(), got.Gone, tt.want, gone)
		}
	}
}

// TestErase hides what a user has at once, for good, and from nobody else.
func TestErase(t *testing.T) {
	o := withPebble(t)
	n := startNode(t, o)
	check := func(when string, want map[string][]string) {
		t.Helper()
		for user, bodies := range want {
			if got := show(t, n, user, "").bodies(); !slices.Equal(got, bodies) {
				t.Errorf("%s: the timeline of %s is %v, want %v", when, user, got, bodies)
			}
		}
	}
	erase := func(user string) {
		t.Helper()
		before := time.Now().UnixMilli()
		r, answer := ask(t, n, "DELETE", "/v1/history?user="+user, "")
		var e struct {
			User      string `json:"user"`
			Partition int32  `json:"partition"`
			Time      int64  `json:"time"`
			Retention int64  `json:"log_retention_ms"`
		}
		if err := json.Unmarshal([]byte(answer), &e); err != nil || r.StatusCode != 200 {
			t.Fatalf("erase: %s, %s", r.Status, answer)
		}
		if e.User != user || e.Partition != int32(backplane.PartitionOf(user, 4)) || e.Time < before || e.Retention != (7*24*time.Hour).Milliseconds() {
			t.Errorf("erase: %s", answer)
		}
	}
	say(t, n, "alice", "bob", "1", "2")
	old := show(t, n, "bob", "").Messages[0].Cursor
	erase("bob")
	check("at once", map[string][]string{"bob": {}, "alice": {"1", "2"}})
	if p := show(t, n, "bob", "&around="+old); len(p.Messages) > 0 {
		t.Errorf("around the first there is %v", p.bodies())
	}
	say(t, n, "alice", "bob", "3")
	want := map[string][]string{"bob": {"3"}, "alice": {"1", "2", "3"}}
	check("with a message more", want)
	erase("nobody")
	erase("carol")

	// A node that starts anew, with nothing in memory but what the log had in the last
	// minutes; and one without that, for which only the store is left.
	n.stop()
	n = startNode(t, o)
	check("after a restart", want)
	o.Config.Limits.TailBytes = 0
	n.stop()
	n = startNode(t, o)
	check("without a tail", want)
	erase("alice")
	check("without a tail", map[string][]string{"bob": {"3"}, "alice": {}})
}

// TestOtherNodesUsers are refused, with the address of the node that serves them.
func TestOtherNodesUsers(t *testing.T) {
	o := options(t)
	own, err := placement.ParseRanges("0-1")
	if err != nil {
		t.Fatal(err)
	}
	others, err := placement.ParseRanges("2-3")
	if err != nil {
		t.Fatal(err)
	}
	o.Config.Partitions = own
	o.Config.Map = []config.Peer{{Node: "n2", URL: "wss://n2.example/v1/connect", Partitions: others}}
	n := startNode(t, o)
	served := make(map[bool]int)
	for i := range 20 {
		user := fmt.Sprint("user", i)
		mine := backplane.PartitionOf(user, 4) < 2
		served[mine]++
		for _, method := range []string{"GET", "DELETE"} {
			r, answer := ask(t, n, method, "/v1/history?user="+user, "")
			owner := r.Header.Get("Godwit-Node-Url")
			switch {
			case mine && method == "DELETE" && (r.StatusCode != 404 || !strings.Contains(answer, `"code":"no_history"`)):
				t.Errorf("%s of its own user, without history: %s, %s", method, r.Status, answer)
			case mine && method == "GET" && (r.StatusCode != 200 || owner != ""):
				t.Errorf("%s of its own user: %s, %s", method, r.Status, answer)
			case !mine && (r.StatusCode != 421 || owner != "wss://n2.example/v1/connect" || !strings.Contains(answer, `"code":"not_owner"`) || !strings.Contains(answer, `node \"n2\"`)):
				t.Errorf("%s of another's user: %s, %q, %s", method, r.Status, owner, answer)
			}
		}
	}
	if served[true] == 0 || served[false] == 0 {
		t.Errorf("the users are served by %v", served)
	}
}

// TestWithoutHistory shows what is in memory, and says that there is no more.
func TestWithoutHistory(t *testing.T) {
	o := options(t)
	n := startNode(t, o)
	post(t, n, "alice", "bob", "1")
	// Below the tail there is nothing, and the message is on its way to the tail.
	eventually(t, "the tail has the message", func() bool {
		r, answer := ask(t, n, "GET", "/v1/history?user=bob&limit=1", "")
		return r.StatusCode == 200 && strings.Contains(answer, `"body":"1"`)
	})
	o.Config.Limits.TailBytes = 0
	n.stop()
	n = startNode(t, o)
	if r, answer := ask(t, n, "GET", "/v1/history?user=bob", ""); r.StatusCode != 404 || !strings.Contains(answer, `"code":"no_history"`) {
		t.Errorf("%s, %s", r.Status, answer)
	}
}
