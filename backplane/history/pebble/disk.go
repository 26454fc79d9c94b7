package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system that Pebble works on: the real one, of whose failures Pebble
// hears nothing where it changes files. See the package's documentation.
type disk struct {
	vfs.FS
	health *health
}

// expected reports whether an error tells of the files rather than of the disk. Pebble
// knows what to do then.
func expected(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist)
}

// persist calls f until it succeeds.
func (d *disk) persist(f func() error) error {
	err := f()
	if err == nil || expected(err) {
		return err
	}
	d.health.stall(err)
	defer d.health.resume()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		time.Sleep(pause)
		if err = f(); err == nil || expected(err) {
			return err
		}
	}
}

// settle returns when f has succeeded, and never if it does not: what a sync has failed
// to write may be lost, and a second one would not say so. Its goroutine stays there
// until the process ends.
func (d *disk) settle(f func() error) error {
	err := f()
	for errors.Is(err, syscall.EINTR) {
		err = f()
	}
	if err != nil {
		d.health.stall(fmt.Errorf("a sync failed, and history is not written before the process is started again: %w", err))
		select {}
	}
	return nil
}

// open wraps the file that an operation opens for writing.
func (d *disk) open(f func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := d.persist(func() (err error) {
		file, err = f()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &diskFile{file, d}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.open(func() (vfs.File, error) { return d.FS.Create(name, c) })
	if base := d.PathBase(name); err == nil && isManifest(base) {
		f = &manifest{File: f, disk: d, dir: d.PathDir(name), seal: seal{name: base}}
	}
	return f, err
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

// OpenDir opens a directory, which is done to sync it.
func (d *disk) OpenDir(name string) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.FS.OpenDir(name) })
}

func (d *disk) Link(from, to string) error {
	return d.persist(func() error { return d.FS.Link(from, to) })
}

func (d *disk) Rename(from, to string) error {
	return d.persist(func() error { return d.FS.Rename(from, to) })
}

func (d *disk) Remove(name string) error {
	return d.persist(func() error { return d.FS.Remove(name) })
}

func (d *disk) RemoveAll(name string) error {
	return d.persist(func() error { return d.FS.RemoveAll(name) })
}

func (d *disk) MkdirAll(name string, perm os.FileMode) error {
	return d.persist(func() error { return d.FS.MkdirAll(name, perm) })
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

// diskFile is a file of a disk that is written. (Pebble does not mind if no space can be
// allocated ahead.)
type diskFile struct {
	vfs.File
	disk *disk
}

func (f *diskFile) Write(b []byte) (int, error) {
	n := 0
	err := f.disk.persist(func() error {
		m, err := f.File.Write(b[n:])
		n += m
		return err
	})
	return n, err
}

func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	n := 0
	err := f.disk.persist(func() error {
		m, err := f.File.WriteAt(b[n:], at+int64(n))
		n += m
		return err
	})
	return n, err
}

func (f *diskFile) Sync() error { return f.disk.settle(f.File.Sync) }

func (f *diskFile) SyncData() error { return f.disk.settle(f.File.SyncData) }

func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.disk.settle(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *diskFile) Close() error { return f.disk.settle(f.File.Close) }
