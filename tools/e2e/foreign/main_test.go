package foreign

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
// have failed, so it is long enough for a busy machine.
const patience = 90 * time.Second

var (
	root   string // the folder of the repository
	cache  string // what tools/setup fetched
	godwit string // the command under test
)

func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "foreign:", err)
		os.Exit(1)
	}
	kafkatest.Main(m)
}

// build finds the folders and builds the command.
func build() (err error) {
	if root, err = filepath.Abs(filepath.Join("..", "..", "..")); err != nil {
		return err
	}
	if cache = os.Getenv("GODWIT_CACHE"); cache == "" {
		cache = filepath.Join(root, ".cache")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return err
	}
	godwit = filepath.Join(cache, "foreign", "godwit")
	cmd := exec.Command("go", "build", "-o", godwit, "./tools/godwit")
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
		time.Sleep(10 * time.Millisecond)
	}
}
