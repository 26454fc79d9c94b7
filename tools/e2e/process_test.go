package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a run of the godwit command.
type process struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	done   chan struct{} // closed when the process has ended
	err    error         // of Wait, valid then
}

// output keeps what a process writes. Any goroutine may use it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// launch starts the command with args. It is killed when the test ends.
func launch(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(godwit, args...), done: make(chan struct{})}
	p.cmd.Env = environment()
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// The process must not outlive a test process that is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig tells of the thread that started the process, so that one waits.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if strings.Contains(p.stderr.String(), "DATA RACE") || t.Failed() {
			t.Logf("godwit %s wrote:\n%s", strings.Join(args, " "), tail(p.stderr.String()))
		}
		if strings.Contains(p.stderr.String(), "DATA RACE") {
			t.Error("the race detector found something in the server")
		}
	})
	return p
}

// environment returns this process's variables without those that are settings.
func environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			env = append(env, kv)
		}
	}
	return env
}

// tail returns the end of a log.
func tail(log string) string { return log[max(0, len(log)-16_000):] }

// command runs the command to its end and returns what it printed.
func command(t testing.TB, args ...string) string {
	t.Helper()
	p := launch(t, args...)
	if code := p.wait(t); code != 0 {
		t.Fatalf("godwit %s: exit status %d:\n%s", strings.Join(args, " "), code, p.stderr.String())
	}
	return p.stdout.String()
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits until the process ends by itself and returns its exit status.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("the process does not end in %v", patience)
	}
	if exit := (*exec.ExitError)(nil); p.err != nil && !errors.As(p.err, &exit) {
		t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process as kill -9 does, if it runs.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // the error says that it has ended
	<-p.done
}

// terminate asks the process to stop in order.
func (p *process) terminate(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// logLine is a line of a node's log in JSON.
type logLine struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	URL     string `json:"url"`
	Admin   string `json:"admin"`
}

// logged returns the first line of the log with a message, nil if there is none.
func (p *process) logged(message string) *logLine {
	for line := range strings.Lines(p.stderr.String()) {
		var l logLine
		if json.Unmarshal([]byte(line), &l) == nil && l.Message == message {
			return &l
		}
	}
	return nil
}

// complaints returns the lines of a log in JSON at level warn and above, and those
// that are no lines of a log, except that the topic of a test has one replica.
func (p *process) complaints() []string {
	var found []string
	for line := range strings.Lines(p.stderr.String()) {
		var l logLine
		switch err := json.Unmarshal([]byte(line), &l); {
		case err == nil && (l.Level == "INFO" || l.Level == "DEBUG"):
		case l.Message == "the topic is less safe than it should be":
		default:
			found = append(found, line)
		}
	}
	return found
}
