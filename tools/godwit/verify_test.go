package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestVerifyUsage(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, want string
	}{
		{"--url ws://127.0.0.1:1 --nodes 5", "--nodes and --url exclude each other: nothing is started for a cluster of your own, and no fault is done to it"},
		{"--url ws://127.0.0.1:8080 --config godwit.yaml --kafka 127.0.0.1:9092", "--kafka and --config exclude each other"},
		{"--url ws://127.0.0.1:8080 --config nothing.yaml", "nothing.yaml: the file of settings cannot be read"},
		{"--url ws://127.0.0.1:8080 --kafka-namespace other", "--kafka-namespace needs --kafka: without it the log is not read"},
		{"--kafka 127.0.0.1:9092", "--kafka is for a cluster of your own: name it with --url"},
		{"--history paper", `--history is "paper": must be cassandra, pebble or none`},
		{"--faults node-paint", `nemesis: "node-paint" is no kind of fault`},
		{"--brokers 2 --faults none", "world: Brokers is 2: must be 1 or 3"},
		{"--users 1 --faults none", "workload: Users is 1"},
		{"--history pebble --faults none", `run: History is "pebble" and Nodes 3: the files of Pebble belong to one node`},
		{"--url http://127.0.0.1:8080", `--url is "http://127.0.0.1:8080": must be a ws or wss URL, such as ws://127.0.0.1:8080`},
		{"--url ws://127.0.0.1:8080 --token-key-file nothing", "auth: the token key cannot be read"},
		{"--duration 5s --faults node-kill", "nemesis: the duration is too short for any fault"},
	} {
		r := godwit(t, root, nil, append([]string{"verify", "--report", t.TempDir()}, strings.Fields(test.args)...)...)
		if r.status != 2 || r.stdout != "" || !strings.HasPrefix(r.stderr, "godwit: "+test.want) {
			t.Errorf("godwit verify %s: exit status %d\nstandard output: %s\nstandard error:  %swant:            %s", test.args, r.status, r.stdout, r.stderr, test.want)
		}
	}
	r := godwit(t, t.TempDir(), nil, "verify")
	if r.status != 2 || !strings.Contains(r.stderr, "run this in a checkout of godwit") {
		t.Errorf("outside of a checkout: exit status %d, %s", r.status, r.stderr)
	}
}

// TestVerifyOwn verifies a godwit dev, whose log nobody else can read: all that can be tested
// passes, and the outcome is unknown. Then it is asked for history that is not kept.
func TestVerifyOwn(t *testing.T) {
	data, out := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "an 'out'")
	url := startDev(t, data)
	r := godwit(t, "", nil, "verify", "--url", url, "--data", data, "--report", out, "--users", "6", "--duration", "5s", "--seed", "3")
	if r.status != 2 || !strings.Contains(r.stdout, "UNKNOWN: ") || !strings.Contains(r.stdout, "stored_in_log: the log was not read") {
		t.Fatalf("exit status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
	if strings.Contains(r.stdout, "because conservation") {
		t.Errorf("it is unknown because of what it need not show:\n%s", r.stdout)
	}
	again := "again: godwit verify --url=" + url + " --data=" + data + " '--report=" + strings.ReplaceAll(out, "'", `'\''`) +
		"' --users=6 --duration=5s --seed=3\n"
	if !strings.HasPrefix(r.stderr, "seed 3; "+again) || !strings.HasSuffix(r.stdout, again) {
		t.Errorf("standard error begins with\n%.300s\nstandard output ends with\n%s\nwant\n%s", r.stderr, r.stdout[max(0, len(r.stdout)-300):], again)
	}
	for _, name := range []string{"events.jsonl", "report.html", "report.json"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(out, "report.json")); err != nil || !strings.Contains(string(text), `{"name":"messages a second","value":"50"}`) {
		t.Errorf("it is not gentle with a cluster of others: %v\n%.2000s", err, text)
	}
}

// TestVerifyBySettings verifies a node whose file of settings tells where its log is, and
// with what tokens are signed.
func TestVerifyBySettings(t *testing.T) {
	kc := kafkatest.Real(t, 4)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key"), strings.Repeat("k", 32))
	file := filepath.Join(dir, "godwit.yaml")
	write(t, file, fmt.Sprintf(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
unsafe: true
log: {format: json}
kafka: {brokers: [%q], namespace: %s, generation: %d, partitions: %d}
token: {key_file: %s/key, issuer: chat.example.org, audience: godwit}
`, kc.Brokers[0], kc.Namespace, kc.Generation, kc.Partitions, dir))
	_, _, stderr := run(t, "serve", "--config", file)
	stderr.await(t, `"msg":"serving"`)
	url := regexp.MustCompile(`"url":"([^"]+)"`).FindStringSubmatch(stderr.String())[1]
	r := godwit(t, "", nil, "verify", "--url", url, "--config", file, "--history", "none", "--report", t.TempDir(), "--users", "6", "--duration", "5s", "--seed", "3")
	if r.status != 0 || !strings.Contains(r.stdout, "stored_in_log") {
		t.Errorf("exit status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
}

// sending matches a line of progress from when messages are sent.
var sending = regexp.MustCompile(` warmup .* [1-9]\d* sends/s`)

// TestVerifyInterrupted ends a run by a signal: what there is by then is judged. A second
// one gives up.
func TestVerifyInterrupted(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	url := startDev(t, data)
	for _, c := range []struct {
		signals int
		want    string // in what it prints
	}{{1, "because the load was ended early"}, {2, "godwit: run: it was given up: context canceled"}} {
		cmd := exec.CommandContext(t.Context(), binary, "verify", "--url", url, "--data", data, "--history", "none", "--report", t.TempDir(),
			"--users", "6", "--rate", "40", "--duration", "1h")
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stdout strings.Builder
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		sent := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
			if sent == 0 && sending.MatchString(lines.Text()) || sent == 1 && c.signals == 2 && strings.Contains(lines.Text(), "ending the load") {
				sent++
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Error(err)
				}
			}
		}
		_ = cmd.Wait() // the status is looked at
		if all := text.String() + stdout.String(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(all, c.want) {
			t.Errorf("after %d signals: exit status %d\n%s", c.signals, cmd.ProcessState.ExitCode(), all)
		}
	}
}
