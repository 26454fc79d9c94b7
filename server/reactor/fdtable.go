package reactor

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/godwit-im/godwit/registry"
)

// The limit of open files holds for a descriptor table, not for a process. A thread
// that calls unshare(CLONE_FILES) gets a table of its own, a copy of the one it had
// (unshare(2)). With one for each loop, a process holds as many connections as its
// loops have room together, where the limit itself cannot be raised.
//
// What follows from it, and holds throughout this package: a connection's
// descriptor means something on its loop's thread only; what was open when the table
// was copied is closed when every copy is, so a copy goes with the thread at the
// latest.

// ownTable gives the calling loop's thread a descriptor table of its own, and
// returns how many connections have room in it.
func ownTable() (room int, err error) {
	// Once more than gnet does, which unlocks when the loop ends: so the thread ends
	// with the loop, and with it the table. It must not serve other goroutines, whose
	// descriptors it does not have.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return 0, fmt.Errorf("reactor: a descriptor table for each loop: unshare: %w", err)
	}
	return openFilesLeft()
}

// openFilesLeft returns how many more descriptors the calling thread's table may
// have, less those that are kept for other use than connections.
func openFilesLeft() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reactor: limit of open files: %w", err)
	}
	open, err := os.ReadDir("/proc/thread-self/fd")
	if err != nil {
		return 0, fmt.Errorf("reactor: open files: %w", err)
	}
	room := int(min(limit.Cur, 1<<30)) - len(open) - reservedFiles
	return min(room, registry.MaxSlots), nil
}

// closeCopy closes this thread's copy of a descriptor that is closed in the table
// of a loop.
func closeCopy(fd int) error {
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("reactor: close a copy: %w", err)
	}
	return nil
}
