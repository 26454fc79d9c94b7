package e2e

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

// build builds the command, with the race detector if the tests have it.
func build() (err error) {
	godwit, err = processtest.Build(root, "e2e/godwit", root, "./tools/godwit", raceFlag)
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
		time.Sleep(2 * time.Millisecond)
	}
}
