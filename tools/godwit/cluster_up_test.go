package main_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	records "github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/admin"
)

// upLine is a line of the table that godwit cluster up prints.
var upLine = regexp.MustCompile(`(?m)^  (n\d) +clients (ws://\S+)  admin (http://\S+)  process (\d+)$`)

// TestClusterUp runs three nodes, kills one, starts it again as the command says, and stops
// all.
func TestClusterUp(t *testing.T) {
	kc := kafkatest.Private(t).Config(t, 8)
	data := filepath.Join(t.TempDir(), "data")
	up, stdout, stderr := run(t, "cluster", "up", "--kafka", kc.Brokers[0], "--namespace", kc.Namespace, "--partitions", "8",
		"--listen", "127.0.0.1:0", "--data", data)
	// A test that fails ends the command, and that ends its nodes.
	stdout.await(t, "Ctrl-C stops all of it.\n")
	nodes := upLine.FindAllStringSubmatch(stdout.String(), -1)
	if len(nodes) != 3 || nodes[0][1] != "n1" || nodes[2][1] != "n3" {
		t.Fatalf("the table is %q in\n%s", nodes, stdout)
	}
	status := func() (s admin.ClusterStatus) {
		t.Helper()
		out := clusterOutput(t, nodes[0][3], "status", "--json")
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	owned := func(s admin.ClusterStatus) (total int) {
		for i := range s.Nodes {
			total += s.Nodes[i].Owner
		}
		return total
	}
	if s := status(); len(s.Nodes) != 3 || owned(s) != 8 || s.Settings.Partitions != 8 {
		t.Errorf("at first the cluster is %+v", s)
	}
	if !strings.Contains(stderr.String(), "\nn2 | time=") {
		t.Errorf("no line of n2 in\n%s", stderr)
	}
	// The tokens of the same folder are good at every node.
	godwit(t, t.TempDir(), nil, "send", "--user", "alice", "--to", "bob", "--url", nodes[1][2], "--data", data, "hello").succeeds(t)

	pid, err := strconv.Atoi(nodes[2][4])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	stderr.await(t, "n3 has ended (signal: killed); start it again with: ")
	eventually(t, "the others have the partitions of n3", func() bool {
		s := status()
		return s.Nodes[2].State == records.Standby && s.Nodes[2].Owner == 0 && owned(s) == 8
	})
	_, again, _ := strings.Cut(stderr.String(), "start it again with: ")
	again, _, _ = strings.Cut(again, "\n")
	third, _, _ := run(t, strings.Fields(again)[1:]...)
	eventually(t, "n3 is back, as a standby", func() bool {
		n := status().Nodes[2]
		return !n.Suspected && n.State == records.Standby && n.Beat != nil && n.Beat.AgeMS < 1000
	})
	stop(t, third)

	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := up.Wait(); err != nil {
		t.Errorf("after an interrupt: %v, %s", err, stderr)
	}
	for _, n := range nodes[:2] {
		if pid, err := strconv.Atoi(n[4]); err != nil || syscall.Kill(pid, 0) == nil {
			t.Errorf("%s still runs as process %s", n[1], n[4])
		}
	}
}

// TestClusterUpRefuses what it cannot start, in a sentence.
func TestClusterUpRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	script := filepath.Join(broken, "tools", "kafka", "kafka.sh")
	if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no Java here\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, freePort, err := net.SplitHostPort(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir     string
		environ []string
		args    []string
		want    string // in standard error
	}{
		"without a Kafka": {t.TempDir(), nil, nil,
			"godwit: no Kafka is named, and tools/kafka/kafka.sh is not there to start one: name yours with --kafka host:port, or run this in a checkout of godwit\n"},
		"a port that is taken": {t.TempDir(), nil, []string{"--listen", taken.Addr().String()},
			"godwit: " + taken.Addr().String() + " cannot be listened on: bind: address already in use: choose other ports with --listen\n"},
		"a Kafka whose port is taken": {broken, []string{"KAFKA_PORT=" + port}, nil,
			"godwit: 127.0.0.1:" + port + " cannot be listened on: bind: address already in use: if a Kafka runs there, use it with --kafka 127.0.0.1:" + port + "\n"},
		"a Kafka that does not start": {broken, []string{"KAFKA_PORT=" + freePort}, nil,
			"godwit: the Kafka did not start (exit status 3); its log is "},
	} {
		args := test.args
		if args == nil {
			args = []string{"--listen", "127.0.0.1:0"}
		}
		r := godwit(t, test.dir, test.environ, append([]string{"cluster", "up"}, args...)...)
		if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%s: %+v, want %s", name, r, test.want)
		}
	}
	text, err := os.ReadFile(filepath.Join(broken, "godwit-data", "cluster", "kafka", "kafka.log"))
	if err != nil || string(text) != "no Java here\n" {
		t.Errorf("the log is %q, %v", text, err)
	}
}
