package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// child is a process that belongs to godwit cluster up.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output is written
	err  error         // of exec.Cmd.Wait, valid then
}

// startChild starts a program whose output goes to out. None of this process's variables
// that are settings of a node reach it.
//
// It is in a group of its own, so that Ctrl-C at the terminal reaches this process alone,
// which ends its children in order. If this process is killed, the child is told to stop.
func startChild(name string, out io.Writer, environ []string, program string, args ...string) (*child, error) {
	c := &child{name: name, cmd: exec.Command(program, args...), done: make(chan struct{})}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GODWIT_") {
			c.cmd.Env = append(c.cmd.Env, kv)
		}
	}
	c.cmd.Env = append(c.cmd.Env, environ...)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig tells of the thread that started the process, so that one waits.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.done)
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", name, err)
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// how says how an ended process ended.
func (c *child) how() string {
	if c.err == nil {
		return "exit status 0"
	}
	return c.err.Error()
}

// signal sends a signal to the process and to what it has started, if it still runs.
func (c *child) signal(s syscall.Signal) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	if err := syscall.Kill(-c.pid(), s); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("%s cannot be told to stop: %w", c.name, err)
	}
	return nil
}

// stopChildren tells one process after the other to stop, and waits for each. When hurry is
// closed, it kills those that are left.
func stopChildren(hurry <-chan struct{}, children ...*child) error {
	var errs []error
	for _, c := range children {
		errs = append(errs, c.signal(syscall.SIGTERM))
		select {
		case <-c.done:
		case <-hurry:
			errs = append(errs, c.signal(syscall.SIGKILL))
			<-c.done
		}
	}
	return errors.Join(errs...)
}

// labels writes the lines of several processes to one writer, each with the name of its
// process.
type labels struct {
	mu sync.Mutex
	w  io.Writer
}

// maxLabelled is the longest line that is kept together, in bytes.
const maxLabelled = 64 << 10

// of returns the writer for a process. One goroutine may use it.
func (l *labels) of(name string) io.Writer { return &label{all: l, prefix: name + " | "} }

type label struct {
	all    *labels
	prefix string
	rest   []byte // a line whose end has not come yet
}

func (l *label) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	if end == 0 && len(l.rest) < maxLabelled {
		return len(p), nil
	}
	whole := l.rest[:end]
	if end == 0 {
		whole = append(l.rest, '\n')
		end = len(l.rest)
	}
	var text bytes.Buffer
	for line := range bytes.Lines(whole) {
		text.WriteString(l.prefix)
		text.Write(line)
	}
	l.rest = append(l.rest[:0], l.rest[end:]...)
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	_, err := l.all.w.Write(text.Bytes())
	return len(p), err
}
