package structure

import (
	"bytes"
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxLines is how long a file may be. Most have one idea in 100 to 400 lines.
const maxLines = 700

func TestEveryPackageExplainsItself(t *testing.T) {
	for _, p := range packages(t) {
		file, ok := p.code(t)[p.name()+"/doc.go"]
		if !ok {
			t.Errorf("%s has no doc.go", p.name())
			continue
		}
		begin := "Package " + file.Name.Name + " "
		if file.Name.Name == "main" {
			begin = "Command " + filepath.Base(p.Dir) + " "
		}
		if text := file.Doc.Text(); !strings.HasPrefix(text, begin) || strings.Count(text, "\n\n") == 0 {
			t.Errorf("%s/doc.go must begin with %q and go on to say what the package is not for, and who may call what", p.name(), begin)
		}
	}
}

func TestNoFileIsTooLong(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if generated(text) {
				continue
			}
			if n := bytes.Count(text, []byte("\n")); n > maxLines {
				t.Errorf("%s/%s has %d lines, more than %d: is it one idea?", p.name(), name, n, maxLines)
			}
		}
	}
}

// generated reports whether a file says that it is generated, in the words that
// go help generate asks for.
func generated(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("// Code generated ")) && bytes.HasSuffix(line, []byte(" DO NOT EDIT.")) {
			return true
		}
		if bytes.HasPrefix(line, []byte("package ")) {
			return false
		}
	}
	return false
}

// A goroutine that outlives its owner is a leak that no other test sees. Those of a
// command end with its process.
func TestPackagesWithGoroutinesLookForLeaks(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" || !startsGoroutines(t, p) || forTests[p.name()] {
			continue
		}
		looks := false
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			looks = looks || bytes.Contains(text, []byte("goleak.VerifyTestMain(")) || bytes.Contains(text, []byte("goleak.Find(")) ||
				bytes.Contains(text, []byte("kafkatest.Main(")) || bytes.Contains(text, []byte("cassandratest.Main("))
		}
		if !looks {
			t.Errorf("%s starts goroutines, and its tests do not look for leaks: call goleak.VerifyTestMain in TestMain", p.name())
		}
	}
}

func startsGoroutines(t *testing.T, p *pkg) bool {
	found := false
	for _, file := range p.code(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				found = true
			case *ast.CallExpr: // sync.WaitGroup.Go, errgroup.Group.Go
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" {
					found = true
				}
			}
			return !found
		})
	}
	return found
}
