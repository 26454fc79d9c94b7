package run

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/tools/verify/check"
	"github.com/godwit-im/godwit/tools/verify/event"
	"github.com/godwit-im/godwit/tools/verify/nemesis"
	"github.com/godwit-im/godwit/tools/verify/report"
	"github.com/godwit-im/godwit/tools/verify/world"
)

// tiny returns settings of a short run on one node with Pebble, without faults.
func tiny(t *testing.T) Settings {
	t.Helper()
	kafkatest.Need(t)
	t.Parallel() // they mostly wait
	return Settings{
		Users: 8, Devices: 2, Rate: 60, Duration: MinDuration, Converge: time.Minute, Seed: 1, Out: filepath.Join(t.TempDir(), "out"),
		Local:   &Local{Nodes: 1, Brokers: 1, History: Pebble, Binary: binary, Root: root},
		Command: "a command", Progress: t.Output(),
	}
}

// outcome makes a run and requires what comes out.
func outcome(t *testing.T, s Settings, want check.Outcome) *report.Report {
	t.Helper()
	r, err := Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != want {
		var text strings.Builder
		_ = r.Text(&text)
		t.Fatalf("the outcome is %s, want %s:\n%s", r.Outcome, want, text.String())
	}
	return r
}

// finding returns what a check found.
func finding(t *testing.T, r *report.Report, name string) check.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Check.Findings, func(f check.Finding) bool { return f.Check == name })
	if i < 0 {
		t.Fatalf("there is no check %s", name)
	}
	return r.Check.Findings[i]
}

// begun returns a channel that is closed when the load of a run has begun.
func begun(t *testing.T, s Settings) <-chan struct{} {
	t.Helper()
	began := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		defer close(began)
		poll := time.NewTicker(100 * time.Millisecond)
		defer poll.Stop()
		for t.Context().Err() == nil {
			if info, err := os.Stat(filepath.Join(s.Out, EventsFile)); err == nil && info.Size() > 0 {
				return
			}
			select {
			case <-poll.C:
			case <-t.Context().Done():
			}
		}
	})
	t.Cleanup(watching.Wait)
	return began
}

// files returns the names in a folder.
func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

// TestCalm makes a run without faults, and looks at what it leaves.
func TestCalm(t *testing.T) {
	s := tiny(t)
	r := outcome(t, s, check.Passed)
	if got := files(t, s.Out); !slices.Equal(got, []string{EventsFile, HTMLFile, JSONFile}) {
		t.Errorf("it has left %v", got)
	}
	if got := r.Story.Run; got.Seed != 1 || got.Command != "a command" {
		t.Errorf("the history is of %+v", got)
	}
	var phases []event.PhaseName
	for _, p := range r.Story.Phases {
		phases = append(phases, p.Name)
	}
	if want := []event.PhaseName{event.Warmup, event.Heal, event.Reconnect, event.Drain, event.Read}; !slices.Equal(phases, want) {
		t.Errorf("the phases were %v, want %v", phases, want)
	}
	for _, f := range r.Check.Findings {
		if f.Verdict == check.NotTested && !strings.Contains("unknown_at_most_once signals_at_most_once rejected_nowhere", f.Check) {
			t.Errorf("%s was not tested: %s", f.Check, f.Note)
		}
	}
	if v := r.Versions; !strings.HasPrefix(v.Godwit, "godwit ") || !strings.Contains(v.Kafka, ".") {
		t.Errorf("the versions are %+v", v)
	}
}

// TestFaults makes a run with faults of two kinds.
func TestFaults(t *testing.T) {
	s := tiny(t)
	s.Users, s.Duration, s.Keep, s.Seed = 20, 40*time.Second, true, 3
	s.Local = &Local{Nodes: 2, Brokers: 1, History: NoStore, Binary: binary, Root: root,
		Faults: []nemesis.Kind{nemesis.NodeKill, nemesis.NodePause}}
	r := outcome(t, s, check.Passed)
	kinds := make(map[string]bool)
	for _, f := range r.Story.Faults {
		kinds[f.Kind] = true
		if f.Hit == report.Never || f.End == report.Never {
			t.Errorf("a fault has not hit, or has no end: %+v", f)
		}
	}
	for _, k := range s.Local.Faults { // on a slow machine there may be no time for both
		told := slices.ContainsFunc(r.Notes, func(note string) bool {
			return strings.HasPrefix(note, "the run was too short for") && strings.Contains(note, string(k))
		})
		if kinds[string(k)] == told {
			t.Errorf("%s was done: %v, and its lack was told: %v; the faults were %+v, the notes %q", k, kinds[string(k)], told, r.Story.Faults, r.Notes)
		}
	}
	if got := files(t, filepath.Join(s.Out, LogsFolder)); !slices.Equal(got, []string{"kafka1.log", "n1.log", "n2.log"}) {
		t.Errorf("the logs are %v", got)
	}
}

// TestRemote makes runs on a cluster that is there already: one in which all is well, one
// that is not told where the log is, and one that is shown a log in which nothing is.
func TestRemote(t *testing.T) {
	s := tiny(t)
	config := s.Local.world(filepath.Join(t.TempDir(), "world"))
	w, err := world.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s.Local = nil
	kc := kafka.DefaultConfig()
	kc.Brokers, kc.Namespace = w.Kafka(), w.Namespace()
	s.Remote = &Remote{URLs: []string{w.URL("n1")}, Token: w.Token, History: true, Kafka: &kc}
	r := outcome(t, s, check.Passed)
	if f := finding(t, r, "conservation"); f.Verdict != check.NotTested {
		t.Errorf("the counters of others were checked: %+v", f)
	}

	s.Remote.Kafka = nil
	r = outcome(t, s, check.Unknown)
	if f := finding(t, r, "stored_in_log"); f.Verdict != check.NotTested {
		t.Errorf("without the log: %+v", f)
	}

	cmd := exec.CommandContext(t.Context(), binary, "topics", "create", "--kafka-brokers", strings.Join(w.Kafka(), ","),
		"--kafka-namespace", "empty", "--kafka-partitions", "4", "--replication", "1", "--min-insync", "1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	kc.Namespace = "empty"
	s.Remote.Kafka = &kc
	r = outcome(t, s, check.Failed)
	if f := finding(t, r, "stored_in_log"); f.Verdict != check.Violated || len(f.Evidence) == 0 || r.Quotes[f.Evidence[0].Lines[0]] == "" {
		t.Errorf("with an empty log: %+v", f)
	}
}

// TestEnough ends a run early: what there is by then is judged. At this rate healing and
// draining would have to last for most of a minute to make a thousand acknowledgements.
func TestEnough(t *testing.T) {
	s := tiny(t)
	s.Duration, s.Rate = time.Hour, 20
	s.Enough = begun(t, s)
	r := outcome(t, s, check.Unknown)
	if !slices.Contains(r.Notes, "the load was ended early") {
		t.Errorf("the notes are %q", r.Notes)
	}
	if f := finding(t, r, "enough"); f.Verdict != check.NotTested {
		t.Errorf("%+v", f)
	}
}

// TestGivenUp ends runs at once, before they have begun and while they last. TestMain finds
// what they leave.
func TestGivenUp(t *testing.T) {
	s := tiny(t)
	s.Duration = time.Hour
	enough := make(chan struct{})
	close(enough)
	s.Enough = enough
	if _, err := Run(t.Context(), s); !errors.Is(err, ErrEnough) {
		t.Errorf("a run that had enough at once: %v", err)
	}
	s.Enough = nil
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := begun(t, s)
	go func() {
		<-began
		cancel()
	}()
	if _, err := Run(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was given up: %v", err)
	}
	if got := files(t, s.Out); slices.ContainsFunc(got, func(name string) bool { return strings.HasPrefix(name, "world-") }) {
		t.Errorf("it has left %v", got)
	}
}

// TestDoesNotStart makes runs with binaries that are none, and one that does not serve.
func TestDoesNotStart(t *testing.T) {
	s := tiny(t)
	s.Local.Binary = "/nowhere/godwit"
	if _, err := Run(t.Context(), s); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a binary: %v", err)
	}
	s.Out = filepath.Join(root, "go.mod")
	if _, err := Run(t.Context(), s); err == nil {
		t.Error("a run has left its report below a file")
	}
}
