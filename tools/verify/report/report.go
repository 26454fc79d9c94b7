package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/tools/verify/check"
)

// Report is all that is told of a run. It is made when the run is over.
type Report struct {
	// Outcome is what came out. It is the outcome of Check, or unknown.
	Outcome check.Outcome
	// Check has the findings; nil if none could be made, as Notes then say.
	Check *check.Report
	// Without names checks that the run need not make: that they were not is no reason for an
	// unknown outcome.
	Without []string
	// Notes are sentences about the run as such: why it ended early, what the machines did not
	// do, why the history was refused.
	Notes []string

	Story    *Story // nil if there is no history
	Versions Versions
	Settings []Setting
	Quotes   Quotes
	// Files are what the run has left, the history file first.
	Files []File
}

// Setting is a setting of the run, as people would write it.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// File is a file that the run has left.
type File struct {
	Path string `json:"path"` // as it is told to people
	What string `json:"what"` // is in it, some words
}

// Verdict returns the outcome as a sentence.
func (r *Report) Verdict() string {
	switch r.Outcome {
	case check.Passed:
		return fmt.Sprintf("None of %s saw a promise broken.", plural(int64(len(r.findings(check.OK))), "check", "checks"))
	case check.Failed:
		var names []string
		for _, f := range r.findings(check.Violated) {
			names = append(names, f.Check)
		}
		return "What was promised was not kept: " + strings.Join(names, ", ") + "."
	}
	return "Nothing was seen broken, and the run does not show enough to say that nothing is."
}

// Reasons returns why the outcome is unknown, a sentence or half of one each.
func (r *Report) Reasons() []string {
	if r.Outcome != check.Unknown {
		return nil
	}
	reasons := append([]string(nil), r.Notes...)
	for _, f := range r.findings(check.NotTested) {
		if f.Note != "" && !slices.Contains(r.Without, f.Check) {
			reasons = append(reasons, fmt.Sprintf("%s: %s", f.Check, f.Note))
		}
	}
	return reasons
}

// findings returns those of a verdict.
func (r *Report) findings(v check.Verdict) []check.Finding {
	var list []check.Finding
	if r.Check != nil {
		for _, f := range r.Check.Findings {
			if f.Verdict == v {
				list = append(list, f)
			}
		}
	}
	return list
}

// hit returns how many faults there were, and how many of them have hit.
func (s *Story) hit() (hit, all int) {
	for _, f := range s.Faults {
		if f.Hit != Never {
			hit++
		}
	}
	return hit, len(s.Faults)
}
