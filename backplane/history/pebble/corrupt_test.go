package pebble

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// TestCorrupt damages one file at a time. The store then says so, when it is opened or
// when it is read; or the damage does no harm: what is there is right, and the positions
// say how much that is.
func TestCorrupt(t *testing.T) {
	const partitions = 2
	good := t.TempDir()
	now := time.Now().UnixMilli()
	s := reopen(t, good)
	for i := range int64(40) {
		for p := range backplane.Partition(partitions) {
			write(t, s, fill(p, 20*i, 20*i+20, now))
			if i == 25 {
				if err := s.db.Flush(); err != nil { // some of it in tables, some in the log
					t.Fatal(err)
				}
			}
		}
	}
	closeStore(t, s)

	random := rand.New(rand.NewPCG(1, 2))
	found := make(map[string]int)
	try := func(file, what string, damage func(path string, size int64) error) {
		t.Helper()
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(path, info.Size()); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, testOptions())
		if err == nil {
			for p := range backplane.Partition(partitions) {
				err = errors.Join(err, verify(s, p, 0, applied(t, s, p).Offset+1))
			}
			if cerr := s.Close(); err == nil && cerr != nil {
				t.Errorf("%s, %s: closing: %v", file, what, cerr)
			}
		}
		if err == nil {
			return
		}
		if errors.Is(err, errWrong) || !errors.Is(err, history.ErrCorrupt) && !errors.Is(err, history.ErrForeign) {
			t.Errorf("%s, %s: %v", file, what, err)
		}
		if errors.Is(err, history.ErrCorrupt) {
			if !strings.Contains(err.Error(), "godwit history rebuild") {
				t.Errorf("%s, %s: the error does not say what to do: %v", file, what, err)
			}
			kind, _, _ := strings.Cut(file, "-")
			if ext := filepath.Ext(file); ext == ".sst" || ext == ".log" {
				kind = ext
			}
			found[kind+" "+what]++
		}
		if err := Remove(dir); err != nil {
			t.Errorf("%s, %s: removing: %v", file, what, err)
		}
		if s, err = Open(dir, testOptions()); err != nil {
			t.Errorf("%s, %s: a new store: %v", file, what, err)
		} else {
			closeStore(t, s)
		}
	}
	files, err := os.ReadDir(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := f.Name()
		try(name, "removed", func(path string, _ int64) error { return os.Remove(path) })
		for range 5 {
			try(name, "flipped", func(path string, size int64) error {
				if size == 0 {
					return nil
				}
				return flip(path, random.Int64N(size), byte(1<<random.IntN(8)))
			})
			try(name, "truncated", func(path string, size int64) error {
				return os.Truncate(path, random.Int64N(size+1))
			})
		}
	}
	t.Logf("found: %v", found)
	for _, kind := range []string{".sst removed", ".sst flipped", ".sst truncated", "MANIFEST removed"} {
		if found[kind] == 0 {
			t.Errorf("not once was it found that a file was damaged: %s", kind)
		}
	}
}

// flip flips bits of a byte in a file.
func flip(path string, at int64, bits byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	if err == nil {
		b[0] ^= bits
		_, err = f.WriteAt(b[:], at)
	}
	return errors.Join(err, f.Close())
}

// TestStateMissing: files of a store without the one that names the current state are
// not taken for a new store.
func TestStateMissing(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, dir)
	write(t, s, fill(0, 0, 10, 1))
	closeStore(t, s)
	markers, err := filepath.Glob(filepath.Join(dir, "marker.manifest.*"))
	if err != nil || len(markers) != 1 {
		t.Fatal(markers, err)
	}
	if err := os.Remove(markers[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, testOptions()); !errors.Is(err, history.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened: %v", err)
	}
}

// TestDamageStopsWrites: from when Pebble finds damage by itself, nothing is written,
// and what is sound is still read.
func TestDamageStopsWrites(t *testing.T) {
	s := reopen(t, t.TempDir())
	write(t, s, fill(0, 0, 10, 1))
	s.damaged(errors.New("a test says so"))
	if err := s.Write(t.Context(), fill(0, 10, 20, 1)); !errors.Is(err, history.ErrCorrupt) {
		t.Errorf("written: %v", err)
	}
	if err := s.Trim(t.Context(), 1<<40); !errors.Is(err, history.ErrCorrupt) {
		t.Errorf("trimmed: %v", err)
	}
	if err := verify(s, 0, 0, 10); err != nil {
		t.Error(err)
	}
}
