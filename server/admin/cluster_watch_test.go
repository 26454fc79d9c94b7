package admin

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// stream is what a test reads of GET /v1/cluster/watch.
type stream struct {
	t     *testing.T
	lines chan ClusterEvent // closed at its end
}

// watch opens a stream, which ends with the test.
func (p *port) watch(t *testing.T) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/v1/cluster/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%s, %s", r.Status, r.Header.Get("Content-Type"))
	}
	s := &stream{t: t, lines: make(chan ClusterEvent)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.lines)
		defer r.Body.Close()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			var e ClusterEvent
			if err := json.Unmarshal(lines.Bytes(), &e, json.RejectUnknownMembers(true)); err != nil {
				t.Errorf("%v in %s", err, lines.Bytes())
				return
			}
			select {
			case s.lines <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// next returns the next event that is not only a sign of life.
func (s *stream) next() ClusterEvent {
	s.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case e, ok := <-s.lines:
			if !ok {
				s.t.Fatal("the stream has ended")
			}
			if e.Type == EventAlive {
				continue
			}
			if e.Time == 0 || e.Type != EventStatus && e.Text == "" {
				s.t.Errorf("an event without a time or a text: %+v", e)
			}
			return e
		case <-deadline:
			s.t.Fatal("nothing comes")
		}
	}
}

// until returns the events up to the first of which found says so.
func (s *stream) until(found func(e ClusterEvent) bool) []ClusterEvent {
	s.t.Helper()
	for events := []ClusterEvent(nil); ; {
		e := s.next()
		events = append(events, e)
		if found(e) {
			return events
		}
	}
}

// texts returns the texts of those events that are of a type, a line each.
func texts(events []ClusterEvent, kind string) string {
	var b strings.Builder
	for _, e := range events {
		if e.Type == kind {
			b.WriteString(e.Text + "\n")
		}
	}
	return b.String()
}

func owned(by, partitions string) func(ClusterEvent) bool {
	return func(e ClusterEvent) bool {
		return e.Type == EventPartitions && e.To.Owner == by && e.Partitions.String() == partitions
	}
}

func TestClusterWatch(t *testing.T) {
	p, c := startCluster(t)
	s := p.watch(t)
	first := s.next()
	if first.Type != EventStatus || first.Status == nil || first.Status.shares() != "0-3 n1; 4-5,10-11 n3; 6-9 n2" ||
		first.MapVersion != c.Snapshot().Version() || len(first.Status.Decisions) == 0 {
		t.Fatalf("the stream begins with %+v", first)
	}

	// A move, in its three steps.
	c.Hold(true)
	p.propose(t, `{"kind":"move","partitions":"1-2","to":"n2"}`)
	events := s.until(owned("n1", "1-2"))
	if texts(events, EventPartitions) != "partitions 1-2: n2 gets ready to own them\n" {
		t.Errorf("%+v", events)
	}
	decision := events[0]
	if decision.Type != EventDecision || decision.Decision.Kind != "grant" || decision.Decision.Text != decision.Text || decision.Decision.By != "n1" {
		t.Errorf("%+v", decision)
	}
	c.Hold(false)
	c.Step(1)
	c.Hold(true)
	if got := texts(s.until(owned("n2", "1-2")), EventPartitions); got != "partitions 1-2: owned by n2, no longer by n1, n1 serves those of its clients that have not left\n" {
		t.Error(got)
	}
	c.Hold(false)
	c.Step(1)
	if got := texts(s.until(owned("n2", "1-2")), EventPartitions); got != "partitions 1-2: n1 has let go\n" {
		t.Error(got)
	}

	// A node dies, and comes back.
	c.Silence("n3", true)
	for range 9 {
		c.Step(1)
	}
	events = s.until(func(e ClusterEvent) bool { return e.Type == EventPartitions })
	if texts(events, EventSuspected) != "n3 is suspected: the others go on without hearing it\n" || texts(events, EventNode) != "n3 is standby (suspected)\n" {
		t.Errorf("%+v", events)
	}
	c.Silence("n3", false)
	c.Step(1)
	s.until(func(e ClusterEvent) bool { return e.Type == EventHeard && e.Node == "n3" })

	// What else there is to tell.
	for _, test := range []struct{ request, kind, text string }{
		{`{"kind":"weight","node":"n2","weight":3}`, EventNode, "n2 has the weight 3"},
		{`{"kind":"settings","live":{"log_level":"debug","sends_burst":9}}`, EventSettings, "log_level is debug, sends_burst is 9"},
		{`{"kind":"remove","node":"n3"}`, EventNode, "n3 is removed"},
	} {
		p.propose(t, test.request)
		events := s.until(func(e ClusterEvent) bool { return e.Type == test.kind })
		if got := events[len(events)-1]; got.Text != test.text {
			t.Errorf("%s: %+v, want %q", test.request, got, test.text)
		}
	}
	c.Start("n4", cluster.Standby)
	if got := texts(s.until(func(e ClusterEvent) bool { return e.Node == "n4" }), EventNode); got != "n4 is new: standby, at ws://n4.example/v1/connect\n" {
		t.Error(got)
	}
	c.Degrade(true)
	s.until(func(e ClusterEvent) bool { return e.Type == EventDegraded })
}

// TestClusterWatchTellsNothingTwice: what has not changed is not told, however often the
// node says that something may have.
func TestClusterWatchTellsNothingTwice(t *testing.T) {
	p, c := startCluster(t)
	s := p.watch(t)
	s.next()
	for range 20 {
		c.Step(1)
	}
	p.propose(t, `{"kind":"settings","live":{"sends_burst":9}}`)
	if e := s.next(); e.Type != EventDecision {
		t.Errorf("before the decision came %+v", e)
	}
	if e := s.next(); e.Type != EventSettings {
		t.Errorf("after the decision came %+v", e)
	}
}

// TestClusterWatchEnds with the server, which does not wait for it.
func TestClusterWatchEnds(t *testing.T) {
	p, _ := startCluster(t)
	s := p.watch(t)
	s.next()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for range s.lines {
	}
}

func TestClusterWatchers(t *testing.T) {
	p, _ := startCluster(t)
	for range maxWatchers {
		p.watch(t).next()
	}
	if r, body := p.request("GET", "/v1/cluster/watch", ""); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"overloaded"`) {
		t.Errorf("one too many: %s, %s", r.Status, body)
	}
}

// TestClusterWatchOutlivesTheTimeouts: the server's limits for requests are not for streams.
func TestClusterWatchOutlivesTheTimeouts(t *testing.T) {
	const short = 500 * time.Millisecond
	p, c := startCluster(t)
	impatient := httptest.NewUnstartedServer(p.server.Handler)
	impatient.Config.ReadTimeout, impatient.Config.WriteTimeout = short, short
	impatient.Start()
	t.Cleanup(impatient.Close)
	s := (&port{t: t, url: impatient.URL, client: impatient.Client()}).watch(t)
	s.next()
	burst := 0
	for start := time.Now(); time.Since(start) < 3*short; {
		burst++
		if _, err := c.Propose(t.Context(), cluster.Request{ID: fmt.Sprint(burst), Kind: cluster.KindSettings, Live: &cluster.LiveChange{SendsBurst: &burst}}); err != nil {
			t.Fatal(err)
		}
		s.until(func(e ClusterEvent) bool { return e.Type == EventSettings })
	}
}
