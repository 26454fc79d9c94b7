package main_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/bench/load"
)

// startDev starts godwit dev on a data folder and returns the URL for clients. It is
// stopped when the test ends.
func startDev(t *testing.T, data string) string {
	t.Helper()
	cmd := exec.Command(binary, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := out.Read(buf)
		text = append(text, buf[:n]...)
		if m := regexp.MustCompile(`clients +(ws://\S+)\n`).FindSubmatch(text); m != nil {
			return string(m[1])
		}
		if err != nil {
			t.Fatalf("godwit dev: %v: %s", err, text)
		}
	}
}

// connectedAll reports whether a node that was just started let everybody in.
func connectedAll(r *load.Result, n int64) bool { return r.Stats.Opened == n }

func TestLoad(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	url := startDev(t, data)
	var report struct {
		Connected, Traffic load.Result
		Slow               int
		Storms             []load.Result
	}
	run := func(args ...string) {
		t.Helper()
		// A node that has not caught up yet refuses connections.
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			r := godwit(t, "", nil, append([]string{"load", "--url", url, "--data", data, "--users", "60", "--json"}, args...)...)
			if err := json.Unmarshal([]byte(r.stdout), &report); err == nil && connectedAll(&report.Connected, 60) {
				if r.status != 0 {
					t.Fatalf("exit status %d: %s%s", r.status, r.stdout, r.stderr)
				}
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s%s", r.stdout, r.stderr)
			}
		}
	}
	run("--rate", "200", "--duration", "500ms")
	if s, c := report.Traffic.Stats, report.Traffic.Check; s.Stored != 100 || c.Due != 200 || !c.Exact() || c.Unchecked != 0 {
		t.Errorf("%+v", report.Traffic)
	}
	run("--rate", "0", "--in-flight", "5", "--duration", "300ms", "--encoding", "json", "--fanout", "8", "--slow", "2",
		"--storm", "3", "--storm-every", "100ms")
	if s, c := report.Traffic.Stats, report.Traffic.Check; s.Stored == 0 || !c.Exact() || report.Slow != 2 || len(report.Storms) == 0 {
		t.Errorf("%d slow, %d storms, %+v", report.Slow, len(report.Storms), report.Traffic)
	}

	// Half of them begin where there is no node, and are told where there is one.
	run("--rate", "100", "--duration", "200ms", "--follow", "--url", "ws://127.0.0.1:1")
	if c, check := report.Connected.Stats, report.Traffic.Check; c.Failed != 0 || c.Retried == 0 || c.Directed == 0 || !check.Exact() || check.Unchecked != 0 {
		t.Errorf("%+v, %+v", c, check)
	}

	r := godwit(t, "", nil, "load", "--url", url, "--data", data, "--users", "10", "--duration", "200ms")
	for _, want := range []string{"connected    10 in", "20 stored, 0 rejected", "40 deliveries were due on 10 connections: 0 lost"} {
		if r.status != 0 || !strings.Contains(r.stdout, want) {
			t.Errorf("exit status %d, no %q in:\n%s%s", r.status, want, r.stdout, r.stderr)
		}
	}
}

func TestLoadFlagsAreChecked(t *testing.T) {
	for want, args := range map[string][]string{
		"--url is":       {"--url", "http://x"},
		"--url names 2":  {"--url", "ws://x,ws://y"},
		"--encoding is":  {"--encoding", "xml"},
		"--fanout is":    {"--fanout", "65"},
		"--devices is":   {"--devices", "0"},
		"--slow is":      {"--slow", "2000"},
		"--storm-every":  {"--storm", "1", "--storm-every", "0s"},
		"Size is 39":     {"--size", "39"},
		"Users is -1":    {"--users", "-1"},
		"InFlight are":   {"--rate", "0", "--in-flight", "0"},
		"must not be":    {"--connect-rate", "-1"},
		"Connections is": {"--users", "0"},
	} {
		r := godwit(t, t.TempDir(), nil, append([]string{"load"}, args...)...)
		if r.status != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit status %d, %s", args, r.status, r.stderr)
		}
	}
}
