package wire

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen. It only ends tests that
// have failed, so it is long enough for a busy machine.
const patience = 90 * time.Second

// root is the folder of the repository.
var root = filepath.Join("..", "..", "..")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func readFile(tb testing.TB, path ...string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
