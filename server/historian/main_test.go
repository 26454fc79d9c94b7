package historian_test

import (
	"os"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane/kafkatest"
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(childVariable); settings != "" {
		child(settings)
		return
	}
	kafkatest.Main(m)
}

// patience is how long a test waits for what must happen. It only ends tests that have
// failed.
const patience = 60 * time.Second

// eventually waits until cond is true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
