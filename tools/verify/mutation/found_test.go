package mutation

import (
	"testing"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// TestFound has three of the mutations found, each of them by other checks: one that gives
// something twice, one that does not count, and one that loses what it has acknowledged, which
// takes a fault. All others are for "make verify-mutations".
func TestFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it verifies three clusters, one after the other")
	}
	kafkatest.Need(t)
	chosen, err := Choose(all(t), []string{"window-in-seconds", "drop-uncounted", "ack-early"})
	if err != nil {
		t.Fatal(err)
	}
	r := &Runner{Root: root, Folder: t.TempDir(), Seed: 1, Output: t.Output()}
	if err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range chosen {
		t.Run(m.Name, func(t *testing.T) {
			result, err := r.Run(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s after %v, violated: %q", result.Outcome, result.Took, result.Violated)
			if !result.Found() {
				t.Errorf("none of %q has found it: the run has %s", m.Checks, result.Outcome)
			}
		})
	}
}
