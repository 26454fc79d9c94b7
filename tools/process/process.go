package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Process is a child process in a process group of its own.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output is read
	err  error         // of exec.Cmd.Wait, valid then
}

// Start starts cmd. When the process that calls this ends before it, the kernel sends it
// the signal orphaned. What else cmd.SysProcAttr says, if it is set, holds too.
func Start(cmd *exec.Cmd, orphaned syscall.Signal) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, orphaned
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
		return nil, err
	}
	return p, nil
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

// String names the process as its command line does.
func (p *Process) String() string {
	return strings.Join(append([]string{filepath.Base(p.cmd.Path)}, p.cmd.Args[1:]...), " ")
}

// Pid returns the id of the process, which is also that of its group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended, and all that it wrote has been read.
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

// Err returns what exec.Cmd.Wait has. It is to be called after Done.
func (p *Process) Err() error { return p.err }

// ExitCode returns the exit status, -1 after a signal. It is to be called after Done.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// How says how an ended process ended.
func (p *Process) How() string {
	if p.err == nil {
		return "exit status 0"
	}
	return p.err.Error()
}

// Signal sends the process a signal. The error is os.ErrProcessDone if it has ended.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// SignalGroup sends a signal to the process and to what it has started, if it still runs.
func (p *Process) SignalGroup(s syscall.Signal) error {
	if p.Ended() {
		return nil
	}
	if err := syscall.Kill(-p.Pid(), s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("process: %v to %v: %w", s, p, err)
	}
	return nil
}

// Kill ends the process and its group as kill -9 does, if they run, and returns when the
// process has ended.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // the error says that all have ended
	<-p.done
}
