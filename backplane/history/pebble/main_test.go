package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/history/historytest"
	"go.uber.org/goleak"
)

// childEnv names the folder that a test works in when it runs in a child process: one
// that is killed, or leaves goroutines behind for ever.
const childEnv = "GODWIT_PEBBLE_TEST_FOLDER"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// child returns the test as a command that runs in a process of its own, on a folder.
func child(t *testing.T, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// inChild runs a test in a process of its own. It reports whether this is it.
func inChild(t *testing.T) bool {
	if os.Getenv(childEnv) != "" {
		return true
	}
	if out, err := child(t, t.TempDir()).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in its own process: %v\n%s", err, out)
	}
	return false
}

func testOptions() Options {
	return Options{Namespace: "test", Cluster: "one", CacheBytes: 1 << 20, ReserveBytes: 1, Log: slog.New(slog.DiscardHandler)}
}

// reopen opens the store in a folder, and closes it when the test ends.
func reopen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestStore(t *testing.T) {
	historytest.Run(t, func(t *testing.T) history.Store { return reopen(t, t.TempDir()) })
}

// patience is how long a test waits for what must happen. It only ends tests that
// have failed.
const patience = 30 * time.Second

// generation is that of the tests.
const generation = 3

// userOf returns the user whom the tests keep in a partition.
func userOf(p backplane.Partition) []byte { return fmt.Appendf(nil, "user%d", p) }

// fill returns a batch of the entries from one offset to before another of a
// partition's user.
func fill(p backplane.Partition, from, to, time int64) *history.Batch {
	b := &history.Batch{Generation: generation, Partition: p, Applied: history.Applied{Offset: to - 1, Time: time}}
	for o := from; o < to; o++ {
		b.Entries = append(b.Entries, history.Entry{User: userOf(p), Offset: o, Time: time,
			Value: valueOf(p, o), Peers: [][]byte{[]byte("peer")}})
	}
	return b
}

// valueOf returns what the tests keep at an offset.
func valueOf(p backplane.Partition, offset int64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d/%d ", p, offset), 10)
}

// query returns the query for everything of a partition's user.
func query(p backplane.Partition) *history.Query {
	return &history.Query{User: userOf(p), Generation: generation, Partition: p, After: -1, Before: 1 << 40, Limit: 1 << 30, Bytes: 1 << 30}
}

func write(t testing.TB, s *Store, b *history.Batch) {
	t.Helper()
	if err := s.Write(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

// verify reads all of a partition both ways. It returns an error of the store, or errWrong
// if the entries are not those from one offset to before another.
func verify(s *Store, p backplane.Partition, from, to int64) error {
	for _, peer := range []string{"", "peer"} {
		for _, backward := range []bool{false, true} {
			q := query(p)
			q.Peer, q.Backward = []byte(peer), backward
			page, err := s.Read(context.Background(), q)
			if err != nil {
				return err
			}
			if len(page.Entries) != int(to-from) {
				return fmt.Errorf("%w: partition %d has %d, want those from %d to %d", errWrong, p, len(page.Entries), from, to)
			}
			for i, e := range page.Entries {
				want := from + int64(i)
				if backward {
					want = to - 1 - int64(i)
				}
				if e.Offset != want || !bytes.Equal(e.Value, valueOf(p, want)) {
					return fmt.Errorf("%w: in partition %d, entry %d has %q, want that of %d", errWrong, p, e.Offset, e.Value, want)
				}
			}
		}
	}
	return nil
}

var errWrong = errors.New("wrong entries")

func applied(t testing.TB, s *Store, p backplane.Partition) history.Applied {
	t.Helper()
	all, err := s.Applied(context.Background(), generation, int32(p)+1)
	if err != nil {
		t.Fatal(err)
	}
	return all[p]
}
