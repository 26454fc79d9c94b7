package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// files are the names of what a store has in its folder.
var files = []string{"*.sst", "*.blob", "*.log", "*.dbtmp", "MANIFEST-*", "OPTIONS-*", "marker.*", "LOCK", sealName}

// Remove deletes the store in a folder, be it damaged, so that the next Open begins a
// new one. It leaves other files alone. Its error is ErrLocked for a store in use.
func Remove(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockFolder(dir, vfs.Default)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err == nil && ours(e.Name()) {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	if err != nil {
		err = fmt.Errorf("pebble: removing the history store: %w", err)
	}
	return errors.Join(err, lock.Close())
}

// ours reports whether a file of a store has such a name.
func ours(name string) bool {
	for _, pattern := range files {
		if ok, _ := filepath.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// lockFolder makes sure that nobody else uses a store.
func lockFolder(dir string, on vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, on)
	if err == nil {
		return lock, nil
	}
	if used(err) {
		return nil, fmt.Errorf("%w: %s: %w", ErrLocked, dir, err)
	}
	return nil, fmt.Errorf("pebble: locking the history store: %w", err)
}
