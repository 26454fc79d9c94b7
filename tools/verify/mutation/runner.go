package mutation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/tools/process"
)

// The files of a Runner's folder.
const (
	verifierFile = "verifier" // the godwit command that verifies, in which nothing is planted
	binaryFile   = "godwit"   // the one whose nodes are verified
	reportFolder = "report"
	reportFile   = "report.json" // of godwit verify
)

// outputTail is how much of the output of godwit verify is shown in an error, in bytes.
const outputTail = 4000

// Runner runs godwit verify on what mutations make of godwit.
type Runner struct {
	// Root is the folder of a checkout of godwit, an absolute path.
	Root string
	// Folder is for what is built and reported, an absolute path. It must be there. What a run
	// before has left in it is replaced.
	Folder string
	// Seed is that of all runs.
	Seed uint64
	// Output is where godwit verify writes to while it runs; nil is nowhere.
	Output io.Writer
}

// Result is what godwit verify has said of a mutation.
type Result struct {
	Outcome  string   // passed, failed or unknown
	Violated []string // the names of the checks that found something
	// Caught are those of Violated that may find the mutation, in the order of its Checks.
	Caught []string
	// Note says why the run is unknown, if it is.
	Note string
	Took time.Duration // all of the run, with the start of the cluster
}

// Found reports whether the mutation was found.
func (r Result) Found() bool { return r.Outcome == failed && len(r.Caught) > 0 }

// Passed reports whether nothing was found, and enough was seen to say so.
func (r Result) Passed() bool { return r.Outcome == passed }

// The outcomes of a run that matter here; see docs/verify.md.
const (
	passed = "passed"
	failed = "failed"
)

// Prepare builds what verifies. It is called before the first Run.
func (r *Runner) Prepare(ctx context.Context) error {
	_, err := Mutation{Name: verifierFile}.Build(ctx, r.Root, r.Folder, verifierFile)
	return err
}

// Run builds godwit with m and verifies it. The error means that there is no result: m
// cannot be built, the cluster did not start, or ctx has ended.
func (r *Runner) Run(ctx context.Context, m Mutation) (Result, error) {
	binary, err := m.Build(ctx, r.Root, r.Folder, binaryFile)
	if err != nil {
		return Result{}, err
	}
	return r.judge(ctx, m, binary)
}

// judge verifies a cluster of nodes of a binary, which is godwit with m.
func (r *Runner) judge(ctx context.Context, m Mutation, binary string) (Result, error) {
	report := r.Report()
	if err := os.RemoveAll(report); err != nil {
		return Result{}, fmt.Errorf("mutation: %w", err)
	}
	begun := time.Now()
	out, err := r.verify(ctx, append([]string{
		"--binary", binary, "--report", report, "--seed", strconv.FormatUint(r.Seed, 10),
	}, m.Flags...))
	if err != nil {
		return Result{}, fmt.Errorf("mutation: verifying %s: %w", m.Name, err)
	}
	took := time.Since(begun)
	result, err := readResult(filepath.Join(report, reportFile), m.Checks)
	if err != nil {
		return Result{}, fmt.Errorf("mutation: verifying %s: %w\n%s", m.Name, err, out)
	}
	result.Took = took
	return result, nil
}

// Report returns the folder with what the latest run has reported and written down.
func (r *Runner) Report() string { return filepath.Join(r.Folder, reportFolder) }

// verify runs godwit verify and returns the end of what it said. That it found something, or
// too little, is no error.
func (r *Runner) verify(ctx context.Context, flags []string) (out []byte, err error) {
	said := &tail{}
	cmd := exec.Command(filepath.Join(r.Folder, verifierFile), append([]string{"verify"}, flags...)...)
	cmd.Dir = r.Root
	cmd.Env = process.Environment()
	cmd.Stdout = said
	if r.Output != nil {
		cmd.Stdout = io.MultiWriter(said, r.Output)
	}
	cmd.Stderr = cmd.Stdout
	p, err := process.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.Done():
		return said.bytes, nil
	case <-ctx.Done():
		p.Kill() // what it has started ends with it
		return said.bytes, ctx.Err()
	}
}

// readResult reads the report of a run, as far as it matters here.
func readResult(path string, expected []string) (Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Result{}, err
	}
	var report struct {
		Outcome string   `json:"outcome"`
		Notes   []string `json:"notes"`
		Checks  []struct {
			Check   string `json:"check"`
			Verdict string `json:"verdict"`
			Note    string `json:"note"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(b, &report); err != nil {
		return Result{}, fmt.Errorf("%s: %w", path, err)
	}
	if report.Outcome == "" || len(report.Checks) == 0 {
		return Result{}, errors.New("its report has no outcome")
	}
	result := Result{Outcome: report.Outcome}
	if len(report.Notes) > 0 {
		result.Note = report.Notes[0]
	}
	for _, c := range report.Checks {
		switch c.Verdict {
		case "violated":
			result.Violated = append(result.Violated, c.Check)
		case "not_tested":
			result.Note = cmp.Or(result.Note, c.Check+": "+c.Note)
		}
	}
	for _, name := range expected {
		if slices.Contains(result.Violated, name) {
			result.Caught = append(result.Caught, name)
		}
	}
	return result, nil
}

// tail keeps the last bytes that were written to it.
type tail struct{ bytes []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.bytes = append(t.bytes, p...)
	if n := len(t.bytes) - outputTail; n > 0 {
		t.bytes = bytes.Clone(t.bytes[n:])
	}
	return len(p), nil
}
