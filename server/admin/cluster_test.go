package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/server/admin/clustertest"
)

// startCluster starts a port of node n1 in a cluster of three that share 12 partitions.
func startCluster(t *testing.T, changes ...func(*Config)) (*port, *clustertest.Cluster) {
	t.Helper()
	c := clustertest.New("n1", 12, "n1", "n2", "n3")
	return start(t, append(changes, func(cfg *Config) { cfg.Cluster = c })...), c
}

// answer asks for something that must be there, and decodes it.
func (p *port) answer(path string, answer any) {
	p.t.Helper()
	r, body := p.request("GET", path, "")
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/json" {
		p.t.Fatalf("%s: %s, %s", path, r.Status, body)
	}
	if err := json.Unmarshal([]byte(body), answer, json.RejectUnknownMembers(true)); err != nil {
		p.t.Fatalf("%s: %v in %s", path, err, body)
	}
}

func (p *port) clusterStatus() (s ClusterStatus) {
	p.t.Helper()
	p.answer("/v1/cluster", &s)
	return s
}

// shares returns who has what, as "0-3 n1; 4-5 n1>n2; 6 n2<n3": owner>next, owner<previous.
func (s *ClusterStatus) shares() string {
	var all []string
	for _, share := range s.Partitions {
		text := share.Partitions.String() + " " + share.Owner
		if share.Next != "" {
			text += ">" + share.Next
		}
		if share.Previous != "" {
			text += "<" + share.Previous
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestClusterStatus(t *testing.T) {
	p, c := startCluster(t)
	s := p.clusterStatus()
	if s.Node != "n1" || s.Degraded || s.MapVersion != c.Snapshot().Version() || s.shares() != "0-3 n1; 4-5,10-11 n3; 6-9 n2" {
		t.Errorf("%+v, %s", s, s.shares())
	}
	if s.Controller == nil || *s.Controller != (ClusterController{Node: "n1", Epoch: 1, Since: clustertest.Begin}) {
		t.Errorf("the controller is %+v", s.Controller)
	}
	if s.Settings.Partitions != 12 || s.Settings.Generation != 1 || s.Settings.Live.MovesInFlight != cluster.DefaultLive().MovesInFlight {
		t.Errorf("the settings are %+v", s.Settings)
	}
	if len(s.Decisions) == 0 || s.Decisions[len(s.Decisions)-1].Version != s.MapVersion || s.Decisions[0].Text == "" {
		t.Errorf("the decisions are %+v", s.Decisions)
	}
	if len(s.Nodes) != 3 {
		t.Fatalf("the nodes are %+v", s.Nodes)
	}
	for i, id := range []string{"n1", "n2", "n3"} {
		n := s.Nodes[i]
		if n.ID != id || n.URL != "ws://"+id+".example/v1/connect" || n.Admin != "http://"+id+".example:8081" ||
			n.Capacity != clustertest.Capacity || n.Weight != 1 || n.State != cluster.Active || n.Reason != cluster.ReasonJoined ||
			n.Owner != 4 || n.Next != 0 || n.Previous != 0 || n.Suspected {
			t.Errorf("%s is %+v", id, n)
		}
		if b := n.Beat; b == nil || b.Incarnation != "000000000000feed" || b.N != 40 || b.MapVersion != s.MapVersion || b.AgeMS != 0 ||
			b.Connections != 7 || b.Controller != (id == "n1") {
			t.Errorf("the beat of %s is %+v", id, b)
		}
	}
}

// TestClusterStatusOnTheWay looks at partitions on their way and at nodes that are not well.
func TestClusterStatusOnTheWay(t *testing.T) {
	p, c := startCluster(t)
	c.Hold(true)
	p.propose(t, `{"kind":"move","partitions":"1-2","to":"n2"}`)
	s := p.clusterStatus()
	if s.shares() != "0,3 n1; 1-2 n1>n2; 4-5,10-11 n3; 6-9 n2" || s.Nodes[0].Owner != 4 || s.Nodes[1].Next != 2 {
		t.Errorf("%s, %+v", s.shares(), s.Nodes)
	}
	c.Hold(false)
	c.Step(1)
	c.Hold(true)
	if s = p.clusterStatus(); s.shares() != "0,3 n1; 1-2 n2<n1; 4-5,10-11 n3; 6-9 n2" || s.Nodes[0].Previous != 2 || s.Nodes[1].Owner != 6 {
		t.Errorf("%s, %+v", s.shares(), s.Nodes)
	}

	c.Hold(false)
	c.Silence("n3", true)
	c.Step(4)
	if n := p.clusterStatus().Nodes[2]; n.Suspected || n.Beat.AgeMS != 2000 {
		t.Errorf("n3 after 2 s of silence: %+v, %+v", n, n.Beat)
	}
	c.Step(5)
	s = p.clusterStatus()
	if n := s.Nodes[2]; !n.Suspected || n.State != cluster.Standby || n.Reason != cluster.ReasonSuspected || n.Owner != 0 {
		t.Errorf("n3 after 4.5 s of silence: %+v", n)
	}
	c.Start("n4", cluster.Standby)
	if s = p.clusterStatus(); s.Nodes[3].Beat != nil {
		t.Errorf("n4 was heard before its first beat: %+v", s.Nodes[3])
	}
	c.Degrade(true)
	if !p.clusterStatus().Degraded {
		t.Error("that n1 is degraded is not told")
	}
}

// propose makes a request that must be granted.
func (p *port) propose(t *testing.T, request string) (a ClusterAnswer) {
	t.Helper()
	r, body := p.request("POST", "/v1/cluster/requests", request)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %s", request, r.Status, body)
	}
	if err := json.Unmarshal([]byte(body), &a, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestClusterRequests(t *testing.T) {
	p, c := startCluster(t)
	before := len(c.Requests())
	r, body := p.request("POST", "/v1/cluster/requests?dry_run=1", `{"kind":"drain","node":"n1"}`)
	var dry ClusterAnswer
	if err := json.Unmarshal([]byte(body), &dry); r.StatusCode != 200 || err != nil {
		t.Fatalf("%s, %s", r.Status, body)
	}
	if !dry.DryRun || dry.Request != "" || dry.Reason != "" || dry.MapVersion != c.Snapshot().Version() || len(dry.Plan.Changes) != 1 || len(dry.Plan.Moves) == 0 {
		t.Errorf("a dry run says %s", body)
	}
	if len(c.Requests()) != before {
		t.Error("a dry run asked the controller")
	}
	version := c.Snapshot().Version()
	a := p.propose(t, `{"kind":"drain","node":"n1","by":"ops"}`)
	made := c.Requests()[before]
	if a.DryRun || a.Request != made.ID || a.MapVersion != version+1 || a.Reason != "" || len(a.Plan.Moves) != len(dry.Plan.Moves) {
		t.Errorf("the answer is %+v", a)
	}
	if made.Kind != cluster.KindDrain || made.Node != "n1" || made.By != "ops" || made.At == 0 || !cluster.ValidID(made.ID) {
		t.Errorf("the request is %+v", made)
	}
	if n, _ := c.Snapshot().Node("n1"); n.State != cluster.Draining {
		t.Errorf("n1 is %+v", n)
	}
	c.Step(3)
	if s := p.clusterStatus(); s.Nodes[0].Owner != 0 || s.Nodes[0].Previous != 0 {
		t.Errorf("n1 has %+v", s.Nodes[0])
	}
	// Once more changes nothing, and says so.
	for _, query := range []string{"", "?dry_run=0", "?dry_run=1"} {
		r, body := p.request("POST", "/v1/cluster/requests"+query, `{"kind":"drain","node":"n1"}`)
		if err := json.Unmarshal([]byte(body), &a); r.StatusCode != 200 || err != nil || a.Reason != cluster.CodeUnchanged || a.Message == "" {
			t.Errorf("%q: %s, %s", query, r.Status, body)
		}
	}
	p.propose(t, `{"kind":"settings","live":{"moves_in_flight":64,"log_level":"debug"}}`)
	p.propose(t, `{"kind":"weight","node":"n2","weight":0}`)
	s := p.clusterStatus()
	if l := s.Settings.Live; l.MovesInFlight != 64 || l.LogLevel != "debug" || s.Nodes[1].Weight != 0 {
		t.Errorf("%+v, %+v", l, s.Nodes[1])
	}
	if last := c.Requests()[len(c.Requests())-1]; last.By != "the admin port of n1" {
		t.Errorf("it was asked by %q", last.By)
	}
}

func TestClusterRefusals(t *testing.T) {
	p, c := startCluster(t)
	c.Start("n4", cluster.Standby)
	before := len(c.Requests())
	for _, test := range []struct {
		request string
		status  int
		code    string
	}{
		{`{"kind":"drain","node":"n9"}`, 404, "unknown_node"},
		{`{"kind":"drain","node":"n 9"}`, 400, "bad_id"},
		{`{"kind":"drain"}`, 400, "bad_id"},
		{`{"kind":"remove","node":"n1"}`, 409, "in_use"},
		{`{"kind":"move","partitions":"1","to":"n4"}`, 409, "not_active"},
		{`{"kind":"move","partitions":"12","to":"n2"}`, 400, "bad_partitions"},
		{`{"kind":"move","partitions":"0-0,0","to":"n2"}`, 400, "bad_frame"},
		{`{"kind":"weight","node":"n1","weight":-1}`, 400, "bad_weight"},
		{`{"kind":"settings","live":{"moves_in_flight":0}}`, 400, "bad_settings"},
		{`{"kind":"settings","live":{"nosuch":1}}`, 400, "bad_frame"},
		{`{"kind":"join","node":"n5"}`, 400, "bad_parameter"},
		{`{"kind":"leave","node":"n1"}`, 400, "bad_parameter"},
		{`{"kind":"explode"}`, 400, "bad_parameter"},
		{`{"kind":"drain","node":"n1","at":1}`, 400, "bad_parameter"},
		{`{"kind":"drain","node":"n1","nosuch":1}`, 400, "bad_frame"},
		{`{"kind":"drain"`, 400, "bad_frame"},
		{``, 400, "bad_frame"},
		{strings.Repeat(" ", cluster.MaxRecord+1), 413, "frame_too_large"},
	} {
		for _, query := range []string{"", "?dry_run=1"} {
			r, body := p.request("POST", "/v1/cluster/requests"+query, test.request)
			if r.StatusCode != test.status || !strings.HasPrefix(body, `{"type":"error","code":"`+test.code+`","message":"`) {
				t.Errorf("%s %.80s: %s, %s; want %d, %s", query, test.request, r.Status, body, test.status, test.code)
			}
		}
	}
	for _, query := range []string{"?dry_run=yes", "?dry=1", "?dry_run=1&dry_run=1"} {
		if r, body := p.request("POST", "/v1/cluster/requests"+query, `{"kind":"rebalance"}`); r.StatusCode != 400 {
			t.Errorf("%s: %s, %s", query, r.Status, body)
		}
	}
	for _, made := range c.Requests()[before:] {
		if made.Kind == cluster.KindJoin || made.Kind == cluster.KindLeave {
			t.Errorf("the controller was asked %+v", made)
		}
	}
}

// TestClusterWithoutAController: what becomes of a request is not known.
func TestClusterWithoutAController(t *testing.T) {
	p, c := startCluster(t)
	for _, test := range []struct {
		err  error
		code backplane.Code
	}{
		{context.DeadlineExceeded, "timeout"},
		{errors.New("the log is gone"), "not_ready"},
	} {
		c.Lose(test.err)
		r, body := p.request("POST", "/v1/cluster/requests", `{"kind":"drain","node":"n1"}`)
		if r.StatusCode != http.StatusGatewayTimeout || !strings.Contains(body, `"code":"`+string(test.code)+`"`) {
			t.Errorf("%v: %s, %s", test.err, r.Status, body)
		}
		if r, body := p.request("POST", "/v1/cluster/requests?dry_run=1", `{"kind":"drain","node":"n1"}`); r.StatusCode != http.StatusOK {
			t.Errorf("a dry run: %s, %s", r.Status, body)
		}
	}
}

// TestClusterWithAnAlarm: nothing is asked, and the answer tells why.
func TestClusterWithAnAlarm(t *testing.T) {
	p, c := startCluster(t)
	before := len(c.Requests())
	c.Distrust(errors.New("the topic was made anew"))
	for _, query := range []string{"", "?dry_run=1"} {
		r, body := p.request("POST", "/v1/cluster/requests"+query, `{"kind":"drain","node":"n1"}`)
		if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"not_ready"`) || !strings.Contains(body, "the topic was made anew") {
			t.Errorf("%q: %s, %s", query, r.Status, body)
		}
	}
	if len(c.Requests()) != before {
		t.Error("the controller was asked")
	}
	if r, body := p.request("GET", "/v1/cluster", ""); r.StatusCode != http.StatusOK {
		t.Errorf("the status: %s, %s", r.Status, body)
	}
}

func TestClusterNotReady(t *testing.T) {
	p, c := startCluster(t)
	c.Empty(true)
	for _, request := range [][3]string{
		{"GET", "/v1/cluster"}, {"GET", "/v1/cluster/watch"}, {"GET", "/v1/map"}, {"GET", "/v1/route?user=alice"},
		{"POST", "/v1/cluster/requests", `{"kind":"rebalance"}`},
	} {
		r, body := p.request(request[0], request[1], request[2])
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(body, `"code":"not_ready"`) {
			t.Errorf("%s: %s, %s", request[1], r.Status, body)
		}
	}
}

// TestClusterIsGuarded: who asks needs the token, and a node by itself has none of it.
func TestClusterIsGuarded(t *testing.T) {
	p, c := startCluster(t, func(cfg *Config) { cfg.Token = "secret" })
	alone := start(t)
	before := len(c.Requests())
	for _, request := range [][3]string{
		{"GET", "/v1/cluster"}, {"GET", "/v1/cluster/watch"}, {"GET", "/v1/map"}, {"GET", "/v1/route?partition=1"},
		{"POST", "/v1/cluster/requests", `{"kind":"drain","node":"n1"}`},
	} {
		if r, _ := p.request(request[0], request[1], request[2]); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a token: %s", request[1], r.Status)
		}
		if r, _ := p.request(request[0], request[1], request[2], "Authorization", "Bearer secret", "Origin", "http://evil.example"); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s from a page of another site: %s", request[1], r.Status)
		}
		if r, _ := alone.request(request[0], request[1], request[2]); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s of a node by itself: %s", request[1], r.Status)
		}
	}
	if len(c.Requests()) != before {
		t.Error("the controller was asked")
	}
}

func TestClusterMap(t *testing.T) {
	p, c := startCluster(t)
	var m ClusterMap
	p.answer("/v1/map", &m)
	if m.Generation != 1 || m.Partitions != 12 || m.MapVersion != c.Snapshot().Version() || len(m.Nodes) != 3 ||
		m.Nodes[2].Node != "n3" || m.Nodes[2].URL != "ws://n3.example/v1/connect" || m.Nodes[2].Partitions.String() != "4-5,10-11" {
		t.Errorf("%+v", m)
	}
	r, _ := p.request("GET", "/v1/map", "")
	tag := r.Header.Get("ETag")
	for header, want := range map[string]int{
		tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200, strings.Trim(tag, `"`): 200,
	} {
		r, body := p.request("GET", "/v1/map", "", "If-None-Match", header)
		if r.StatusCode != want || r.Header.Get("ETag") != tag || (want == 304) != (body == "") {
			t.Errorf("If-None-Match: %s: %s, %s, %q", header, r.Status, r.Header.Get("ETag"), body)
		}
	}
	p.propose(t, `{"kind":"standby","node":"n3"}`)
	c.Step(3)
	if r, _ := p.request("GET", "/v1/map", "", "If-None-Match", tag); r.StatusCode != 200 {
		t.Errorf("after a change: %s", r.Status)
	}
	p.answer("/v1/map", &m)
	if len(m.Nodes) != 2 {
		t.Errorf("a standby is in the map: %+v", m)
	}
	if r, _ := p.request("GET", "/v1/map?n=1", ""); r.StatusCode != 400 {
		t.Errorf("with a parameter that it does not have: %s", r.Status)
	}
}

func TestClusterRoute(t *testing.T) {
	p, c := startCluster(t)
	c.Hold(true)
	p.propose(t, `{"kind":"move","partitions":"1","to":"n2"}`)
	var route ClusterRoute
	p.answer("/v1/route?partition=1", &route)
	want := ClusterRoute{Partition: 1, Node: "n1", URL: "ws://n1.example/v1/connect", MapVersion: c.Snapshot().Version(), Next: "n2"}
	if route != want {
		t.Errorf("%+v, want %+v", route, want)
	}
	for _, user := range []string{"alice", "bob", "李小龍"} {
		route = ClusterRoute{}
		p.answer("/v1/route?user="+user, &route)
		a := c.Snapshot().Assignment(backplane.PartitionOf(user, 12))
		if route.User != user || route.Partition != a.Partition || route.Node != a.Owner || route.URL != "ws://"+a.Owner+".example/v1/connect" {
			t.Errorf("%s: %+v, want %+v", user, route, a)
		}
	}
	for _, query := range []string{"", "?user=", "?partition=", "?partition=12", "?partition=-1", "?user=a&partition=1", "?user=" + strings.Repeat("u", 129), "?users=a"} {
		if r, body := p.request("GET", "/v1/route"+query, ""); r.StatusCode != 400 || !strings.Contains(body, `"code":"bad_parameter"`) {
			t.Errorf("%q: %s, %s", query, r.Status, body)
		}
	}
}
