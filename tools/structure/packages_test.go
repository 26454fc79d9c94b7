package structure

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module is the path of the project's module.
const module = "github.com/godwit-im/godwit"

// pkg is a package as go list describes it.
type pkg struct {
	ImportPath   string
	Name         string // as in its package clauses
	Dir          string
	GoFiles      []string
	CgoFiles     []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// name returns the package's path within the module.
func (p *pkg) name() string { return inner(p.ImportPath) }

// inner returns an import path within the module, "" for one that is not.
func inner(path string) string {
	if name, ok := strings.CutPrefix(path, module+"/"); ok {
		return name
	}
	return ""
}

// packages returns all packages of the module.
func packages(t *testing.T) []*pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []*pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := new(pkg)
		switch err := dec.Decode(p); {
		case errors.Is(err, io.EOF):
			if len(all) < 10 {
				t.Fatalf("go list found %d packages: that is not this project", len(all))
			}
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// code returns the package's files that are not tests, parsed.
func (p *pkg) code(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := make(map[string]*ast.File)
	fset := token.NewFileSet()
	for _, name := range append(append([]string(nil), p.GoFiles...), p.CgoFiles...) {
		path := filepath.Join(p.Dir, name)
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[p.name()+"/"+name] = f
	}
	return files
}
