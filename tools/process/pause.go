package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// pausePoll is how often Pause looks whether the threads have stopped.
const pausePoll = time.Millisecond

// Pause stops the threads of the process and returns when all have stopped: its
// connections stay open, and nothing answers.
func (p *Process) Pause(ctx context.Context) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("process: %v to %v: %w", syscall.SIGSTOP, p, err)
	}
	// The signal is under way when Signal returns, and the process may go on answering.
	poll := time.NewTicker(pausePoll)
	defer poll.Stop()
	for !p.Paused() {
		select {
		case <-poll.C:
		case <-p.done:
			return fmt.Errorf("process: %v has ended (%s) instead of stopping", p, p.How())
		case <-ctx.Done():
			return fmt.Errorf("process: %v does not stop: %w", p, ctx.Err())
		}
	}
	return nil
}

// Resume lets a process go on that was paused.
func (p *Process) Resume() error {
	if err := p.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("process: %v to %v: %w", syscall.SIGCONT, p, err)
	}
	return nil
}

// Paused reports whether all threads of the process are stopped by a signal.
func (p *Process) Paused() bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
	if err != nil || len(stats) == 0 {
		return false
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			return false
		}
		// proc(5): the state comes after the command, which is in parentheses.
		_, rest, ok := bytes.Cut(b, []byte(") "))
		if !ok || len(rest) == 0 || rest[0] != 'T' {
			return false
		}
	}
	return true
}
