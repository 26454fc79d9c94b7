package processtest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a child process in a process group of its own.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output is read
	err  error         // of exec.Cmd.Wait, valid then

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

// Start starts cmd with the variables of Environment before its own. It is killed, with
// all its group, when the test ends.
func Start(tb testing.TB, cmd *exec.Cmd) *Process {
	tb.Helper()
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.Env = append(Environment(), cmd.Env...)
	if cmd.Stdout == nil {
		cmd.Stdout = &p.Stdout
	}
	cmd.Stderr = &p.Stderr
	// Pdeathsig: the process must not outlive a test process that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig tells of the thread that started the process, so that one waits.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
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
		tb.Logf("%s %s wrote:\n%s", filepath.Base(p.cmd.Path), strings.Join(p.cmd.Args[1:], " "), Tail(log))
	}
	if raced {
		tb.Errorf("the race detector found something in %s", filepath.Base(p.cmd.Path))
	}
}

// Environment returns this process's variables without those that are settings of a node.
func Environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			env = append(env, kv)
		}
	}
	return env
}

// tailBytes is how much of a log is shown.
const tailBytes = 16_000

// Tail returns the end of a log.
func Tail(log string) string { return log[max(0, len(log)-tailBytes):] }

// Pid returns the id of the process, which is also that of its group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the process and its group as kill -9 does, if they run.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // the error says that all have ended
	<-p.done
}

// Signal sends the process a signal.
func (p *Process) Signal(tb testing.TB, s os.Signal) {
	tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		tb.Fatal(err)
	}
}

// Done is closed when the process has ended. Then all that it wrote is there.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended, as Done does.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits until the process ends by itself and returns its exit status. A test whose
// process does not end in time has failed.
func (p *Process) Wait(tb testing.TB, patience time.Duration) int {
	tb.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		tb.Fatalf("%s does not end in %v", filepath.Base(p.cmd.Path), patience)
	}
	if exit := (*exec.ExitError)(nil); p.err != nil && !errors.As(p.err, &exit) {
		tb.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}
