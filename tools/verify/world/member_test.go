package world

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// shell returns a member that is a shell script.
func shell(t *testing.T, script string) *member {
	t.Helper()
	m := &member{name: "m1", log: filepath.Join(t.TempDir(), "log"), command: func() *exec.Cmd { return exec.Command("sh", "-c", script) }}
	t.Cleanup(func() {
		if p, err := m.process(); err == nil {
			p.Kill()
		}
	})
	return m
}

// TestMember has a process live twice.
func TestMember(t *testing.T) {
	m := shell(t, "echo it serves; while :; do sleep 0.01; done")
	m.started = "it serves"
	ups, downs := 0, 0
	m.up, m.down = func() { ups++ }, func() { downs++ }
	if _, err := m.end(t.Context(), 15); err == nil {
		t.Error("a process was ended that was not started")
	}
	for life := range 2 {
		if err := m.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := m.start(t.Context()); err == nil {
			t.Error("it was started while it ran")
		}
		if !m.answers() || ups != life+1 || downs != life {
			t.Errorf("life %d: answers is %v, %d ups, %d downs", life, m.answers(), ups, downs)
		}
		if evidence, err := m.pause(t.Context()); err != nil || !strings.Contains(evidence, "are stopped") || m.answers() {
			t.Errorf("%q, %v, answers is %v", evidence, err, m.answers())
		}
		for range 2 { // the second time does nothing
			if err := m.resume(); err != nil || !m.answers() {
				t.Errorf("%v, answers is %v", err, m.answers())
			}
		}
		if evidence, err := m.end(t.Context(), 15); err != nil || !strings.Contains(evidence, "is gone (signal: terminated)") {
			t.Errorf("%q, %v", evidence, err)
		}
		if got := m.falls(); len(got) > 0 {
			t.Errorf("it has fallen: %q", got)
		}
	}
}

// TestMemberDoesNotServe starts processes that never serve.
func TestMemberDoesNotServe(t *testing.T) {
	m := shell(t, "echo something is wrong; exit 3")
	m.started = "it serves"
	err := m.start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "it has ended (exit status 3)") || !strings.Contains(err.Error(), "something is wrong") {
		t.Errorf("the error of a process that ends: %v", err)
	}
	if got := m.falls(); !slices.Equal(got, []string{"exit status 3"}) {
		t.Errorf("it has fallen: %q", got)
	}
	if err := m.start(t.Context()); err == nil {
		t.Error("it serves the second time")
	}
	if got := m.falls(); len(got) != 2 {
		t.Errorf("it has fallen: %q", got)
	}

	// What an earlier life has said does not count, nor a port that says that it is not ready.
	m = shell(t, "while :; do sleep 0.01; done")
	if err := m.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.end(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer server.Close()
	m.health = server.URL
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := m.start(ctx); err == nil {
		t.Error("a process serves that says that it does not")
	}
}

// TestMemberStartsAgain starts a process that needs something: it serves as soon as that is
// there. What it did meanwhile is no fall if it said that it could not start.
func TestMemberStartsAgain(t *testing.T) {
	for code, falls := range map[int][]string{1: nil, 2: {"exit status 2"}} {
		t.Run(fmt.Sprint(code), func(t *testing.T) { startsAgain(t, code, falls) })
	}
}

func startsAgain(t *testing.T, code int, falls []string) {
	needs := filepath.Join(t.TempDir(), "needs")
	m := shell(t, fmt.Sprintf("[ -e %s ] || exit %d; echo it serves; while :; do sleep 0.01; done", needs, code))
	m.started = "it serves"
	if err := os.Mkdir(needs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.end(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(needs); err != nil {
		t.Fatal(err)
	}
	var starting sync.WaitGroup
	starting.Go(func() {
		if err := m.start(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for { // until it has ended once
		if p, err := m.process(); err == nil && p.Ended() && p.ExitCode() == code {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.Mkdir(needs, 0o755); err != nil {
		t.Fatal(err)
	}
	starting.Wait()
	got := slices.Compact(m.falls()) // on a slow machine it may have ended more than once
	if !slices.Equal(got, falls) || !m.answers() {
		t.Errorf("it has fallen: %q, want %q; answers is %v", got, falls, m.answers())
	}
}

// TestMemberDoesNotEnd tells a process to end that does not listen.
func TestMemberDoesNotEnd(t *testing.T) {
	m := shell(t, "trap '' TERM; echo it serves; while :; do sleep 0.01; done")
	m.started = "it serves"
	if err := m.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if evidence, err := m.end(ctx, 15); err == nil {
		t.Errorf("it is said to have ended: %s", evidence)
	}
	if _, err := m.end(t.Context(), 9); err != nil {
		t.Error(err)
	}
}

// TestUnknown names what is not there.
func TestUnknown(t *testing.T) {
	w := new(World)
	for what, do := range map[string]func() error{
		"start":  func() error { return w.Start(t.Context(), "n9") },
		"kill":   func() error { _, err := w.Kill("n9"); return err },
		"stop":   func() error { _, err := w.Stop(t.Context(), "n9"); return err },
		"pause":  func() error { _, err := w.Pause(t.Context(), "n9"); return err },
		"resume": func() error { return w.Resume("n9") },
		"counts": func() error { _, err := w.Counts("n9", KafkaWay); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), `"n9"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestHealthy asks a port that does not answer in time.
func TestHealthy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if healthy(ctx, "http://"+l.Addr().String()) || healthy(t.Context(), ":not a URL") {
		t.Error("it is healthy")
	}
}
