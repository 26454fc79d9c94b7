package main_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/cassandratest"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/historian"
)

// patience is how long a test waits for what must happen. It only ends tests that have
// failed.
const patience = 90 * time.Second

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

// status returns the HTTP status of an address, 0 if nobody is there.
func status(url string) int {
	r, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	_, _ = io.Copy(io.Discard, r.Body) // so that the connection can be used again
	return r.StatusCode
}

// cluster is a Kafka and a Cassandra with the files of a node and of what writes its
// history.
type cluster struct {
	t      *testing.T
	config string // the flag that names the file of settings
	store  history.Store
	sent   int
}

const clusterPartitions = 8

// newCluster makes the topic and the tables as an operator does.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	kc := kafkatest.Private(t).Config(t, clusterPartitions)
	cc := cassandratest.Private(t).Config(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key"), strings.Repeat("k", 32))
	file := filepath.Join(dir, "godwit.yaml")
	write(t, file, fmt.Sprintf(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
unsafe: true
log: {format: json}
limits: {tail_bytes: 0}
kafka: {brokers: [%q], namespace: godwit-history, partitions: %d}
history:
  store: cassandra
  cassandra: {hosts: [%q], keyspace: godwit_history, replication: 1}
token: {key_file: %s/key}
`, kc.Brokers[0], clusterPartitions, cc.Hosts[0], dir))
	k := &cluster{t: t, config: "--config=" + file}
	if out := k.godwit("topics", "create", "--replication", "1", "--min-insync", "1"); !strings.HasPrefix(out, "created ") {
		t.Fatal(out)
	}
	for range 2 { // the second time there is nothing left to do
		if out := k.godwit("history", "create"); out != "keyspace godwit_history has its tables\n" {
			t.Fatal(out)
		}
	}
	c, err := config.Load(config.Default(), []string{config.FileVariable + "=" + file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if k.store, err = historian.Open(ctx, c, kc, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// godwit runs a command that must succeed. Its log may be on standard error.
func (k *cluster) godwit(args ...string) string {
	k.t.Helper()
	r := godwit(k.t, k.t.TempDir(), nil, append(args, k.config)...)
	if r.status != 0 {
		k.t.Fatalf("godwit %s: %d, %s", strings.Join(args, " "), r.status, r.stderr)
	}
	return r.stdout
}

// write starts a process that writes history, and returns the URL of its admin port.
func (k *cluster) write() (cmd *exec.Cmd, admin string) {
	k.t.Helper()
	cmd, _, stderr := run(k.t, "history", "run", k.config)
	stderr.await(k.t, `"msg":"writing history"`)
	admin = loggedAdmin.FindStringSubmatch(stderr.String())[1]
	if got := status(admin + "/readyz"); got != http.StatusOK {
		k.t.Errorf("the process that writes history is not ready: %d", got)
	}
	return cmd, admin
}

// send has n messages of each of two users to each other stored, and returns the
// timeline that follows for either.
func (k *cluster) send(admin string, n int) (timeline string) {
	k.t.Helper()
	var lines strings.Builder
	for range n {
		for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
			k.sent++
			body := fmt.Sprint("message ", k.sent)
			post(k.t, admin, body, pair[0], pair[1], body)
			fmt.Fprintf(&lines, "%s -> %s: %s\n", pair[0], pair[1], body)
		}
	}
	return lines.String()
}

// written waits until history has as many offsets of the log as there are.
func (k *cluster) written(records int64) {
	k.t.Helper()
	eventually(k.t, fmt.Sprint("history has ", records, " records"), func() bool {
		applied, err := k.store.Applied(k.t.Context(), 1, clusterPartitions)
		if err != nil {
			return false
		}
		var total int64
		for _, a := range applied {
			total += a.Offset + 1
		}
		if total > records {
			k.t.Fatalf("history has %d records, of %d", total, records)
		}
		return total == records
	})
}

// show checks the timeline of a user.
func (k *cluster) show(admin, user, want string) {
	k.t.Helper()
	var out string
	eventually(k.t, "the timeline of "+user, func() bool { // while the store is slow it is to be asked for again
		r := godwit(k.t, k.t.TempDir(), nil, "history", "show", "--user", user, "--limit", "100", "--admin", admin)
		out = r.stdout
		return r.status == 0
	})
	if got := stamp.ReplaceAllString(out, ""); got != want {
		k.t.Errorf("the timeline of %s is\n%swant\n%s", user, got, want)
	}
}

// TestHistoryOfACluster runs all of it as an operator would: two processes that write
// history to Cassandra, one of which is killed; an erasure; a rebuild.
func TestHistoryOfACluster(t *testing.T) {
	k := newCluster(t)
	node, admin := serveNode(t, k.config)
	first, _ := k.write()
	second, _ := k.write()
	timeline := k.send(admin, 5)
	k.written(20) // alice and bob live in different partitions
	k.show(admin, "alice", timeline)

	// The other one takes over what the first had.
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	timeline += k.send(admin, 5)
	k.show(admin, "bob", timeline) // at once, out of the log
	k.written(40)
	k.show(admin, "bob", timeline)

	// An erasure hides at once what the store has, and is applied by it then.
	out := godwit(t, t.TempDir(), nil, "history", "erase", "--user", "bob", "--yes", "--admin", admin).succeeds(t)
	if !strings.HasPrefix(out, "erased the timeline of bob up to ") {
		t.Error(out)
	}
	k.show(admin, "bob", "(nothing)\n")
	k.show(admin, "alice", timeline)
	k.written(41)
	k.show(admin, "bob", "(nothing)\n")
	after := k.send(admin, 1)
	k.written(45)
	stop(t, node)
	stop(t, second)

	// A node that has not seen the erasure itself, and a store that was made anew.
	check := func() {
		t.Helper()
		node, admin := serveNode(t, k.config)
		k.show(admin, "bob", after)
		k.show(admin, "alice", timeline+after)
		stop(t, node)
	}
	check()
	if out := k.godwit("history", "rebuild", "--yes"); !strings.HasSuffix(out, "\nthe history is complete, as far as the log goes back\n") ||
		!strings.Contains(out, "100 %  45 of 45 records") {
		t.Errorf("rebuild printed\n%s", out)
	}
	k.written(45)
	check()
}
