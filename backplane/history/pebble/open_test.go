package pebble

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().UnixMilli()
	s := reopen(t, dir)
	write(t, s, fill(0, 0, 10, now-dayLength))
	write(t, s, fill(0, 10, 20, now))
	closeStore(t, s)
	s = reopen(t, dir)
	write(t, s, fill(0, 15, 30, now-dayLength)) // the day does not go back
	write(t, s, fill(1, 0, 5, now))
	closeStore(t, s)
	s = reopen(t, dir)
	if err := errors.Join(verify(s, 0, 0, 30), verify(s, 1, 0, 5)); err != nil {
		t.Error(err)
	}
	if a := applied(t, s, 0); a != (history.Applied{Offset: 29, Time: now, Floor: -1}) {
		t.Errorf("after all the store has come to %+v", a)
	}
	if err := s.Trim(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = reopen(t, dir)
	if err := verify(s, 0, 10, 30); err != nil {
		t.Error(err)
	}
	if a := applied(t, s, 0); a.Floor != 9 {
		t.Errorf("after a trim the floor is %d, want 9", a.Floor)
	}
}

// TestKill: after kill -9 of a process that writes, everything that it was told is
// there, and what is there is what the positions say.
func TestKill(t *testing.T) {
	const partitions = 4
	if dir := os.Getenv(childEnv); dir != "" {
		s := reopen(t, dir)
		var writers sync.WaitGroup
		for p := range backplane.Partition(partitions) {
			writers.Go(func() {
				for from := applied(t, s, p).Offset + 1; ; from += 7 {
					write(t, s, fill(p, from, from+7, time.Now().UnixMilli()))
					fmt.Printf("acked %d %d\n", p, from+6)
				}
			})
		}
		writers.Wait()
	}
	dir := t.TempDir()
	for round := range 3 {
		cmd := child(t, dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := make(map[backplane.Partition]int64)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var p backplane.Partition
			var offset int64
			if _, err := fmt.Sscanf(lines.Text(), "acked %d %d", &p, &offset); err == nil {
				acked[p] = offset
			}
			if n == 150*(round+1) {
				_ = cmd.Process.Kill() // and read what it had said before
			}
		}
		_ = cmd.Wait()
		if len(acked) != partitions {
			t.Fatalf("only %d partitions were written", len(acked))
		}
		s := reopen(t, dir)
		for p, offset := range acked {
			a := applied(t, s, p)
			if a.Offset < offset || (a.Offset+1)%7 != 0 {
				t.Errorf("partition %d has come to %d, but %d was acked", p, a.Offset, offset)
			}
			if err := verify(s, p, 0, a.Offset+1); err != nil {
				t.Error(err)
			}
		}
		closeStore(t, s)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	reopen(t, dir)
	_, err := Open(dir, testOptions())
	if !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice in a process: %v", err)
	}
	if err := Remove(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("removed while it was open: %v", err)
	}
	t.Run("Process", func(t *testing.T) {
		if from := os.Getenv(childEnv); from != "" {
			if _, err := Open(from, testOptions()); !errors.Is(err, ErrLocked) {
				t.Errorf("opened by two processes: %v", err)
			}
			return
		}
		cmd := child(t, dir)
		cmd.Args[1] = "-test.run=^TestLocked$/^Process$"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestForeign: what somebody else wrote is not touched.
func TestForeign(t *testing.T) {
	for name, tt := range map[string]struct {
		make   func(t *testing.T, dir string)
		change func(*Options)
	}{
		"Namespace": {change: func(o *Options) { o.Namespace = "other" }},
		"Cluster":   {change: func(o *Options) { o.Cluster = "two" }},
		"Shifted":   {change: func(o *Options) { o.Namespace, o.Cluster = "testone", "" }},
		"Format": {make: func(t *testing.T, dir string) {
			s := reopen(t, dir)
			if err := s.db.Set(metaKey, []byte{formatVersion + 1, 'x'}, pebble.Sync); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
		}},
		"Pebble": {make: func(t *testing.T, dir string) {
			closeStore(t, reopen(t, dir))
			markers, err := filepath.Glob(filepath.Join(dir, "marker.format-version.*"))
			if err != nil || len(markers) != 1 {
				t.Fatal(markers, err)
			}
			if err := os.Rename(markers[0], filepath.Join(dir, "marker.format-version.000099.999")); err != nil {
				t.Fatal(err)
			}
		}},
		"Database": {make: func(t *testing.T, dir string) {
			db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatTableFormatV6, Logger: pebble.DefaultLogger})
			if err == nil {
				err = db.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.make == nil {
				closeStore(t, reopen(t, dir))
			} else {
				tt.make(t, dir)
			}
			o := testOptions()
			if tt.change != nil {
				tt.change(&o)
			}
			for range 2 {
				if _, err := Open(dir, o); !errors.Is(err, history.ErrForeign) {
					t.Errorf("opened: %v", err)
				}
			}
		})
	}
}

// TestClaimed: a store belongs to the first cluster for which it was opened.
func TestClaimed(t *testing.T) {
	dir := t.TempDir()
	for i, cluster := range []string{"", "", "one", "", "one"} {
		o := testOptions()
		o.Cluster = cluster
		s, err := Open(dir, o)
		if err != nil {
			t.Fatalf("opening %d, for %q: %v", i, cluster, err)
		}
		closeStore(t, s)
	}
	o := testOptions()
	o.Cluster = "two"
	_, err := Open(dir, o)
	if !errors.Is(err, history.ErrForeign) || !strings.Contains(err.Error(), `of namespace "test" of the Kafka cluster "one", and not those of "test" of "two"`) {
		t.Errorf("opened for another: %v", err)
	}
}

func TestMeta(t *testing.T) {
	want := meta{"godwit", "MkU3OEVBNTcwNTJENDM2Qk"}
	b := want.encode()
	if got, err := parseMeta(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range b {
		if got, err := parseMeta(b[:n]); err == nil {
			t.Errorf("%d bytes of it are %+v", n, got)
		}
	}
	if got, err := parseMeta(append(b, 0)); err == nil {
		t.Errorf("a byte more is %+v", got)
	}
}

// TestNotPermitted: an error of the operating system stays what it is.
func TestNotPermitted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(file, "store"), testOptions())
	if err == nil || errors.Is(err, history.ErrCorrupt) || errors.Is(err, ErrLocked) {
		t.Errorf("opened in a file: %v", err)
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	if err := Remove(filepath.Join(dir, "none")); err != nil {
		t.Errorf("removed what is not there: %v", err)
	}
	s := reopen(t, dir)
	write(t, s, fill(0, 0, 10, 1))
	closeStore(t, s)
	mine := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if a := applied(t, reopen(t, dir), 0); a != nothing {
		t.Errorf("a removed store has come to %+v", a)
	}
}
