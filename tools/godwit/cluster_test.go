package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	records "github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/admin/clustertest"
)

// playCluster plays node n1 of a cluster of three that share 12 partitions, and returns the
// URL of its admin port.
func playCluster(t *testing.T, changes ...func(*admin.Config)) (c *clustertest.Cluster, url string) {
	t.Helper()
	c = clustertest.New("n1", 12, "n1", "n2", "n3")
	_, url = serveAdmin(t, c, changes...)
	return c, url
}

// serveAdmin serves the admin port of a node until the test ends.
func serveAdmin(t *testing.T, c admin.Cluster, changes ...func(*admin.Config)) (s *admin.Server, url string) {
	t.Helper()
	cfg := admin.Config{Listen: "127.0.0.1:0", Gatherer: prometheus.NewRegistry(), Ready: func() error { return nil }, Cluster: c}
	for _, change := range changes {
		change(&cfg)
	}
	s, err := admin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, "http://" + s.Addr().String()
}

// godwitReads runs the binary with something to read.
func godwitReads(t *testing.T, input string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

var moment = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)

// clusterOutput runs a command of godwit cluster that must succeed, and returns what it
// prints, with TIME in place of every time.
func clusterOutput(t *testing.T, url string, args ...string) string {
	t.Helper()
	out := godwit(t, t.TempDir(), nil, append(append([]string{"cluster"}, args...), "--admin", url)...).succeeds(t)
	return moment.ReplaceAllString(out, "TIME")
}

func TestClusterShows(t *testing.T) {
	c, url := playCluster(t)
	expect := func(want string, args ...string) {
		t.Helper()
		if got := clusterOutput(t, url, args...); got != want[1:] {
			t.Errorf("%s:\n%swant\n%s", strings.Join(args, " "), got, want[1:])
		}
	}
	expect(`
map version 11, as n1 sees it; controller n1 since TIME
12 partitions of generation 1

NODE  STATE   PARTITIONS  CONNECTIONS  CAPACITY  WEIGHT  BEAT
n1    active  4           7            1000      1       0.0 s ago  controller
n2    active  4           7            1000      1       0.0 s ago
n3    active  4           7            1000      1       0.0 s ago
`, "status")
	expect(`
NODE  STATE   SINCE                WHY     MAP VERSION  CLIENTS                     ADMIN
n1    active  TIME  joined  11           ws://n1.example/v1/connect  http://n1.example:8081
n2    active  TIME  joined  11           ws://n2.example/v1/connect  http://n2.example:8081
n3    active  TIME  joined  11           ws://n3.example/v1/connect  http://n3.example:8081
`, "nodes")
	expect(`
OWNER  NEXT  PREVIOUS  COUNT  PARTITIONS
n1     -     -         4      0-3
n3     -     -         4      4-5,10-11
n2     -     -         4      6-9
`, "partitions")

	// On the way; then one that is silent, one that was never heard, and a node cut off.
	c.Hold(true)
	clusterOutput(t, url, "move", "1-2", "--to", "n2", "--yes")
	expect(`
map version 12, as n1 sees it; controller n1 since TIME
12 partitions of generation 1; 2 get ready to move

NODE  STATE   PARTITIONS  CONNECTIONS  CAPACITY  WEIGHT  BEAT
n1    active  4           7            1000      1       0.0 s ago  controller
n2    active  4           7            1000      1       0.0 s ago  gets 2 more
n3    active  4           7            1000      1       0.0 s ago
`, "status")
	expect(`
OWNER  NEXT  PREVIOUS  COUNT  PARTITIONS
n1     n2    -         2      1-2
n2     -     -         4      6-9
`, "partitions", "--node", "n2")
	c.Hold(false)
	c.Step(1)
	c.Hold(true)
	c.Step(1)
	expect(`
map version 13, as n1 sees it; controller n1 since TIME
12 partitions of generation 1; 2 have moved, and clients have yet to follow

NODE  STATE   PARTITIONS  CONNECTIONS  CAPACITY  WEIGHT  BEAT
n1    active  2           7            1000      1       0.0 s ago  controller, has clients left of 2
n2    active  6           7            1000      1       0.0 s ago
n3    active  4           7            1000      1       0.0 s ago
`, "status")
	c.Hold(false)
	c.Silence("n3", true)
	c.Step(9)
	c.Start("n4", records.Standby)
	c.Degrade(true)
	got := clusterOutput(t, url, "status")
	for _, want := range []string{
		"n1 is cut off from the log: what it tells may be old. Ask another node with --admin.\nmap version ",
		"n3    standby  0           7            1000      1       4.5 s ago  SUSPECTED: the others do not hear it, was silent, and replaced\n",
		"n4    standby  0           -            1000      1       none\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}

	// As JSON.
	var status admin.ClusterStatus
	var nodes []admin.ClusterNode
	var shares []admin.ClusterShare
	for command, answer := range map[string]any{"status": &status, "nodes": &nodes, "partitions": &shares} {
		out := clusterOutput(t, url, command, "--json")
		if err := json.Unmarshal([]byte(out), answer); err != nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%s --json: %v, %s", command, err, out)
		}
	}
	if !status.Degraded || len(nodes) != 4 || len(status.Nodes) != 4 || len(shares) != len(status.Partitions) {
		t.Errorf("%+v, %+v, %+v", status, nodes, shares)
	}
	if out := clusterOutput(t, url, "partitions", "--node", "n3", "--json"); out != "[]\n" {
		t.Errorf("n3 has %s", out)
	}
}

func TestClusterShowsWhoHasEnded(t *testing.T) {
	c, url := playCluster(t)
	c.End("n3")
	want := "n3    standby  0           7            1000      1       0.0 s ago  SUSPECTED: the others do not hear it, ended, and was replaced\n"
	if got := clusterOutput(t, url, "status"); !strings.Contains(got, want) {
		t.Errorf("%q is missing in\n%s", want, got)
	}
}

func TestClusterChanges(t *testing.T) {
	c, url := playCluster(t)
	version := func() int { return int(c.Snapshot().Version()) }
	for _, test := range []struct{ args, want string }{
		{"move 1-2 --to n2", "2 partitions (1-2): n1 -> n2 (requested)\nn1 owns 4 partitions, then 2\nn2 owns 4 partitions, then 6\n" +
			"done: map version %d; the partitions move now, which godwit cluster watch shows\n"},
		{"move 6 --to n2", "nothing changes: all is as asked already\n"},
		{"rebalance", "2 partitions (8-9): n2 -> n1 (balance)\nn1 owns 2 partitions, then 4\nn2 owns 6 partitions, then 4\n" +
			"done: map version %d; the partitions move now, which godwit cluster watch shows\n"},
		{"weight n3 0", "node/n3: weight 1 -> 0\n2 partitions (4,10): n3 -> n1 (balance)\n2 partitions (5,11): n3 -> n2 (balance)\n" +
			"n1 owns 4 partitions, then 6\nn2 owns 4 partitions, then 6\nn3 owns 4 partitions, then 0\n" +
			"done: map version %d; the partitions move now, which godwit cluster watch shows\n"},
		{"drain n3", "node/n3: state active -> draining (operator)\ndone: map version %d\n"},
		{"add n3", "node/n3: state draining -> active (operator)\ndone: map version %d\n"},
		{"standby n3", "node/n3: state active -> standby (operator)\ndone: map version %d\n"},
		{"remove n3", "node/n3: forgotten\ndone: map version %d\n"},
		{"settings set moves_in_flight=64 log_level=debug", "settings: moves_in_flight 32 -> 64\nsettings: log_level  -> debug\ndone: map version %d\n"},
	} {
		before := version()
		want := test.want
		if strings.Contains(want, "%d") {
			want = fmt.Sprintf(want, before+1)
		}
		if got := clusterOutput(t, url, append(strings.Fields(test.args), "--dry-run")...); !strings.HasPrefix(want, got) || strings.Contains(got, "done") {
			t.Errorf("%s --dry-run:\n%swant the first lines of\n%s", test.args, got, want)
		}
		if version() != before {
			t.Errorf("%s --dry-run did something", test.args)
		}
		if got := clusterOutput(t, url, append(strings.Fields(test.args), "--yes")...); got != want {
			t.Errorf("%s:\n%swant\n%s", test.args, got, want)
		}
		c.Step(5)
	}
	if last := c.Requests()[len(c.Requests())-1]; !strings.Contains(last.By, "@") {
		t.Errorf("it was asked by %q", last.By)
	}
	if got := clusterOutput(t, url, "settings", "get"); got != "moves_in_flight=64\nmoved_per_second=500\nlog_level=debug\nsends_per_second=0\nsends_burst=0\n" {
		t.Errorf("the settings are\n%s", got)
	}
	for args, want := range map[string]string{
		"log_level": "debug\n", "log_level --json": "\"debug\"\n", "moves_in_flight --json": "64\n",
		"--json": `{"moves_in_flight":64,"moved_per_second":500,"log_level":"debug","sends_per_second":0,"sends_burst":0}` + "\n",
	} {
		if got := clusterOutput(t, url, append([]string{"settings", "get"}, strings.Fields(args)...)...); got != want {
			t.Errorf("settings get %s: %s", args, got)
		}
	}
}

// TestClusterChangesAsJSON: standard output has the answer and nothing else.
func TestClusterChangesAsJSON(t *testing.T) {
	c, url := playCluster(t)
	var dry, done admin.ClusterAnswer
	for answer, flag := range map[*admin.ClusterAnswer]string{&dry: "--plan", &done: "--yes"} {
		out := clusterOutput(t, url, "rebalance", "--json", flag)
		if err := json.Unmarshal([]byte(out), answer); err != nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v, %s", flag, err, out)
		}
	}
	if !dry.DryRun || dry.Reason != records.CodeUnchanged || done.Reason != records.CodeUnchanged {
		t.Errorf("%+v, %+v", dry, done)
	}
	before := c.Snapshot().Version()
	out := clusterOutput(t, url, "drain", "n1", "--json", "--yes")
	if err := json.Unmarshal([]byte(out), &done); err != nil || done.DryRun || done.Request == "" || done.MapVersion != before+1 || len(done.Plan.Moves) == 0 {
		t.Errorf("%v, %s", err, out)
	}
}

// TestClusterAsks: nothing is done that nobody agreed to.
func TestClusterAsks(t *testing.T) {
	c, url := playCluster(t)
	for input, agreed := range map[string]bool{"": false, "\n": false, "n\n": false, "yep\n": false, "y": true, "YES\n": true} {
		before := c.Snapshot().Version()
		r := godwitReads(t, input, "cluster", "settings", "set", fmt.Sprint("sends_burst=", before), "--admin", url)
		switch done := c.Snapshot().Version() > before; {
		case done != agreed:
			t.Errorf("%q: done is %v", input, done)
		case agreed && (r.status != 0 || !strings.Contains(r.stdout, "\ndone: ")):
			t.Errorf("%q: %+v", input, r)
		case !agreed && (r.status != 1 || !strings.HasSuffix(r.stderr, "Do this? [y/N] \ngodwit: not confirmed, and nothing was done: type y, or give --yes\n")):
			t.Errorf("%q: %+v", input, r)
		}
	}
	// The question, and what it is about, keep away from JSON.
	r := godwitReads(t, "y\n", "cluster", "settings", "set", "sends_burst=9", "--json", "--admin", url)
	if r.status != 0 || strings.Count(r.stdout, "\n") != 1 || !strings.HasPrefix(r.stderr, "settings: sends_burst ") {
		t.Errorf("%+v", r)
	}
}

func TestClusterRefusals(t *testing.T) {
	c, url := playCluster(t)
	for _, test := range []struct{ args, want string }{
		{"drain n9", `unknown_node: The cluster has no node "n9".` + "\ngodwit: its nodes are listed by: godwit cluster nodes\n"},
		{"remove n1", `in_use: Node "n1" still has the partitions 0-3.` + "\ngodwit: drain it first (godwit cluster drain NODE), and wait until it has none (godwit cluster watch)\n"},
		{"move 12 --to n1", "bad_partitions: There is no partition 12: the last one is 11.\ngodwit: who has which partitions is printed by: godwit cluster partitions\n"},
		{"settings set moves_in_flight=0", "bad_settings: moves_in_flight is 0: it must be 1 to 10000.\n"},
	} {
		for _, flag := range []string{"--yes", "--dry-run"} {
			r := godwit(t, t.TempDir(), nil, append(append([]string{"cluster"}, strings.Fields(test.args)...), flag, "--admin", url)...)
			if want := "godwit: " + url + ": " + test.want; r.status != 1 || r.stdout != "" || r.stderr != want {
				t.Errorf("%s: %+v, want %s", test.args, r, want)
			}
		}
	}
	c.Lose(context.DeadlineExceeded)
	r := godwit(t, t.TempDir(), nil, "cluster", "drain", "n1", "--yes", "--admin", url)
	if r.status != 1 || !strings.Contains(r.stderr, ": timeout: no controller has answered in 20s") || !strings.Contains(r.stderr, "to ask twice does no harm\n") {
		t.Errorf("without a controller: %+v", r)
	}
	c.Empty(true)
	if r := godwit(t, t.TempDir(), nil, "cluster", "status", "--admin", url); r.status != 1 || !strings.Contains(r.stderr, "\ngodwit: try again in a moment") {
		t.Errorf("a node that knows nothing: %+v", r)
	}
}

// TestClusterAdminPorts: ports that ask for a token, that are none, and that know of no
// cluster.
func TestClusterAdminPorts(t *testing.T) {
	_, guarded := playCluster(t, func(cfg *admin.Config) { cfg.Token = "secret" })
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "secret\n")
	if out := clusterOutput(t, guarded, "settings", "get", "log_level", "--admin-token-file", token); out != "\n" {
		t.Errorf("with the token: %q", out)
	}
	_, alone := serveAdmin(t, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		guarded: guarded + ": unauthorized: the admin port's token is missing or wrong: send it as Authorization: Bearer\ngodwit: name the file with the token of the admin port with --admin-token-file\n",
		alone:   alone + ": 404 Not Found: is it the admin port of a godwit node, with cluster.enabled set where it is asked about a cluster?\n",
		nobody:  "no node answers at " + nobody + ": connect: connection refused\ngodwit: name the admin port of a node that runs with --admin\n",
	} {
		for _, args := range []string{"status", "watch", "drain n1 --yes"} {
			r := godwit(t, t.TempDir(), nil, append(append([]string{"cluster"}, strings.Fields(args)...), "--admin", url)...)
			if r.status != 1 || r.stdout != "" || r.stderr != "godwit: "+want {
				t.Errorf("%s: %+v, want %s", args, r, want)
			}
		}
	}
}

func TestClusterWrongUsage(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"nosuch", `unknown command "nosuch" for "godwit cluster"`},
		{"status --admin 127.0.0.1:8081", `--admin is "127.0.0.1:8081": must be like http://127.0.0.1:8081`},
		{"drain", "accepts 1 arg(s), received 0"},
		{"move 3-1 --to n2", `PARTITIONS: "3-1" ends before it begins: must be like 0-15,20`},
		{"move 1", "--to is missing: the node that gets them is needed"},
		{"weight n1 -1", "unknown shorthand flag: '1' in -1"},
		{"weight n1 x", `N is "x": must be 0 to 10000`},
		{"settings set", "requires at least 1 arg(s), only received 0"},
		{"settings set sends_burst", `"sends_burst": must be like moves_in_flight=64`},
		{"settings set sends_burst=x", `sends_burst is "x": must be a whole number`},
		{"settings set sends_burst=1 sends_burst=2", "sends_burst is given twice"},
		{"settings set nosuch=1", `there is no setting "nosuch": must be one of moves_in_flight, moved_per_second, log_level, sends_per_second, sends_burst`},
		{"up --nodes 0", "--nodes is 0: must be 1 to 9"},
		{"up --partitions 0", "--partitions is 0: must be 1 to 10000"},
		{"up --listen 0.0.0.0:8080", `--listen is "0.0.0.0:8080": a development node listens on loopback addresses only, such as 127.0.0.1:8080; see godwit serve`},
	} {
		r := godwit(t, t.TempDir(), nil, append([]string{"cluster"}, strings.Fields(test.args)...)...)
		if r.status != 2 || r.stdout != "" || r.stderr != "godwit: "+test.want+"\n" {
			t.Errorf("cluster %s: exit status %d, %s%swant %s", test.args, r.status, r.stdout, r.stderr, test.want)
		}
	}
	out := godwit(t, t.TempDir(), nil, "cluster").succeeds(t)
	for _, command := range []string{"status", "nodes", "partitions", "watch", "move", "drain", "add", "standby", "remove", "weight", "rebalance", "settings", "up"} {
		if !strings.Contains(out, "\n  "+command+" ") {
			t.Errorf("%s is missing in\n%s", command, out)
		}
		godwit(t, t.TempDir(), nil, "cluster", command, "--help").succeeds(t)
	}
}

// TestClusterLongPlans: a plan for people names some of many partitions, the one for
// programs all of them.
func TestClusterLongPlans(t *testing.T) {
	_, url := serveAdmin(t, clustertest.New("n1", 300, "n1", "n2", "n3"))
	plan := clusterOutput(t, url, "drain", "n2", "--dry-run")
	for line := range strings.Lines(plan) {
		if len(line) > 110 {
			t.Errorf("a line has %d bytes: %s", len(line), line)
		}
	}
	if !strings.Contains(plan, "50 partitions (") || !strings.Contains(plan, ",...): n2 -> n1 (draining)\n") {
		t.Errorf("the plan is\n%s", plan)
	}
	var a admin.ClusterAnswer
	if err := json.Unmarshal([]byte(clusterOutput(t, url, "drain", "n2", "--dry-run", "--json")), &a); err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, m := range a.Plan.Moves {
		moved += m.Partitions.Len()
	}
	if moved != 100 {
		t.Errorf("%d partitions move in %+v", moved, a.Plan)
	}
}
