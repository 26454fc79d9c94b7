package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

// patience is how long a test waits for what must happen. It only ends tests that
// have failed, so it is long enough for a busy machine, and longer than the
// twenty seconds after which a send is answered whatever happens.
const patience = 90 * time.Second

// root is the folder of the repository.
var root = filepath.Join("..", "..")

// godwit is the command under test.
var godwit string

func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	kafkatest.Main(m)
}

// build builds the command into the cache folder, with the race detector if the
// tests have it.
func build() error {
	cache := os.Getenv("GODWIT_CACHE")
	if cache == "" {
		cache = filepath.Join(root, ".cache")
	}
	var err error
	if godwit, err = filepath.Abs(filepath.Join(cache, "e2e", "godwit")); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", raceFlag, "-o", godwit, "./tools/godwit")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building godwit: %w\n%s", err, out)
	}
	return nil
}

// eventually waits until cond is true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
