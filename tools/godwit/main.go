package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs the command line args and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) { // several when several settings are wrong
		fmt.Fprintf(stderr, "godwit: %s\n", strings.TrimSuffix(line, "\n"))
	}
	var failed *failure
	if errors.As(err, &failed) {
		return exitFailed
	}
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "godwit",
		Short:         "A WebSocket messaging server that writes every message to Kafka",
		Args:          cobra.NoArgs,
		SilenceUsage:  true, // an error is a sentence, not a page
		SilenceErrors: true, // run prints it
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newCluster(),
		newConfig(),
		newDev(),
		newHashCheck(),
		newHistory(),
		newListen(),
		newLoad(),
		newRoute(),
		newSend(),
		newServe(),
		newToken(),
		newTopics(),
		newVerify(),
		newVersion(),
	)
	markFailures(root)
	return root
}

// failure is an error of a command that was called rightly.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usageError is an error of a command that was called wrongly in a way that only
// the command itself can tell.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// markFailures makes the errors of all commands failures, unless they are usage
// errors. Whatever cobra itself refuses is then known to be wrong usage.
func markFailures(cmd *cobra.Command) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			err := inner(cmd, args)
			var usage *usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return &failure{err}
		}
	}
	for _, sub := range cmd.Commands() {
		markFailures(sub)
	}
}
