package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse is the error of a folder that another broker uses.
var ErrInUse = errors.New("embedded: the data folder is in use")

// identity is whose data a folder holds. It stands in the folder as JSON.
type identity struct {
	Namespace  string `json:"namespace"`
	Generation uint32 `json:"generation"`
	Partitions int32  `json:"partitions"`
}

// MismatchError is the error of a folder that holds another topic than the
// configuration asks for.
type MismatchError struct {
	Dir        string
	Have, Want identity
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("embedded: the data folder %s holds %s, but the configuration asks for %s: "+
		"use another folder, or set the configuration back; users would be looked for in the wrong partitions", e.Dir, e.Have, e.Want)
}

func (i identity) String() string {
	return fmt.Sprintf("namespace %s, generation %d with %d partitions", i.Namespace, i.Generation, i.Partitions)
}

const (
	lockName     = "lock"
	identityName = "godwit.json"
)

// folderLock is the descriptor of a locked file. It is not an os.File: one that
// nothing refers to any more is closed by the garbage collector, and a Broker
// that its user has forgotten still runs.
type folderLock int

// release lets another broker use the folder.
func (l folderLock) release() { syscall.Close(int(l)) }

// claim makes the folder if needed, locks it, and checks that it is for want. The
// lock lasts until it is released, or the process ends.
func claim(dir string, want identity) (folderLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("embedded: making the data folder: %w", err)
	}
	// Close-on-exec: a program that this process starts must not keep the lock.
	fd, err := syscall.Open(filepath.Join(dir, lockName), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("embedded: opening the lock of the data folder %s: %w", dir, err)
	}
	lock := folderLock(fd)
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.release()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, fmt.Errorf("%w: another godwit runs on %s", ErrInUse, dir)
		}
		return 0, fmt.Errorf("embedded: locking the data folder %s: %w", dir, err)
	}
	if err := identify(dir, want); err != nil {
		lock.release()
		return 0, err
	}
	return lock, nil
}

// identify checks whose data the folder holds, and notes it in a new one.
func identify(dir string, want identity) error {
	name := filepath.Join(dir, identityName)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return write(name, want)
	}
	if err != nil {
		return fmt.Errorf("embedded: reading whose data the folder holds: %w", err)
	}
	var have identity
	if err := json.Unmarshal(b, &have); err != nil {
		return fmt.Errorf("embedded: %s is damaged: %w", name, err)
	}
	if have != want {
		return &MismatchError{Dir: dir, Have: have, Want: want}
	}
	return nil
}

// write writes an identity so that after a crash the file is whole or not there.
func write(name string, i identity) error {
	b, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	temporary := name + ".tmp"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("embedded: noting whose data the folder holds: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary, name)
	}
	if err != nil {
		return fmt.Errorf("embedded: noting whose data the folder holds: %w", err)
	}
	return nil
}
