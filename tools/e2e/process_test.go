package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/godwit-im/godwit/tools/processtest"
)

// process is a run of the godwit command.
type process struct{ *processtest.Process }

// launch starts the command with args. It is killed when the test ends.
func launch(t testing.TB, args ...string) process {
	t.Helper()
	return process{processtest.Start(t, exec.Command(godwit, args...))}
}

// command runs the command to its end and returns what it printed.
func command(t testing.TB, args ...string) string {
	t.Helper()
	p := launch(t, args...)
	if code := p.wait(t); code != 0 {
		t.Fatalf("godwit %s: exit status %d:\n%s", strings.Join(args, " "), code, p.Stderr.String())
	}
	return p.Stdout.String()
}

// wait waits until the process ends by itself and returns its exit status.
func (p process) wait(t testing.TB) int {
	t.Helper()
	return p.Wait(t, patience)
}

// terminate asks the process to stop in order.
func (p process) terminate(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
}

// complaints returns the lines of a log in JSON at level warn and above, and those
// that are no lines of a log, except that the topic of a test has one replica.
func (p process) complaints() []string {
	var found []string
	for line := range strings.Lines(p.Stderr.String()) {
		var l processtest.LogLine
		switch err := json.Unmarshal([]byte(line), &l); {
		case err == nil && (l.Level == "INFO" || l.Level == "DEBUG"):
		case l.Message == "the topic is less safe than it should be":
		default:
			found = append(found, line)
		}
	}
	return found
}
