package structure

import (
	"go/ast"
	"strconv"
	"strings"
	"testing"
)

// outside are the packages of the standard library that reach out of the process.
var outside = set("net", "os", "os/exec", "os/signal", "syscall", "log", "log/slog", "io/fs", "io/ioutil", "crypto/tls", "context")

// clock is what package time has besides types and arithmetic.
var clock = set("Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker")

func TestProtocolCodeIsPure(t *testing.T) {
	for _, p := range packages(t) {
		if !pure[p.name()] {
			continue
		}
		for name, file := range p.code(t) {
			checkPure(t, name, file)
		}
	}
}

func checkPure(t *testing.T, name string, file *ast.File) {
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if outside[path] {
			t.Errorf("%s imports %s", name, path)
		}
		if spec.Name != nil && (path == "time" || path == "net/http") {
			t.Errorf("%s renames %s: then this test cannot see what it uses", name, path)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s starts a goroutine", name)
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			switch {
			case !ok || x.Obj != nil: // a field or method, not a package's
			case x.Name == "time" && clock[n.Sel.Name]:
				t.Errorf("%s uses time.%s: the time comes in as an argument", name, n.Sel.Name)
			case x.Name == "http" && !isName(n.Sel.Name):
				t.Errorf("%s uses http.%s: only names (statuses, methods, headers) are for protocol code", name, n.Sel.Name)
			}
		}
		return true
	})
}

// isName reports whether a member of net/http only names something.
func isName(member string) bool {
	return strings.HasPrefix(member, "Status") || strings.HasPrefix(member, "Method") || member == "CanonicalHeaderKey"
}
