package main_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "godwit.yaml"), "token: {key_file: key}\nlimits: {in_flight: 10, queue_messages: 10, sends_burst: 1000}\n")
	environ := []string{"GODWIT_CONFIG=godwit.yaml", "GODWIT_LIMITS_IN_FLIGHT=20", "GODWIT_LIMITS_QUEUE_MESSAGES=20", "GODWIT_REQUIRE_SERVICES=1"}
	out := godwit(t, dir, environ, "config", "--limits-in-flight=30").succeeds(t)
	for _, line := range []string{"  in_flight: 30\n", "  queue_messages: 20\n", "  sends_burst: 1000\n", "advertise: ws://127.0.0.1:8080/v1/connect\n", "  key_file: key\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is missing in\n%s", line, out)
		}
	}
	// What is printed is a file of settings that gives the same.
	write(t, filepath.Join(dir, "printed.yaml"), out)
	if again := godwit(t, dir, nil, "config", "--config", "printed.yaml").succeeds(t); again != out {
		t.Errorf("printed\n%s\nwant\n%s", again, out)
	}
}

func TestConfigTellsAllMistakes(t *testing.T) {
	r := godwit(t, t.TempDir(), []string{"GODWIT_LOG_LEVEL=loud"}, "config", "--loops=5000")
	const want = `godwit: token.key_file is "": must name the file with the key that tokens are verified with
godwit: loops is "5000": must be 0 to 1024
godwit: log.level is "loud": must be one of debug, info, warn, error
`
	if r.status != 1 || r.stderr != want {
		t.Errorf("exit status %d, standard error\n%s, want\n%s", r.status, r.stderr, want)
	}
	if !strings.Contains(r.stdout, "\nloops: 5000\n") {
		t.Errorf("settings that can be read were not printed:\n%s", r.stdout)
	}
}

func TestConfigRefusesUnknownNames(t *testing.T) {
	r := godwit(t, t.TempDir(), []string{"GODWIT_LOG_LEVL=info"}, "config")
	if want := "godwit: GODWIT_LOG_LEVL: no setting has this variable\n"; r.status != 1 || r.stdout != "" || r.stderr != want {
		t.Errorf("exit status %d, printed %q, standard error %q, want %q", r.status, r.stdout, r.stderr, want)
	}
}
