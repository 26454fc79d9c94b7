package main_test

import (
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestTopics makes the topics of a namespace, finds that there is nothing left to do,
// and that one broker is not safe.
func TestTopics(t *testing.T) {
	kc := kafkatest.Private(t).Config(t, 1)
	namespace := kc.Namespace + "-topics"
	run := func(args ...string) result {
		t.Helper()
		return godwit(t, t.TempDir(), nil, append(append([]string{"topics"}, args...),
			"--kafka-brokers="+strings.Join(kc.Brokers, ","), "--kafka-namespace="+namespace, "--kafka-partitions=3")...)
	}
	r := run("create", "--replication=1", "--min-insync=1")
	want := "created " + namespace + ".messages.1 with 3 partitions, replication 1\n" +
		"created " + namespace + ".cluster, replication 1\n" +
		"created " + namespace + ".heartbeats, replication 1\n"
	if r.status != 0 || r.stdout != want {
		t.Fatalf("create: %d, %q, %s; want %q", r.status, r.stdout, r.stderr, want)
	}
	r = run("create", "--replication=1", "--min-insync=1")
	if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "exists") {
		t.Errorf("create again: %d, %q, %s", r.status, r.stdout, r.stderr)
	}
	r = run("verify")
	if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "not safe") {
		t.Errorf("verify: %d, %q, %s", r.status, r.stdout, r.stderr)
	}
}
