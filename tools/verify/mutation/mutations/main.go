package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/tools/verify/mutation"
)

// The exit statuses.
const (
	exitOK     = 0
	exitUnseen = 1 // a bug was not found, or something else failed
	exitUsage  = 2
)

// options are the command line.
type options struct {
	only     string
	list     bool
	controls bool
	verbose  bool
	seed     uint64
	out      string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command line args and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("mutations", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", "", "names of the mutations, such as \"ack-early,acks-one\" (default: all)")
	flags.BoolVar(&o.list, "list", false, "say what the mutations are, and end")
	flags.BoolVar(&o.controls, "controls", true, "verify before that the runs pass without the bugs")
	flags.BoolVar(&o.verbose, "verbose", false, "show what godwit verify says while it runs")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of all runs")
	flags.StringVar(&o.out, "out", "", "folder that keeps the reports of the runs (default: none is kept)")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	chosen, err := choose(o.only)
	if err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "mutations:", errors.Join(err, unexpected(flags.Args())))
		return exitUsage
	}
	if o.list {
		list(stdout, chosen)
		return exitOK
	}
	if err := o.verify(ctx, stdout, stderr, chosen); err != nil {
		fmt.Fprintln(stderr, "mutations:", err)
		return exitUnseen
	}
	return exitOK
}

func unexpected(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected: %s", strings.Join(args, " "))
}

// choose returns the mutations of a list of names, all for an empty one.
func choose(only string) ([]mutation.Mutation, error) {
	all, err := mutation.All()
	if err != nil || only == "" {
		return all, err
	}
	return mutation.Choose(all, strings.Split(only, ","))
}

// list says what mutations are.
func list(w io.Writer, mutations []mutation.Mutation) {
	for _, m := range mutations {
		fmt.Fprintf(w, "%s\n    %s\n    found by: %s\n    godwit verify %s\n",
			m.Name, m.About, strings.Join(m.Checks, ", "), strings.Join(m.Flags, " "))
	}
}

// controls returns the mutations without their bugs, each that is like another once.
func controls(mutations []mutation.Mutation) []mutation.Mutation {
	var all []mutation.Mutation
	for _, m := range mutations {
		c := m.Control()
		same := false
		for _, other := range all {
			same = same || reflect.DeepEqual(c.Edits, other.Edits) && reflect.DeepEqual(c.Flags, other.Flags)
		}
		if !same {
			all = append(all, c)
		}
	}
	return all
}

// verify runs the controls and then the mutations, and says of each what became of it. The
// error names those that were not as they should.
func (o *options) verify(ctx context.Context, stdout, stderr io.Writer, mutations []mutation.Mutation) error {
	root, err := checkout(ctx)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "godwit-mutations-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	r := &mutation.Runner{Root: root, Folder: folder, Seed: o.seed}
	if o.verbose {
		r.Output = stderr
	}
	if err := r.Prepare(ctx); err != nil {
		return err
	}
	t := table{w: stdout}
	t.line("mutation", "outcome", "found by", "also violated", "time")
	var wrong []string
	turn := func(name string, m mutation.Mutation, right func(mutation.Result) bool) error {
		result, err := r.Run(ctx, m)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if keeping := o.keep(r, name); keeping != nil {
			return keeping
		}
		if err != nil {
			fmt.Fprintln(stderr, "mutations:", err)
			wrong = append(wrong, name)
			return nil
		}
		t.result(name, result)
		if !right(result) {
			if result.Note != "" {
				fmt.Fprintf(stderr, "mutations: %s: %s\n", name, result.Note)
			}
			wrong = append(wrong, name)
		}
		return nil
	}
	if o.controls {
		for _, m := range controls(mutations) {
			if err := turn("no bug, as for "+m.Name, m, mutation.Result.Passed); err != nil {
				return err
			}
		}
	}
	for _, m := range mutations {
		if err := turn(m.Name, m, mutation.Result.Found); err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not as it should be: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// keep moves the report of a run to where it was asked for.
func (o *options) keep(r *mutation.Runner, name string) error {
	if o.out == "" {
		return nil
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	to := filepath.Join(o.out, strings.NewReplacer(",", "", " ", "-").Replace(name))
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(r.Report())); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// checkout returns the folder of the module that the command is run in.
func checkout(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("run it in a checkout of godwit")
	}
	return filepath.Dir(file), nil
}

// table prints lines as they come, so its columns are of a width that is known before.
type table struct{ w io.Writer }

func (t table) line(cells ...any) { fmt.Fprintf(t.w, "%-36s %-8s %-36s %-36s %s\n", cells...) }

func (t table) result(name string, r mutation.Result) {
	var others []string
	for _, check := range r.Violated {
		if !slices.Contains(r.Caught, check) {
			others = append(others, check)
		}
	}
	t.line(name, r.Outcome, dash(r.Caught), dash(others), r.Took.Round(time.Second).String())
}

// dash returns names as one cell.
func dash(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}
