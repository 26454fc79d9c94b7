package foreign

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/processtest"
)

// kind is a way in which a client speaks to the server.
type kind struct {
	language language
	encoding string // json or proto
	tokenIn  string // header, query or subprotocol
}

// kinds are all pairs of language and encoding, with every place for a token.
var kinds = []kind{
	{python, "json", "header"},
	{js, "json", "subprotocol"},
	{python, "proto", "query"},
	{js, "proto", "header"},
}

func (k kind) String() string { return k.language.name + "-" + k.encoding }

// each runs f as a subtest for each kind.
func each(t *testing.T, f func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) { f(t, k) })
	}
}

// event is what a client tells; see clients/python/chat.py.
type event struct {
	Event    string            `json:"event"`
	Protocol string            `json:"protocol"`
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Code     int               `json:"code"`
	Reason   string            `json:"reason"`
	Text     string            `json:"text"`
	Frame    frame             `json:"frame"`
}

// frame is a frame of the server in JSON, whatever it was on the wire.
type frame struct {
	Type       string            `json:"type"`
	Session    string            `json:"session"`
	User       string            `json:"user"`
	Node       string            `json:"node"`
	MapVersion uint64            `json:"map_version"`
	Limits     map[string]uint32 `json:"limits"`
	Heartbeat  uint32            `json:"heartbeat_ms"`
	ID         string            `json:"id"`
	Status     string            `json:"status"`
	Code       string            `json:"code"`
	Message    string            `json:"message"`
	MessageID  string            `json:"message_id"`
	Time       int64             `json:"time"`
	From       string            `json:"from"`
	To         []string          `json:"to"`
	Kind       string            `json:"kind"`
	Seq        uint64            `json:"seq"`
	Self       bool              `json:"self"`
	Cursor     string            `json:"cursor"`
	Text       *string           `json:"body"`
	Base64     *string           `json:"body_base64"`
	FromSeq    uint64            `json:"from_seq"`
	ToSeq      uint64            `json:"to_seq"`
	Reason     string            `json:"reason"`
	After      string            `json:"after"`
	Before     string            `json:"before"`
	Resumed    bool              `json:"resumed"`
	TTL        int64             `json:"ttl_ms"`
	Messages   []frame           `json:"messages"`
	MoreAfter  bool              `json:"more_after"`
	MoreBefore bool              `json:"more_before"`
	Gone       string            `json:"gone"`
	URL        string            `json:"url"`
}

// device is a run of the program chat: one device of one user.
type device struct {
	*processtest.Process
	t     testing.TB
	stdin io.WriteCloser

	mu     sync.Mutex
	line   []byte        // the beginning of the line that is being written
	events []event       // that no test has taken
	seen   chan struct{} // closed and made anew at each event
}

// start starts a client. It connects by itself.
func start(t testing.TB, k kind, url, token, name string, args ...string) *device {
	t.Helper()
	args = append([]string{
		url, "--token", token, "--token-in", k.tokenIn, "--device", name,
		"--encoding", k.encoding, "--schema", filepath.Join(root, "codec", "godwit.proto"),
	}, args...)
	cmd := k.language.command(t, "chat", args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, stdin: stdin, seen: make(chan struct{})}
	cmd.Stdout = d
	d.Process = processtest.Start(t, cmd)
	return d
}

// connect starts a client of godwit dev and returns when it was welcomed.
func (n *node) connect(t testing.TB, k kind, user, name string, args ...string) *device {
	t.Helper()
	d, _ := n.join(t, k, user, name, args...)
	return d
}

// join is connect for tests that want to see the welcome.
func (n *node) join(t testing.TB, k kind, user, name string, args ...string) (*device, frame) {
	t.Helper()
	d := start(t, k, n.url, n.token(t, user, time.Hour), name, args...)
	return d, d.welcomed(user)
}

// parameter is an argument of a client: a parameter of its connect request.
func parameter(name, value string) string { return "--parameter=" + name + "=" + value }

// welcomed waits for the welcome and checks it.
func (d *device) welcomed(user string) frame {
	d.t.Helper()
	d.take("open", func(e *event) bool { return e.Event == "open" })
	w := d.frame("welcome")
	if w.User != user || len(w.Session) != 16 || w.Node == "" || w.Cursor == "" || w.MapVersion == 0 || w.Heartbeat == 0 {
		d.t.Fatalf("the welcome of %s: %+v", user, w)
	}
	for _, limit := range []string{"body_bytes", "recipients", "queue_messages", "queue_bytes", "in_flight", "sends_per_second"} {
		if w.Limits[limit] == 0 {
			d.t.Errorf("welcome.limits: %s is missing in %v", limit, w.Limits)
		}
	}
	return w
}

// Write takes what the client writes to its standard output. The goroutine of its
// process calls it.
func (d *device) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line = append(d.line, p...)
	for {
		line, rest, ok := bytes.Cut(d.line, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			e = event{Event: "wrong", Text: "not an event: " + string(line)}
		}
		d.line = rest
		d.events = append(d.events, e)
		close(d.seen)
		d.seen = make(chan struct{})
	}
}

// take waits for the first event that matches, and removes it. The test fails if the
// client says that something is wrong.
func (d *device) take(what string, match func(*event) bool) event {
	d.t.Helper()
	deadline := time.After(patience)
	for {
		ended := d.Ended() // before the look: all that it wrote is there then
		d.mu.Lock()
		events, seen := d.events, d.seen
		at := slices.IndexFunc(events, func(e event) bool { return match(&e) })
		var e event
		if at >= 0 {
			e = events[at]
			d.events = slices.Delete(events, at, at+1)
		}
		d.mu.Unlock()
		d.check()
		switch {
		case at >= 0:
			return e
		case ended:
			d.t.Fatalf("the client ended without %s; it told %+v and wrote:\n%s", what, d.untaken(), d.Stderr.String())
		}
		select {
		case <-seen:
		case <-d.Done():
		case <-deadline:
			d.t.Fatalf("no %s in %v; the client told %+v and wrote:\n%s", what, patience, d.untaken(), d.Stderr.String())
		}
	}
}

// check fails the test if the client has judged that something is wrong.
func (d *device) check() {
	d.t.Helper()
	for _, e := range d.untaken() {
		if e.Event == "wrong" {
			d.t.Fatalf("the client says: %s", e.Text)
		}
	}
}

// untaken returns the events that no test has taken.
func (d *device) untaken() []event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

// frame takes the next frame of a type.
func (d *device) frame(kind string) frame {
	d.t.Helper()
	return d.take(kind, func(e *event) bool { return e.Event == "frame" && e.Frame.Type == kind }).Frame
}

// closed takes the end of the connection.
func (d *device) closed(code int) event {
	d.t.Helper()
	e := d.take("close", func(e *event) bool { return e.Event == "closed" })
	if e.Code != code {
		d.t.Errorf("closed with %d (%s), want %d", e.Code, e.Reason, code)
	}
	return e
}

// quiet requires that nothing came but what the test has taken. Whoever calls it has
// seen to it that what must not come would have come before.
func (d *device) quiet() {
	d.t.Helper()
	if events := d.untaken(); len(events) > 0 {
		d.t.Errorf("the client told %d events that were not expected: %+v", len(events), events)
	}
}

// do has the client do something.
func (d *device) do(what string, members map[string]any) {
	d.t.Helper()
	command := map[string]any{"do": what}
	for name, value := range members {
		command[name] = value
	}
	line, err := json.Marshal(command)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.stdin.Write(append(line, '\n')); err != nil {
		d.t.Fatalf("the client takes no commands: %v\n%s", err, d.Stderr.String())
	}
}

func (d *device) send(id string, body string, to ...string) {
	d.t.Helper()
	if to == nil {
		to = []string{} // not null
	}
	d.do("send", map[string]any{"id": id, "to": to, "body": body})
}

// stored sends a message and waits until it is stored.
func (d *device) stored(id, body string, to ...string) frame {
	d.t.Helper()
	d.send(id, body, to...)
	return d.acked(id, "stored", "")
}

// acked takes the ack of a send.
func (d *device) acked(id, status, code string) frame {
	d.t.Helper()
	ack := d.take("ack of "+id, func(e *event) bool { return e.Event == "frame" && e.Frame.Type == "ack" && e.Frame.ID == id }).Frame
	if ack.Status != status || ack.Code != code {
		d.t.Errorf("ack of %s: %s %s, want %s %s", id, ack.Status, ack.Code, status, code)
	}
	return ack
}
