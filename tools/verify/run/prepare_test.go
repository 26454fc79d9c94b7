package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/tools/verify/event"
)

// TestLogsOfOthers: a run replaces what a run has left, and nothing else.
func TestLogsOfOthers(t *testing.T) {
	s := other()
	s.Out = t.TempDir()
	logs := filepath.Join(s.Out, LogsFolder)
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	prepare := func() error { return (&run{settings: &s}).prepare() }
	if err := prepare(); err == nil || !strings.Contains(err.Error(), "choose another folder") {
		t.Errorf("a folder with logs of others: %v", err)
	}
	if _, err := os.Stat(logs); err != nil {
		t.Fatal(err)
	}
	s.Out = t.TempDir()
	for range 2 { // the second finds the logs of the first
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		logs = filepath.Join(s.Out, LogsFolder)
		if _, err := os.Stat(logs); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the logs of the run before: %v", err)
		}
		if err := os.Mkdir(logs, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProblems: that something was given up is a problem unless somebody has asked for it.
func TestProblems(t *testing.T) {
	ending := make(chan struct{})
	r := &run{progress: newProgress(nil), ending: ending}
	defer r.progress.end()
	canceled := fmt.Errorf("reading: %w", context.Canceled)
	if r.problem("a reading", nil); len(r.problems) != 0 {
		t.Errorf("without an error: %q", r.problems)
	}
	if r.problem("a reading", canceled); len(r.problems) != 1 {
		t.Errorf("what was given up though nobody has asked for it: %q", r.problems)
	}
	close(ending)
	if r.problem("a reading", canceled); len(r.problems) != 1 {
		t.Errorf("what was given up then: %q", r.problems)
	}
	if r.problem("a reading", os.ErrDeadlineExceeded); len(r.problems) != 2 {
		t.Errorf("what took too long: %q", r.problems)
	}
}

// TestUntil gives up the reading of a history.
func TestUntil(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	history := func(yield func(event.Record, error) bool) {
		for line := int64(1); yield(event.Record{Line: line}, nil); line++ {
			if line == 2 {
				cancel()
			}
		}
	}
	var read []int64
	var last error
	for rec, err := range until(ctx, history) {
		if last = err; err == nil {
			read = append(read, rec.Line)
		}
	}
	if len(read) != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("read lines %v, and then %v", read, last)
	}
}
