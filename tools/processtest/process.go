package processtest

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/tools/process"
)

// Process is a child process in a process group of its own.
type Process struct {
	*process.Process

	// Stdout and Stderr are what it has written so far. Stdout stays empty if the command
	// came with a place of its own for it.
	Stdout, Stderr Output
}

// Output keeps what a process writes. Any goroutine may use it.
type Output struct {
	mu struct {
		sync.Mutex
		buf bytes.Buffer
	}
}

// Write is called with what the process writes.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.buf.Write(p)
}

// String returns all that was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.buf.String()
}

// Start starts cmd with the variables of process.Environment before its own. It is killed,
// with all its group, when the test ends.
func Start(tb testing.TB, cmd *exec.Cmd) *Process {
	tb.Helper()
	p := new(Process)
	cmd.Env = append(process.Environment(), cmd.Env...)
	if cmd.Stdout == nil {
		cmd.Stdout = &p.Stdout
	}
	cmd.Stderr = &p.Stderr
	var err error
	if p.Process, err = process.Start(cmd, syscall.SIGKILL); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.Kill()
		p.review(tb)
	})
	return p
}

// review looks at what an ended process has written to standard error.
func (p *Process) review(tb testing.TB) {
	log := p.Stderr.String()
	raced := strings.Contains(log, "DATA RACE")
	if log != "" && (raced || tb.Failed()) {
		tb.Logf("%v wrote:\n%s", p, Tail(log))
	}
	if raced {
		tb.Errorf("the race detector found something in %v", p)
	}
}

// tailBytes is how much of a log is shown.
const tailBytes = 16_000

// Tail returns the end of a log.
func Tail(log string) string { return log[max(0, len(log)-tailBytes):] }

// Signal sends the process a signal.
func (p *Process) Signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	if err := p.Process.Signal(s); err != nil {
		tb.Fatal(err)
	}
}

// Wait waits until the process ends by itself and returns its exit status. A test whose
// process does not end in time has failed.
func (p *Process) Wait(tb testing.TB, patience time.Duration) int {
	tb.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		tb.Fatalf("%v does not end in %v", p, patience)
	}
	if exit := (*exec.ExitError)(nil); p.Err() != nil && !errors.As(p.Err(), &exit) {
		tb.Fatal(p.Err())
	}
	return p.ExitCode()
}
