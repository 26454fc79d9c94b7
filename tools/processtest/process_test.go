package processtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

func TestProcess(t *testing.T) {
	t.Setenv("GODWIT_NODE", "n9")
	t.Setenv("OTHER", "kept")
	cmd := exec.Command("sh", "-c", `echo "out $OTHER$GODWIT_NODE$OWN"; echo err >&2; read line; exit 3`)
	cmd.Env = []string{"OWN=-own"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := Start(t, cmd)
	if p.Ended() {
		t.Error("it has ended while it reads")
	}
	stdin.Close()
	if code := p.Wait(t, patience); code != 3 || !p.Ended() {
		t.Errorf("exit status %d, ended is %v", code, p.Ended())
	}
	if out, log := p.Stdout.String(), p.Stderr.String(); out != "out kept-own\n" || log != "err\n" {
		t.Errorf("it wrote %q and %q", out, log)
	}
}

func TestSignal(t *testing.T) {
	p := Start(t, exec.Command("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"))
	for !strings.Contains(p.Stdout.String(), "ready") {
		time.Sleep(time.Millisecond)
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t, patience); code != 7 {
		t.Errorf("exit status %d", code)
	}
}

// TestKill kills a process that has started another.
func TestKill(t *testing.T) {
	p := Start(t, exec.Command("sh", "-c", "sleep 1000 & echo $!; wait"))
	var child int
	for deadline := time.Now().Add(patience); child == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it starts nothing")
		}
		child, _ = strconv.Atoi(strings.TrimSpace(p.Stdout.String())) // not yet, or not whole
	}
	p.Kill()
	p.Kill() // once more does nothing
	for deadline := time.Now().Add(patience); !gone(child); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what it has started still runs")
		}
	}
}

// gone reports whether a process has ended; nobody may have waited for it.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ")
}

// recorder is a test that keeps what is said of it.
type recorder struct {
	testing.TB
	failed bool
	said   []string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Failed() bool              { return r.failed }
func (r *recorder) Logf(f string, _ ...any)   { r.said = append(r.said, f) }
func (r *recorder) Errorf(f string, _ ...any) { r.failed = true }

// TestReview shows what a process has written when it matters.
func TestReview(t *testing.T) {
	for _, c := range []struct {
		name         string
		writes       string
		failed       bool
		shown, fails bool
	}{
		{"all is well", "hello", false, false, false},
		{"the test has failed", "hello", true, true, true},
		{"it wrote nothing", "", true, false, true},
		{"a race", "WARNING: DATA RACE", false, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Start(t, exec.Command("true"))
			p.Wait(t, patience)
			r := &recorder{TB: t, failed: c.failed}
			own := &Process{Process: p.Process}
			own.Stderr.Write([]byte(c.writes))
			own.review(r)
			if r.failed != c.fails || (len(r.said) > 0) != c.shown {
				t.Errorf("failed is %v, said is %q", r.failed, r.said)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	t.Setenv("GODWIT_CACHE", t.TempDir())
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.test/hello\n\ngo 1.26\n",
		"main.go": "package main\n\nvar text string\n\nfunc main() { print(text) }\n",
	} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := Build("unused", "own/hello", module, ".", "-ldflags=-X main.text=hello")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(os.Getenv("GODWIT_CACHE"), "own", "hello"); program != want {
		t.Errorf("the program is %s, want %s", program, want)
	}
	p := Start(t, exec.Command(program))
	if code := p.Wait(t, patience); code != 0 || p.Stderr.String() != "hello" {
		t.Errorf("exit status %d, it wrote %q", code, p.Stderr.String())
	}
	if _, err := Build("unused", "own/none", module, "./none"); err == nil {
		t.Error("a package that does not exist was built")
	}
}

func TestLogged(t *testing.T) {
	var p Process
	p.Stderr.Write([]byte("not json\n" + `{"level":"INFO","msg":"starting"}` + "\n" + `{"level":"INFO","msg":"serving","url":"ws://a","admin":"http://b"}` + "\n" + `{"level":"IN`))
	if l, ok := p.Logged("serving"); !ok || l.Level != "INFO" || l.URL != "ws://a" || l.Admin != "http://b" {
		t.Errorf("%+v, %v", l, ok)
	}
	if l, ok := p.Logged("stopped"); ok {
		t.Errorf("%+v", l)
	}
}
