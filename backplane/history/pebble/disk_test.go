package pebble

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/godwit-im/godwit/backplane/history"
)

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// big is a batch of about a megabyte.
func big(from int64) *history.Batch {
	b := fill(0, from, from+16, 1)
	random := rand.NewChaCha8([32]byte{byte(from), byte(from >> 8)}) // it cannot be compressed
	for i := range b.Entries {
		b.Entries[i].Value = make([]byte, 64<<10)
		_, _ = random.Read(b.Entries[i].Value)
	}
	return b
}

// offsets reads all offsets of partition 0, and fails unless they are all from 0 on.
func offsets(t *testing.T, s *Store) int64 {
	t.Helper()
	page, err := s.Read(context.Background(), query(0))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range page.Entries {
		if e.Offset != int64(i) {
			t.Fatalf("entry %d has offset %d", i, e.Offset)
		}
	}
	return int64(len(page.Entries))
}

// TestDiskFull fills a small disk to the last byte. Writes say so, reads go on, and when
// there is room again, so do writes.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("no file system can be mounted here, so that none can be filled: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s, err := Open(filepath.Join(dir, "store"), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 48<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	for err == nil {
		if err = s.Write(t.Context(), big(next)); err == nil {
			next += 16
		}
	}
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, ErrFull) {
		t.Fatalf("the disk is full: %v", err)
	}
	if n := offsets(t, s); n < next {
		t.Errorf("%d entries can be read, %d were written", n, next)
	}
	for s.Write(t.Context(), big(next)) == nil {
		next += 16 // a flush has made room meanwhile, by deleting the log that it wrote out
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() bool { return s.Write(t.Context(), big(next)) == nil })
	if n := offsets(t, s); n != next+16 {
		t.Errorf("%d entries can be read, %d were written", n, next+16)
	}
}

// TestReserve: entries stop before the disk is full, and a trim still works.
func TestReserve(t *testing.T) {
	o := testOptions()
	small := &usage{FS: vfs.Default}
	small.free.Store(1 << 30)
	o.ReserveBytes = 1 << 20
	s, err := open(t.TempDir(), o, small)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	write(t, s, fill(0, 0, 10, 1))
	write(t, s, fill(0, 10, 20, 3*dayLength))
	small.free.Store(1<<20 - 1)
	if err := s.Write(t.Context(), fill(0, 20, 30, 3*dayLength)); !errors.Is(err, ErrFull) {
		t.Errorf("written into the reserve: %v", err)
	}
	if err := s.Trim(t.Context(), 2*dayLength); err != nil {
		t.Errorf("trimmed in the reserve: %v", err)
	}
	if err := verify(s, 0, 10, 20); err != nil {
		t.Error(err)
	}
	small.free.Store(1 << 20)
	write(t, s, fill(0, 20, 30, 3*dayLength))
}

// usage is a disk with as much free space as it is told.
type usage struct {
	vfs.FS
	free atomic.Uint64
}

func (u *usage) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: u.free.Load()}, nil
}

// TestStalls lets every kind of operation of the disk fail now and then, while batches are
// written through flushes and new log files. None is lost, and Pebble notices nothing.
func TestStalls(t *testing.T) {
	var bad atomic.Bool
	var failed atomic.Int64
	flaky := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !bad.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileClose, errorfs.OpFilePreallocate, errorfs.OpFileFlush:
			return nil
		}
		failed.Add(1)
		return syscall.ENOSPC
	}))
	dir := t.TempDir()
	s, err := open(dir, testOptions(), flaky)
	if err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	for round := range 40 {
		bad.Store(round%2 == 1)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := s.Write(ctx, big(next))
		cancel()
		if err == nil {
			next += 16
			continue
		}
		if n := offsets(t, s); n < next {
			t.Fatalf("%d entries can be read, %d were written", n, next)
		}
		bad.Store(false)
		eventually(t, "the disk works again", func() bool { return s.Write(t.Context(), big(next)) == nil })
		next += 16
	}
	bad.Store(false)
	if failed.Load() == 0 {
		t.Error("nothing has failed")
	}
	if n := offsets(t, s); n != next {
		t.Errorf("%d entries can be read, %d were written", n, next)
	}
	closeStore(t, s)
	if n := offsets(t, reopen(t, dir)); n != next {
		t.Errorf("opened again, %d entries can be read, %d were written", n, next)
	}
}

// TestStallAtOpen: Open does not wait for a disk that takes nothing, and leaves
// nothing behind when it does again.
func TestStallAtOpen(t *testing.T) {
	var bad atomic.Bool
	flaky := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if bad.Load() && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	dir := t.TempDir()
	bad.Store(true)
	if _, err := open(dir, testOptions(), flaky); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("opened on a full disk: %v", err)
	}
	bad.Store(false)
	var s *Store
	eventually(t, "the disk works again", func() (ok bool) {
		var err error
		s, err = open(dir, testOptions(), flaky)
		return err == nil
	})
	write(t, s, fill(0, 0, 10, 1))
	closeStore(t, s)
}

// TestSyncFails: after a sync that failed nothing is written any more, all calls still
// return, and what was written before is there when the store is opened again.
func TestSyncFails(t *testing.T) {
	if !inChild(t) {
		return
	}
	var bad atomic.Bool
	broken := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if bad.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			return syscall.EIO
		}
		return nil
	}))
	s, err := open(os.Getenv(childEnv), testOptions(), broken)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, fill(0, 0, 10, 1))
	bad.Store(true)
	for range 3 {
		if err := s.Write(t.Context(), fill(0, 10, 20, 1)); !errors.Is(err, syscall.EIO) {
			t.Fatalf("written: %v", err)
		}
	}
	bad.Store(false)
	if err := s.Write(t.Context(), fill(0, 10, 20, 1)); !errors.Is(err, syscall.EIO) {
		t.Errorf("written although an earlier sync had failed: %v", err)
	}
	if n := offsets(t, s); n != 10 && n != 20 {
		t.Errorf("%d entries", n)
	}
	if a := applied(t, s, 0); a.Offset != 9 {
		t.Errorf("the store says that it has come to %d", a.Offset)
	}
	if err := s.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("closed: %v", err)
	}
}

// TestEngineFails: where Pebble wants to end the process, the store ends instead.
func TestEngineFails(t *testing.T) {
	if !inChild(t) {
		return
	}
	s, err := Open(os.Getenv(childEnv), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, fill(0, 0, 10, 1))
	l := logger{s.log, s.health}
	go l.Fatalf("an invariant of %s is broken", "Pebble")
	eventually(t, "the store has failed", func() bool { return s.Write(t.Context(), fill(0, 10, 20, 1)) != nil })
	_, read := s.Read(t.Context(), query(0))
	for _, err := range []error{read, s.Trim(t.Context(), 1<<40), s.Reset(t.Context()), s.Write(t.Context(), fill(0, 10, 20, 1)), s.Close()} {
		if !errors.Is(err, errEngine) || !strings.Contains(err.Error(), "an invariant of Pebble is broken") {
			t.Errorf("the error is %v", err)
		}
	}
}

// TestEngineFailsInRead: a read in which Pebble gives up returns.
func TestEngineFailsInRead(t *testing.T) {
	s := reopen(t, t.TempDir())
	write(t, s, fill(0, 0, 10, 1))
	for name, give := range map[string]func(){
		"Fatalf": func() { logger{s.log, newHealth()}.Fatalf("broken") },
		"panic":  func() { panic("broken") },
	} {
		s := &Store{health: newHealth()}
		if _, err := s.prepared(func() (*change, error) { give(); return nil, nil }); !errors.Is(err, errEngine) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.health.readable(); err == nil {
			t.Errorf("%s: the store is still used", name)
		}
	}
}

// TestPartialWrites: what the disk took of a write is not written again.
func TestPartialWrites(t *testing.T) {
	d := &disk{vfs.NewMem(), newHealth()}
	f, err := d.FS.Create("file", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	w := &diskFile{&halfFile{File: f}, d}
	const want = "0123456789abcdef"
	if n, err := w.Write([]byte(want)); n != len(want) || err != nil {
		t.Fatalf("wrote %d: %v", n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := readFile(d.FS, "file", -1); err != nil || string(got) != want {
		t.Errorf("the file has %q: %v", got, err)
	}
	if _, err := d.health.usable(); err != nil {
		t.Errorf("the trouble has no end: %v", err)
	}
}

// halfFile takes half of each write, and fails every other time.
type halfFile struct {
	vfs.File
	calls int
}

func (f *halfFile) Write(b []byte) (int, error) {
	if f.calls++; f.calls%2 == 0 || len(b) == 1 {
		return f.File.Write(b)
	}
	n, err := f.File.Write(b[:len(b)/2])
	if err == nil {
		err = syscall.ENOSPC
	}
	return n, err
}
