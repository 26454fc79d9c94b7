package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/godwit-im/godwit/tools/verify/check"
)

// Text writes what a terminal shows at the end: the outcome last but for what to do next,
// since people look at the last lines.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	if r.Story != nil {
		r.textFaults(&b)
	}
	if r.Check != nil {
		r.textChecks(&b)
	}
	if r.Outcome != check.Unknown { // of which they are the reasons
		for _, note := range r.Notes {
			fmt.Fprintf(&b, "note: %s\n", printable(note))
		}
	}
	fmt.Fprintf(&b, "\n%s: %s\n", strings.ToUpper(string(r.Outcome)), r.Verdict())
	r.textNext(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) textFaults(b *strings.Builder) {
	hit, all := r.Story.hit()
	if all == 0 {
		fmt.Fprint(b, "no faults\n\n")
		return
	}
	fmt.Fprintf(b, "faults: %d of %d have hit\n", hit, all)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	left := maxFaults
	for _, f := range r.Story.Faults {
		if f.Hit != Never {
			if left--; left < 0 {
				continue
			}
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", moment(f.Begin), printable(f.Kind), printable(f.Target), f.Lasted(), printable(f.seen()))
	}
	_ = t.Flush() // to memory
	if left < 0 {
		fmt.Fprintf(b, "  and %d more that have hit\n", -left)
	}
	b.WriteByte('\n')
}

// Lasted says how long a fault lasted, for people.
func (f Fault) Lasted() string {
	if f.End == Never {
		return "not undone"
	}
	return span(f.End - f.Begin)
}

// seen says how a fault was seen.
func (f Fault) seen() string {
	switch {
	case f.Hit == Never:
		return "did not hit"
	case f.Evidence == "":
		return "hit"
	}
	return "hit: " + f.Evidence
}

func (r *Report) textChecks(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, f := range r.Check.Findings {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", verdicts[f.Verdict].shout, f.Check, printable(told(f)))
	}
	_ = t.Flush()
}

// told says what a finding is, in a line.
func told(f check.Finding) string {
	switch {
	case f.Verdict == check.Violated && len(f.Evidence) > 0:
		return fmt.Sprintf("%s of %s: %s", count(f.Violations), count(f.Tested), f.Evidence[0].What)
	case f.Verdict == check.NotTested && f.Note == "":
		return "there was nothing of the kind"
	case f.Note != "":
		return f.Note
	}
	return count(f.Tested) + " times"
}

func (r *Report) textNext(b *strings.Builder) {
	for _, reason := range r.Reasons() {
		fmt.Fprintf(b, "  because %s\n", printable(reason))
	}
	if id := r.suspect(); id != "" && len(r.Files) > 0 {
		fmt.Fprintf(b, "next: grep %s %s\n", id, printable(r.Files[0].Path))
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, f := range r.Files {
		fmt.Fprintf(t, "  %s\t%s\n", printable(f.Path), printable(f.What))
	}
	_ = t.Flush()
	if r.Story != nil && r.Story.Run.Command != "" {
		fmt.Fprintf(b, "again: %s\n", printable(r.Story.Run.Command))
	}
}

// suspect returns the id of the first message that something went wrong with, "" if there is
// none.
func (r *Report) suspect() string {
	for _, f := range r.findings(check.Violated) {
		for _, e := range f.Evidence {
			if e.MessageID != nil {
				return e.MessageID.String()
			}
		}
	}
	return ""
}

// verdicts are how those of checks are written.
var verdicts = map[check.Verdict]struct{ word, shout string }{
	check.OK:        {"ok", "ok"},
	check.Violated:  {"violated", "VIOLATED"},
	check.NotTested: {"not tested", "not tested"},
}

// printable returns a text of one line without what a terminal would act upon.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
