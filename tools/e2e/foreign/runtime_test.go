package foreign

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// missing skips a test that lacks something, or fails it where everything is required.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("GODWIT_REQUIRE_SERVICES") == "1" {
		t.Fatalf("there is no %s, and GODWIT_REQUIRE_SERVICES is 1: run make prepare", what)
	}
	t.Skipf("there is no %s; make prepare installs it", what)
}

// language is a language that clients are written in.
type language struct {
	name string
	// command returns a command that runs a program of clients/ without its suffix.
	command func(t testing.TB, program string, args ...string) *exec.Cmd
}

var (
	python = language{"python", pythonCommand}
	js     = language{"node", nodeCommand}
)

var languages = []language{python, js}

func pythonCommand(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	interpreter := filepath.Join(cache, "venv", "bin", "python")
	if !exists(interpreter) || !exists(filepath.Join(cache, "venv", "requirements.txt")) {
		missing(t, "Python with the package websockets")
	}
	file := filepath.Join(root, "tools", "e2e", "foreign", "clients", "python", program+".py")
	// -B: no compiled files beside the source.
	return exec.Command(interpreter, append([]string{"-B", file}, args...)...)
}

func nodeCommand(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	interpreter, err := exec.LookPath("node")
	if err != nil || !exists(filepath.Join(cache, "node", "complete")) {
		missing(t, "Node.js with the package ws")
	}
	return exec.Command(interpreter, append([]string{filepath.Join(nodeFolder(t), program+".mjs")}, args...)...)
}

// nodeFolder returns a folder with the programs for Node.js beside its packages: a
// module finds packages by the folder that it is in.
func nodeFolder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "tools", "e2e", "foreign", "clients", "node"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(cache, "node", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
