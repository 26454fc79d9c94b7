package pebble

import (
	"log/slog"
	"testing"

	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/historytest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options() Options {
	return Options{Namespace: "test", Cluster: "one", CacheBytes: 1 << 20, ReserveBytes: 1, Log: slog.New(slog.DiscardHandler)}
}

// reopen opens the store in a folder, and closes it when the test ends.
func reopen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	historytest.Run(t, func(t *testing.T) history.Store { return reopen(t, t.TempDir()) })
}
