package mutation

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
)

// root is the folder of the repository.
var root = func() string {
	path, err := filepath.Abs("../../..")
	if err != nil {
		panic(err)
	}
	return path
}()

// all returns all mutations.
func all(t *testing.T) []Mutation {
	t.Helper()
	list, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// checks returns the names of the checks that there are.
func checks(t *testing.T) []string {
	t.Helper()
	report, err := check.Run(func(func(event.Record, error) bool) {}, check.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range report.Findings {
		names = append(names, f.Check)
	}
	return names
}

// TestMutationsNameChecks: a check that is called otherwise would never find anything.
func TestMutationsNameChecks(t *testing.T) {
	names := checks(t)
	for _, m := range all(t) {
		for _, name := range m.Checks {
			if !slices.Contains(names, name) {
				t.Errorf("%s: there is no check %q", m.Name, name)
			}
		}
	}
}

// TestMutationsBuild: every place is there, and what is planted is Go that compiles. The
// packages are not linked, which takes most of the time.
func TestMutationsBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the server once for each mutation")
	}
	for _, m := range all(t) {
		t.Run(m.Name, func(t *testing.T) {
			overlay, err := m.Overlay(root, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if out, err := goBuild(t, overlay, "./server/...", "./backplane/..."); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// TestMutationsChangeSomething: an edit that puts what it finds would be seen by nobody.
func TestMutationsChangeSomething(t *testing.T) {
	for _, m := range all(t) {
		for _, e := range m.Edits {
			if e.Find == e.Put {
				t.Errorf("%s: an edit of %s changes nothing", m.Name, e.File)
			}
			if strings.HasPrefix(e.File, "tools/") {
				t.Errorf("%s: %s is not the server", m.Name, e.File)
			}
		}
		if slices.Contains(m.Flags, "--seed") || slices.Contains(m.Flags, "--binary") || slices.Contains(m.Flags, "--report") {
			t.Errorf("%s: %v has a flag that the Runner sets", m.Name, m.Flags)
		}
	}
}

func TestControl(t *testing.T) {
	m := Mutation{Name: "x", Edits: []Edit{{File: "a.go"}, {File: "b.go", Tunes: true}, {File: "c.go"}}}
	if c := m.Control(); c.Name != "x" || len(c.Edits) != 1 || c.Edits[0].File != "b.go" {
		t.Errorf("the control is %+v", c)
	}
	if len(m.Edits) != 3 {
		t.Error("the mutation has changed")
	}
}

func TestChoose(t *testing.T) {
	list := []Mutation{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	got, err := Choose(list, []string{"c", "a"})
	if err != nil || len(got) != 2 || got[0].Name != "c" || got[1].Name != "a" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Choose(list, []string{"d"}); err == nil {
		t.Error("a mutation was found that is not there")
	}
}
