package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a shell script, and returns its first line of output.
func start(t *testing.T, script string) (p *Process, line string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = w
	p, err = Start(cmd, syscall.SIGKILL)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	b := make([]byte, 64)
	n, err := r.Read(b)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return p, strings.TrimSpace(string(b[:n]))
}

// gone reports whether a process has ended; nobody may have waited for it.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ")
}

func TestEnds(t *testing.T) {
	p, line := start(t, "echo hello; exit 3")
	<-p.Done()
	if line != "hello" || !p.Ended() || p.ExitCode() != 3 || p.How() != "exit status 3" {
		t.Errorf("it wrote %q, ended is %v, status %d, %s", line, p.Ended(), p.ExitCode(), p.How())
	}
	if err := p.SignalGroup(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to a group that has ended: %v", err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal to a process that has ended: %v", err)
	}
}

func TestDoesNotStart(t *testing.T) {
	if _, err := Start(exec.Command("/nowhere/nothing"), syscall.SIGKILL); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
}

// TestKill kills a process that has started another.
func TestKill(t *testing.T) {
	p, line := start(t, "sleep 1000 & echo $!; wait")
	child, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	p.Kill() // once more does nothing
	if p.ExitCode() != -1 || p.How() != "signal: killed" {
		t.Errorf("status %d, %s", p.ExitCode(), p.How())
	}
	for deadline := time.Now().Add(patience); !gone(child); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what it has started still runs")
		}
	}
}

func TestPause(t *testing.T) {
	p, _ := start(t, "echo; while :; do sleep 0.01; done")
	if p.Paused() {
		t.Error("it is paused while it runs")
	}
	if err := p.Pause(t.Context()); err != nil || !p.Paused() {
		t.Fatalf("paused is %v: %v", p.Paused(), err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); p.Paused(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not go on")
		}
	}
	p.Kill()
	if err := p.Pause(t.Context()); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process that has ended was paused: %v", err)
	}
	if err := p.Resume(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process that has ended went on: %v", err)
	}
}

// TestOrphan starts a process by one that is killed.
func TestOrphan(t *testing.T) {
	if os.Getenv("PROCESS_TEST_PARENT") != "" {
		p, err := Start(exec.Command("sleep", "1000"), syscall.SIGKILL)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("child " + strconv.Itoa(p.Pid()) + "\n")
		<-p.Done()
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOrphan$")
	cmd.Env = append(os.Environ(), "PROCESS_TEST_PARENT=1")
	cmd.Stdout = w
	p, err := Start(cmd, syscall.SIGKILL)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	b := make([]byte, 64)
	n, err := r.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(string(b[:n])), "child "))
	if err != nil {
		t.Fatalf("%q: %v", b[:n], err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	for deadline := time.Now().Add(patience); !gone(child); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the orphan still runs")
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("GODWIT_NODE", "n9")
	t.Setenv("OTHER", "kept")
	env := Environment()
	if slices.Contains(env, "GODWIT_NODE=n9") || !slices.Contains(env, "OTHER=kept") {
		t.Errorf("the variables are %v", env)
	}
}
