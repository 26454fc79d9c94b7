package foreign

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/tools/processtest"
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
	if cache, err = processtest.Cache(root); err != nil {
		return err
	}
	godwit, err = processtest.Build(root, "foreign/godwit", root, "./tools/godwit")
	return err
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
