package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/godwit-im/godwit/tools/verify/nemesis"
	"github.com/godwit-im/godwit/tools/verify/report"
	"github.com/godwit-im/godwit/tools/verify/workload"
)

// What a run leaves in Settings.Out.
const (
	EventsFile = "events.jsonl"
	HTMLFile   = "report.html"
	JSONFile   = "report.json"
	LogsFolder = "logs"
)

// ErrEnough is the error of a run that was told to end before there was any load.
var ErrEnough = errors.New("run: it was ended before it had begun")

// Run makes a run and returns its report, which is in the files of Settings.Out too. The
// error means that there is none: the settings are wrong, the cluster did not start or let
// nobody in, files cannot be written, or ctx has ended, which gives up everything at once.
func Run(ctx context.Context, s Settings) (*report.Report, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	r := &run{settings: &s}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	defer r.tidy()
	if err := r.conduct(ctx); err != nil {
		return nil, errors.Join(err, r.keepLogs())
	}
	return r.tell(ctx)
}

// run is a run. One goroutine makes it.
type run struct {
	settings *Settings
	folder   string // for what the processes need, "" if there are none

	cluster  cluster
	journal  *journal
	load     *workload.Load
	progress *progress
	ending   <-chan struct{} // closed when somebody has asked for the end

	faults   []nemesis.Outcome
	notes    []string // what is to be known of the run
	problems []string // what it could not do, so that it has not passed
}

// note notes what is to be known.
func (r *run) note(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	r.notes = append(r.notes, text)
	r.progress.say(text)
}

// problem notes what the run could not do, if there is an error. That something was given up,
// because somebody has asked for it, is none.
func (r *run) problem(what string, err error) {
	if err == nil || errors.Is(err, context.Canceled) && r.asked() {
		return
	}
	text := oneLine(what + ": " + err.Error())
	r.problems = append(r.problems, text)
	r.progress.say(text)
}

// asked reports whether somebody has asked for the end.
func (r *run) asked() bool {
	select {
	case <-r.ending:
		return true
	default:
		return false
	}
}

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

// out returns the path of something in the folder of what the run leaves.
func (r *run) out(name string) string { return filepath.Join(r.settings.Out, name) }

// prepare makes the folders, without what an earlier run has left. Each leaves a history file,
// so logs without one are somebody's own.
func (r *run) prepare() error {
	if _, err := os.Lstat(r.out(LogsFolder)); err == nil {
		if _, err := os.Stat(r.out(EventsFile)); err != nil {
			return fmt.Errorf("run: %s is not of a run, which would replace it: choose another folder for the report", r.out(LogsFolder))
		}
	}
	err := os.MkdirAll(r.settings.Out, 0o755)
	for _, name := range []string{EventsFile, HTMLFile, JSONFile, LogsFolder} {
		if err == nil {
			err = os.RemoveAll(r.out(name))
		}
	}
	if err == nil {
		err = os.WriteFile(r.out(EventsFile), nil, 0o644)
	}
	if err == nil && r.settings.Local != nil {
		if r.folder, err = os.MkdirTemp(r.settings.Out, "world-"); err == nil {
			r.folder, err = filepath.Abs(r.folder)
		}
	}
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// tidy removes what nobody needs any more.
func (r *run) tidy() {
	if r.folder != "" {
		_ = os.RemoveAll(r.folder) // what is left there does no harm
	}
}

// keepLogs saves the logs of all processes.
func (r *run) keepLogs() error {
	if r.folder == "" {
		return nil
	}
	err := os.Rename(filepath.Join(r.folder, LogsFolder), r.out(LogsFolder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}
