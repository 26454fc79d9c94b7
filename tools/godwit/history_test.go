package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestHistoryWrongUsage(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pebble.yaml"), "history: {store: pebble, folder: history}\n")
	write(t, filepath.Join(dir, "nodes.yaml"), "history: {store: pebble, folder: history}\npartitions: 0-1\nkafka: {partitions: 4}\n"+
		"map: [{node: n2, url: wss://n2.example, partitions: 2-3}]\n")
	for _, test := range []struct {
		args   string
		status int
		want   string // the first line of standard error
	}{
		{"history show", 2, "godwit: --user is missing: the id of a user is needed"},
		{"history show --user bob --limit 101", 2, "godwit: --limit is 101: must be 1 to 100"},
		{"history show --user bob --admin 127.0.0.1:8081", 2, `godwit: --admin is "127.0.0.1:8081": must be like http://127.0.0.1:8081`},
		{"history show --user bob --admin http://127.0.0.1:8081/v1", 2, `godwit: --admin is "http://127.0.0.1:8081/v1": must be like http://127.0.0.1:8081`},
		{"history show --user bob --data d --admin http://127.0.0.1:1", 2, "godwit: --data and --admin exclude each other: with --data a node is started, and asked"},
		{"history show --user bob --data nosuch", 1, "godwit: --data: stat nosuch: no such file or directory"},
		{"history show --user bob --admin-token-file nosuch", 1, "godwit: admin_token_file: open nosuch: no such file or directory"},
		{"history erase", 2, "godwit: --user is missing: the id of a user is needed"},
		{"history rebuild --data d --config x", 2, "godwit: --data and --config exclude each other: godwit dev has settings of its own"},
		{"history rebuild --data nosuch --yes", 1, "godwit: --data: stat nosuch: no such file or directory"},
		{"history rebuild", 1, `godwit: history.store is "none": no history is kept`},
		{"history run", 1, `godwit: history.store is "none": no history is kept`},
		{"history run --config pebble.yaml", 1, `godwit: history.store is "pebble": the node writes its history itself, so there is nothing to run`},
		{"history create --config pebble.yaml", 1, `godwit: history.store is "pebble": its files are made by the node`},
		{"history run --history-store cassandra", 1, `godwit: history.cassandra.hosts is "": must name at least one host`},
		// What only a node needs is no matter; what is wrong with history is.
		{"serve --config nodes.yaml --token-key-file key", 1, `godwit: history.store is "pebble": must be "cassandra" or "none" for several nodes: ` +
			`the files of "pebble" belong to one node, and the others could not read what it has`},
	} {
		r := godwit(t, dir, nil, strings.Fields(test.args)...)
		if first, _, _ := strings.Cut(r.stderr, "\n"); r.status != test.status || r.stdout != "" || first != test.want {
			t.Errorf("godwit %s: exit status %d\nstandard output: %s\nstandard error:  %s\nwant:            %s", test.args, r.status, r.stdout, r.stderr, test.want)
		}
	}
	for _, sub := range []string{"run", "create", "rebuild", "erase", "show"} {
		out := godwit(t, dir, nil, "history", sub, "--help").succeeds(t)
		if strings.Contains(out, "--limits-") || strings.Contains(out, "--token-key-file") {
			t.Errorf("the help of %s shows flags of a node:\n%s", sub, out)
		}
	}
}

var adminLine = regexp.MustCompile(`(?m)^ *admin +(http://\S+)`)

// devNode runs godwit dev on a data folder, and returns the URL of its admin port.
func devNode(t *testing.T, data string) (cmd *exec.Cmd, admin string) {
	t.Helper()
	cmd, stdout, _ := run(t, "dev", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	stdout.await(t, "Ctrl-C")
	return cmd, adminLine.FindStringSubmatch(stdout.String())[1]
}

// stop ends a process in order.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// post has a message stored.
func post(t *testing.T, admin, id, from, to, body string) {
	t.Helper()
	message, err := json.Marshal(map[string]any{"id": id, "from": from, "to": []string{to}, "body": body})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(admin+"/v1/messages", "application/json", bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", message, r.Status)
	}
}

var stamp = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)

// TestHistoryOfDev looks at, erases and rebuilds the history of a godwit dev, running and
// stopped.
func TestHistoryOfDev(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	history := func(args ...string) string {
		t.Helper()
		return stamp.ReplaceAllString(godwit(t, t.TempDir(), nil, append([]string{"history"}, args...)...).succeeds(t), "")
	}
	expect := func(want string, args ...string) {
		t.Helper()
		if got := history(append([]string{"show", "--user"}, args...)...); got != want {
			t.Errorf("show --user %s:\n%swant\n%s", strings.Join(args, " "), got, want)
		}
	}

	dev, admin := devNode(t, data)
	post(t, admin, "1", "alice", "bob", "one")
	post(t, admin, "2", "bob", "alice", "two\x1b[2J")
	post(t, admin, "3", "carol", "bob", "three")
	const all = "alice -> bob: one\nbob -> alice: two\\x1b[2J\ncarol -> bob: three\n"
	expect(all, "bob", "--admin", admin)
	expect(all[:strings.Index(all, "carol")], "bob", "--peer", "alice", "--admin", admin)
	expect("(nothing)\n", "dora", "--admin", admin)
	newest := history("show", "--user", "bob", "--limit", "1", "--admin", admin)
	cursor, ok := strings.CutPrefix(strings.TrimSuffix(newest, ")\n"), "carol -> bob: three\n(more before: --before ")
	if !ok {
		t.Fatalf("the newest message is printed as %q", newest)
	}
	expect(all[:strings.Index(all, "carol")], "bob", "--before", cursor, "--admin", admin)
	var page struct {
		Messages []struct{ From, Body string }
	}
	if out := history("show", "--user", "bob", "--json", "--admin", admin); json.Unmarshal([]byte(out), &page) != nil ||
		len(page.Messages) != 3 || page.Messages[2].Body != "three" || strings.Count(out, "\n") != 1 {
		t.Errorf("as JSON it is %s", out)
	}
	r := godwit(t, t.TempDir(), nil, "history", "show", "--user", "bob", "--data", data)
	if r.status != 1 || !strings.Contains(r.stderr, "another godwit runs on "+data+": leave out --data, and name its admin port with --admin") {
		t.Errorf("on a folder in use: %d, %s", r.status, r.stderr)
	}
	r = godwit(t, t.TempDir(), nil, "history", "show", "--user", "bob", "--before", "x", "--admin", admin)
	if r.status != 1 || r.stderr != "godwit: "+admin+": bad_cursor: before\n" {
		t.Errorf("a bad cursor: %d, %s", r.status, r.stderr)
	}

	// Nothing is erased unless that is confirmed.
	r = godwit(t, t.TempDir(), nil, "history", "erase", "--user", "carol", "--admin", admin)
	if r.status != 1 || !strings.HasSuffix(r.stderr, "\ngodwit: not confirmed, and nothing was done: type yes, or give --yes\n") {
		t.Errorf("not confirmed: %d, %s", r.status, r.stderr)
	}
	expect("carol -> bob: three\n", "carol", "--admin", admin)
	cmd := exec.Command(binary, "history", "erase", "--user", "carol", "--admin", admin)
	cmd.Stdin = strings.NewReader("yes\n")
	out, err := cmd.Output()
	if err != nil || !regexp.MustCompile(`^erased the timeline of carol up to .*\n.*retention \(168h0m0s\) is over: about .*\n.*keep their copies\.\n$`).Match(out) {
		t.Errorf("confirmed: %v, %s", err, out)
	}
	expect("(nothing)\n", "carol", "--admin", admin)
	expect(all, "bob", "--admin", admin)
	stop(t, dev)

	expect(all, "bob", "--data", data)
	expect("(nothing)\n", "carol", "--data", data)
	history("erase", "--user", "alice", "--yes", "--data", data)
	r = godwit(t, t.TempDir(), nil, "history", "rebuild", "--data", data)
	if r.status != 1 || !strings.Contains(r.stderr, "This removes the history in "+data) {
		t.Errorf("not confirmed: %d, %s", r.status, r.stderr)
	}
	// What was erased stays so, though the log has it.
	if out := history("rebuild", "--yes", "--data", data); !strings.HasSuffix(out, "\nthe history is complete, as far as the log goes back\n") ||
		!regexp.MustCompile(`(?m)^100 %  (\d+) of (\d+) records after `).MatchString(out) {
		t.Errorf("rebuild printed %s", out)
	}
	expect(all, "bob", "--data", data)
	expect("(nothing)\n", "carol", "--data", data)
	expect("(nothing)\n", "alice", "--data", data)
}

// damage makes the files of a store useless.
func damage(t *testing.T, folder string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "MANIFEST-*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s has no manifest: %v", folder, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] ^= 0xff
		}
		write(t, name, string(b))
	}
}

// TestDamagedHistory: a node does not serve with a store that is damaged, and says what
// mends it; and that does.
func TestDamagedHistory(t *testing.T) {
	t.Run("dev", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		dev, admin := devNode(t, data)
		post(t, admin, "1", "alice", "bob", "one")
		stop(t, dev)
		damage(t, filepath.Join(data, "history"))
		r := godwit(t, t.TempDir(), nil, "dev", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
		if r.status != 1 || !strings.Contains(r.stderr, "`godwit history rebuild` makes it anew from the log") {
			t.Errorf("on a damaged store: %d, %s", r.status, r.stderr)
		}
		godwit(t, t.TempDir(), nil, "history", "rebuild", "--data", data, "--yes").succeeds(t)
		out := godwit(t, t.TempDir(), nil, "history", "show", "--user", "bob", "--data", data).succeeds(t)
		if !strings.HasSuffix(out, " alice -> bob: one\n") {
			t.Errorf("after the rebuild: %s", out)
		}
	})
	t.Run("serve", func(t *testing.T) {
		dir := t.TempDir()
		kc := kafkatest.Embedded(t, 4)
		write(t, filepath.Join(dir, "key"), strings.Repeat("k", 32))
		write(t, filepath.Join(dir, "godwit.yaml"), fmt.Sprintf("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nunsafe: true\nlog: {format: json}\n"+
			"kafka: {brokers: [%q], namespace: %q, partitions: 4}\nhistory: {store: pebble, folder: %s/history}\ntoken: {key_file: %s/key}\n",
			kc.Brokers[0], kc.Namespace, dir, dir))
		config := "--config=" + filepath.Join(dir, "godwit.yaml")
		serve, admin := serveNode(t, config)
		post(t, admin, "1", "alice", "bob", "one")
		// The folder of a node that runs is left alone.
		r := godwit(t, dir, nil, "history", "rebuild", config, "--yes")
		if r.status != 1 || !strings.Contains(r.stderr, "another process") {
			t.Errorf("beside a node: %d, %s", r.status, r.stderr)
		}
		stop(t, serve)
		damage(t, filepath.Join(dir, "history"))
		r = godwit(t, dir, nil, "serve", config)
		if r.status != 1 || !strings.Contains(r.stderr, `history.folder is "`+dir+`/history"`) || !strings.Contains(r.stderr, "`godwit history rebuild` makes it anew from the log") {
			t.Errorf("on a damaged store: %d, %s", r.status, r.stderr)
		}
		if r := godwit(t, dir, nil, "history", "rebuild", config, "--yes"); r.status != 0 {
			t.Fatalf("rebuild: %d, %s", r.status, r.stderr)
		}
		serve, admin = serveNode(t, config)
		out := godwit(t, dir, nil, "history", "show", "--user", "bob", "--admin", admin).succeeds(t)
		if !strings.HasSuffix(out, " alice -> bob: one\n") {
			t.Errorf("after the rebuild: %s", out)
		}
		stop(t, serve)
	})
}

var loggedAdmin = regexp.MustCompile(`"admin":"(http://[^"]+)"`)

// serveNode runs godwit serve, with its log in JSON, until it is ready, and returns the URL
// of its admin port.
func serveNode(t *testing.T, args ...string) (cmd *exec.Cmd, admin string) {
	t.Helper()
	cmd, _, stderr := run(t, append([]string{"serve"}, args...)...)
	stderr.await(t, `"msg":"serving"`)
	admin = loggedAdmin.FindStringSubmatch(stderr.String())[1]
	eventually(t, "the node is ready", func() bool { return status(admin+"/readyz") == http.StatusOK })
	return cmd, admin
}
