package mutation

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The lines that enclose the two texts of an edit.
const (
	findLine = "<<<<"
	putLine  = "===="
	endLine  = ">>>>"
)

// The words that a line begins with that begins an edit, before the name of the file.
const (
	plants = "plant "
	tunes  = "tune "
)

var checkName = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// Parse reads a mutation:
//
//	What is wrong, a sentence on one line.
//
//	checks: order, stored_on_devices
//	run: --users 30 --faults node-kill
//
//	plant server/session/deliver.go
//	<<<<
//	the lines to find
//	====
//	the lines to put in their place, if any
//	>>>>
//
// and more edits, each after an empty line. One that begins with tune in the place of plant
// only tunes. Nothing else may be there.
func Parse(name, text string) (Mutation, error) {
	r := reader{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	m, err := r.mutation()
	if err == nil {
		m.Name = name
		err = m.check()
	}
	if err != nil {
		return Mutation{}, fmt.Errorf("mutation: %s, line %d: %w", name, r.at, err)
	}
	return m, nil
}

// reader reads the lines of a mutation.
type reader struct {
	lines []string
	at    int // lines read
}

// line returns the next line. At the end it is one that nothing else is.
func (r *reader) line() (line string, ok bool) {
	if r.at == len(r.lines) {
		return "", false
	}
	r.at++
	return r.lines[r.at-1], true
}

// expect reads a line that begins in a certain way and returns the rest.
func (r *reader) expect(begin string) (rest string, err error) {
	line, ok := r.line()
	rest, found := strings.CutPrefix(line, begin)
	if !ok || !found {
		return "", fmt.Errorf("a line is missing that begins with %q", begin)
	}
	return rest, nil
}

// empty reads an empty line.
func (r *reader) empty() error {
	if line, ok := r.line(); !ok || line != "" {
		return errors.New("an empty line is missing")
	}
	return nil
}

func (r *reader) mutation() (m Mutation, err error) {
	m.About, _ = r.line()
	if err := r.empty(); err != nil {
		return m, err
	}
	checks, err := r.expect("checks: ")
	if err != nil {
		return m, err
	}
	m.Checks = strings.Split(checks, ", ")
	flags, err := r.expect("run: ")
	if err != nil {
		return m, err
	}
	m.Flags = strings.Fields(flags)
	for r.at < len(r.lines) {
		e, err := r.edit()
		if err != nil {
			return m, err
		}
		m.Edits = append(m.Edits, e)
	}
	return m, nil
}

func (r *reader) edit() (e Edit, err error) {
	if err := r.empty(); err != nil {
		return e, err
	}
	line, _ := r.line()
	if e.File, e.Tunes = strings.CutPrefix(line, tunes); !e.Tunes {
		var ok bool
		if e.File, ok = strings.CutPrefix(line, plants); !ok {
			return e, fmt.Errorf("an edit begins with %q or %q and a file", plants, tunes)
		}
	}
	if line, _ := r.line(); line != findLine {
		return e, fmt.Errorf("%s is missing", findLine)
	}
	if e.Find, err = r.until(putLine); err != nil {
		return e, err
	}
	if e.Find == "" {
		return e, errors.New("there is nothing to find")
	}
	e.Put, err = r.until(endLine)
	return e, err
}

// until returns the lines before one, each with its end.
func (r *reader) until(end string) (string, error) {
	var text strings.Builder
	for {
		line, ok := r.line()
		switch {
		case !ok:
			return "", fmt.Errorf("%s is missing", end)
		case line == end:
			return text.String(), nil
		}
		text.WriteString(line + "\n")
	}
}

// check says what a mutation lacks.
func (m *Mutation) check() error {
	if !strings.HasSuffix(m.About, ".") {
		return errors.New("the first line is not a sentence")
	}
	for _, name := range m.Checks {
		if !checkName.MatchString(name) {
			return fmt.Errorf("%q is not the name of a check", name)
		}
	}
	for _, e := range m.Edits {
		if e.File != path.Clean(e.File) || path.Ext(e.File) != ".go" || path.IsAbs(e.File) || strings.HasPrefix(e.File, "../") {
			return fmt.Errorf("%q is not the path of a Go file in the repository", e.File)
		}
	}
	if !slices.ContainsFunc(m.Edits, func(e Edit) bool { return !e.Tunes }) {
		return errors.New("nothing is planted")
	}
	return nil
}
