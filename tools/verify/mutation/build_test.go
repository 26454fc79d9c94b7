package mutation

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goBuild compiles packages of the repository with an overlay.
func goBuild(t *testing.T, overlay string, packages ...string) (out []byte, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-overlay", overlay}, packages...)...)
	cmd.Dir = root
	return cmd.CombinedOutput()
}

func TestApply(t *testing.T) {
	const text = "one\ntwo\n\ttwo\nthree\n"
	for _, c := range []struct {
		name, find, put, want string
		times                 string // that the error names
	}{
		{"the first line", "one\n", "1\n", "1\ntwo\n\ttwo\nthree\n", ""},
		{"the last lines", "\ttwo\nthree\n", "", "one\ntwo\n", ""},
		{"a line that ends like another", "two\n", "2\n", "one\n2\n\ttwo\nthree\n", ""},
		{"nothing", "four\n", "4\n", "", "0 times"},
		{"part of a line", "t\n", "4\n", "", "0 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Edit{File: "a.go", Find: c.find, Put: c.put}.apply(text)
			if c.times != "" {
				if err == nil || !strings.Contains(err.Error(), c.times) || !strings.Contains(err.Error(), "a.go") {
					t.Errorf("the error is %v, want one with %q", err, c.times)
				}
			} else if err != nil || got != c.want {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
	if _, err := (Edit{File: "a.go", Find: "two\n"}).apply(text + "two\n"); err == nil || !strings.Contains(err.Error(), "2 times") {
		t.Errorf("the error for lines that are there twice: %v", err)
	}
}

// TestOverlay edits a file twice and another once.
func TestOverlay(t *testing.T) {
	source, folder := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"p/a.go": "one\ntwo\n", "p/b.go": "three\n", "c.go": "four\n"} {
		path := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := Mutation{Name: "m", Edits: []Edit{
		{File: "p/a.go", Find: "one\n", Put: "1\n"},
		{File: "c.go", Find: "four\n", Put: "4\n"},
		{File: "p/a.go", Find: "1\ntwo\n", Put: "1 2\n"},
	}}
	list, err := m.Overlay(source, folder)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(b, &overlay); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{filepath.Join(source, "p/a.go"): "1 2\n", filepath.Join(source, "c.go"): "4\n"}
	if len(overlay.Replace) != len(want) {
		t.Errorf("%d files are replaced, want %d", len(overlay.Replace), len(want))
	}
	for file, text := range want {
		if got, err := os.ReadFile(overlay.Replace[file]); err != nil || string(got) != text {
			t.Errorf("%s becomes %q, %v, want %q", file, got, err, text)
		}
	}

	m.Edits[1].Find = "five\n"
	if _, err := m.Overlay(source, folder); err == nil || !strings.Contains(err.Error(), "m: c.go") {
		t.Errorf("the error for lines that are not there: %v", err)
	}
	m.Edits[1].File = "d.go"
	if _, err := m.Overlay(source, folder); err == nil {
		t.Error("a file was edited that is not there")
	}
}
