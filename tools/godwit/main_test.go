package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the program under test. The tests run it as users do: as a process.
var binary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "godwit-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "godwit")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the binary cannot be built: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// result is what a process left behind.
type result struct {
	stdout, stderr string
	status         int
}

// godwit runs the binary in the folder dir with the variables environ and none
// of the test's own that are settings.
func godwit(t *testing.T, dir string, environ []string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, environ...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// succeeds checks that a command went well and returns its output.
func (r result) succeeds(t *testing.T) string {
	t.Helper()
	if r.status != 0 || r.stderr != "" {
		t.Fatalf("exit status %d, standard error:\n%s", r.status, r.stderr)
	}
	return r.stdout
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, test := range []struct {
		args string
		want string // standard error
	}{
		{"nosuch", `godwit: unknown command "nosuch" for "godwit"`},
		{"--nosuch", "godwit: unknown flag: --nosuch"},
		{"version now", `godwit: unknown command "now" for "godwit version"`},
		{"token", "godwit: --user is missing: the id of a user is needed"},
		{"token --user alice --ttl 1", `godwit: invalid argument "1" for "--ttl" flag: time: missing unit in duration "1"`},
		{"token --user alice --ttl 1ms", "godwit: --ttl is 1ms: a token must live a second or more"},
		{"token --user " + strings.Repeat("u", 129), `godwit: --user is "` + strings.Repeat("u", 129) + `": the user id is longer than 128 bytes`},
		{"route", "godwit: --user is missing: the id of a user is needed"},
		{"route --user bob --partitions 0", "godwit: --partitions is 0: must be 1 to 10000"},
		{"route --user bob --partitions 8 --config x", "godwit: --partitions and --config exclude each other: the settings say how many partitions there are"},
		{"hash-check --ids 0", "godwit: --ids is 0: must be 1 to 5000000000"},
		{"hash-check --partitions 10001", "godwit: --partitions is 10001: must be 1 to 10000"},
		{"hash-check --max-chi2 -1", "godwit: a threshold is negative: it must be above 0, or 0 for its default"},
		{"hash-check --shape=", "godwit: --shape is empty: it must name a shape of ids"},
		{"hash-check --shape roman", `godwit: --shape: spread: "roman" is not a shape of ids; use one of decimal, padded, prefixed, email, uuid`},
		{"config --loops x", `godwit: invalid argument "x" for "--loops" flag: must be a whole number, 0 or above`},
	} {
		r := godwit(t, t.TempDir(), nil, strings.Fields(test.args)...)
		if r.status != 2 || r.stdout != "" || r.stderr != test.want+"\n" {
			t.Errorf("godwit %s: exit status %d\nstandard output: %s\nstandard error:  %swant:            %s", test.args, r.status, r.stdout, r.stderr, test.want)
		}
	}
}

func TestHelp(t *testing.T) {
	out := godwit(t, t.TempDir(), nil).succeeds(t)
	for _, command := range []string{"config", "hash-check", "route", "token", "version"} {
		if !strings.Contains(out, "\n  "+command+" ") {
			t.Errorf("%s is missing in\n%s", command, out)
		}
		godwit(t, t.TempDir(), nil, command, "--help").succeeds(t)
	}
}

func TestVersion(t *testing.T) {
	out := godwit(t, t.TempDir(), nil, "version").succeeds(t)
	if !strings.HasPrefix(out, "godwit ") || !strings.Contains(out, " go1.") || strings.Count(out, "\n") != 1 {
		t.Errorf("printed %q", out)
	}
}
