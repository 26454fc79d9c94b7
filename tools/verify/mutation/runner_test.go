package mutation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// verifier makes a Runner whose godwit verify is a shell script. The script has the report's
// folder as $REPORT.
func verifier(t *testing.T, script string) *Runner {
	t.Helper()
	r := &Runner{Root: t.TempDir(), Folder: t.TempDir(), Seed: 7}
	script = "#!/bin/sh\nset -e\nREPORT=" + r.Report() + "\nmkdir -p $REPORT\n" + script
	if err := os.WriteFile(filepath.Join(r.Folder, verifierFile), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

// reported returns a script that writes a report and then ends with a status.
func reported(report string, status int) string {
	return fmt.Sprintf("cat >$REPORT/%s <<'END'\n%s\nEND\necho it is done\nexit %d\n", reportFile, report, status)
}

func TestJudge(t *testing.T) {
	m := Mutation{Name: "m", Checks: []string{"order", "sequence"}, Flags: []string{"--users", "3"}}
	for _, c := range []struct {
		name, report  string
		status        int
		want          Result
		found, passed bool
	}{
		{
			"found", `{"outcome": "failed", "checks": [{"check": "sequence", "verdict": "violated"},
				{"check": "protocol", "verdict": "violated"}, {"check": "order", "verdict": "ok"}]}`, 1,
			Result{Outcome: "failed", Violated: []string{"sequence", "protocol"}, Caught: []string{"sequence"}}, true, false,
		},
		{
			"found by others", `{"outcome": "failed", "checks": [{"check": "protocol", "verdict": "violated"}]}`, 1,
			Result{Outcome: "failed", Violated: []string{"protocol"}}, false, false,
		},
		{
			"unseen", `{"outcome": "passed", "checks": [{"check": "order", "verdict": "ok"}]}`, 0,
			Result{Outcome: "passed"}, false, true,
		},
		{
			"unknown", `{"outcome": "unknown", "checks": [{"check": "enough", "verdict": "not_tested", "note": "too few"}]}`, 2,
			Result{Outcome: "unknown", Note: "enough: too few"}, false, false,
		},
		{
			"unknown by a note", `{"outcome": "unknown", "notes": ["a node fell"], "checks": [{"check": "order", "verdict": "not_tested"}]}`, 2,
			Result{Outcome: "unknown", Note: "a node fell"}, false, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			r := verifier(t, `echo "$@"`+"\n"+reported(c.report, c.status))
			r.Output = &out
			got, err := r.judge(t.Context(), m, "/the/binary")
			if err != nil {
				t.Fatal(err)
			}
			if got.Took <= 0 {
				t.Error("it took no time")
			}
			got.Took = 0
			if !reflect.DeepEqual(got, c.want) || got.Found() != c.found || got.Passed() != c.passed {
				t.Errorf("%+v, found %v, passed %v", got, got.Found(), got.Passed())
			}
			flags := "verify --binary /the/binary --report " + r.Report() + " --seed 7 --users 3\n"
			if out.String() != flags+"it is done\n" {
				t.Errorf("the flags are %q, want %q", out.String(), flags)
			}
		})
	}
}

// TestJudgeWithoutReport has godwit verify end without a report, or with one of a run before.
func TestJudgeWithoutReport(t *testing.T) {
	for name, script := range map[string]string{
		"none":       "echo Kafka does not start; exit 2",
		"no JSON":    reported("something", 1),
		"no outcome": reported(`{"checks": [{"check": "order", "verdict": "ok"}]}`, 0),
		"no checks":  reported(`{"outcome": "passed"}`, 0),
	} {
		t.Run(name, func(t *testing.T) {
			r := verifier(t, script)
			got, err := r.judge(t.Context(), Mutation{Name: "m"}, "/b")
			if err == nil {
				t.Fatalf("the result is %+v", got)
			}
			if name == "none" && (!strings.Contains(err.Error(), "verifying m") || !strings.Contains(err.Error(), "Kafka does not start")) {
				t.Errorf("the error does not say why: %v", err)
			}
		})
	}
	r := verifier(t, "exit 2")
	if err := os.MkdirAll(r.Report(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.Report(), reportFile), []byte(`{"outcome": "passed", "checks": [{}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := r.judge(t.Context(), Mutation{Name: "m"}, "/b"); err == nil {
		t.Errorf("the report of a run before was read: %+v", got)
	}
}

// TestJudgeEnds ends a run in the middle: what it has started is gone.
func TestJudgeEnds(t *testing.T) {
	r := verifier(t, "echo begun >$REPORT/begun; while :; do sleep 0.01; done")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(r.Report(), "begun")); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := r.judge(ctx, Mutation{Name: "m"}, "/b"); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestTail(t *testing.T) {
	var w tail
	text := strings.Repeat("0123456789", outputTail/5)
	for len(text) > 0 {
		n := min(len(text), 777)
		if got, err := w.Write([]byte(text[:n])); got != n || err != nil {
			t.Fatalf("%d, %v", got, err)
		}
		text = text[n:]
	}
	if got := string(w.bytes); len(got) != outputTail || !strings.HasSuffix(got, "789") {
		t.Errorf("%d bytes are kept, which end with %q", len(got), got[len(got)-3:])
	}
}
