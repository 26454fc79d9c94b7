package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"

	"github.com/godwit-im/godwit/tools/process"
)

// startChild starts a program that belongs to godwit cluster up. Its output goes to out.
// None of this process's variables that are settings of a node reach it.
//
// It is in a group of its own, so that Ctrl-C at the terminal reaches this process alone,
// which ends its children in order. If this process is killed, the child is told to stop.
func startChild(name string, out io.Writer, environ []string, program string, args ...string) (*process.Process, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(process.Environment(), environ...)
	cmd.Stdout, cmd.Stderr = out, out
	p, err := process.Start(cmd, syscall.SIGTERM)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", name, err)
	}
	return p, nil
}

// stopChildren tells one process after the other to stop, and waits for each. When hurry is
// closed, it kills those that are left.
func stopChildren(hurry <-chan struct{}, children ...*process.Process) error {
	var errs []error
	for _, c := range children {
		errs = append(errs, c.SignalGroup(syscall.SIGTERM))
		select {
		case <-c.Done():
		case <-hurry:
			errs = append(errs, c.SignalGroup(syscall.SIGKILL))
			<-c.Done()
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
