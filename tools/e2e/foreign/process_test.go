package foreign

import (
	"bytes"
	"errors"
	"io"
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

// process is a child in a process group of its own, which ends with the test.
type process struct {
	cmd    *exec.Cmd
	stderr output
	done   chan struct{} // closed when the process has ended and its output is read
	err    error         // of Wait, valid then
}

// launch starts cmd, whose standard output goes to stdout. The whole group is killed
// when the test ends.
func launch(t testing.TB, cmd *exec.Cmd, stdout io.Writer) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Env = append(environment(), cmd.Env...)
	cmd.Stdout, cmd.Stderr = stdout, &p.stderr
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
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if log := p.stderr.String(); t.Failed() && log != "" {
			t.Logf("%s %s wrote:\n%s", filepath.Base(cmd.Args[0]), cmd.Args[1], tail(log))
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

// kill ends the process and its group as kill -9 does.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // the error says that it has ended
	<-p.done
}

// signal sends the process a signal.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait waits until the process ends by itself and returns its exit status.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end in %v", p.cmd.Path, patience)
	}
	if exit := (*exec.ExitError)(nil); p.err != nil && !errors.As(p.err, &exit) {
		t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
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

// tail returns the end of a log.
func tail(log string) string { return log[max(0, len(log)-16_000):] }
