package config

import (
	"fmt"
	"strings"
)

// Finding is one thing that is wrong with the settings.
type Finding struct {
	// Setting is the key, such as "limits.queue_bytes"; empty where the source
	// itself is at fault (a file that is not YAML, an unknown variable).
	Setting string
	// Value is what was set, as text.
	Value string
	// Source is where it was set, if that is known: a path, a variable, a flag.
	Source string
	// Problem completes the sentence "Setting is Value: ...", and says what is
	// allowed. It names every other setting that takes part.
	Problem string
}

func (f Finding) String() string {
	s := f.Problem
	if f.Setting != "" {
		s = fmt.Sprintf("%s is %q: %s", f.Setting, f.Value, f.Problem)
	}
	if f.Source != "" {
		s = f.Source + ": " + s
	}
	return s
}

// Error is the error of Load and Validate: everything that is wrong, in the
// order of the settings.
type Error struct{ Findings []Finding }

func (e *Error) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// findings gathers what is wrong.
type findings []Finding

func (fs *findings) add(setting string, value any, problem string, args ...any) {
	*fs = append(*fs, Finding{Setting: setting, Value: fmt.Sprint(value), Problem: fmt.Sprintf(problem, args...)})
}

// err returns what was gathered as an error, nil if that is nothing.
func (fs findings) err() error {
	if len(fs) == 0 {
		return nil
	}
	return &Error{fs}
}
