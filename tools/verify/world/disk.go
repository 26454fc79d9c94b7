package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/tools/verify/metrics"
)

// The disk of a history that can be filled is a file system in memory. It is mounted in a
// mount namespace that a process of its own makes, so that nobody else's mounts change, and
// nothing is left of it when that process ends, however this one does. Others reach it
// through the root of that process in /proc.

const (
	diskName    = "disk1" // of the process
	diskFolder  = "disk"  // where it is mounted, in the world's folder
	diskFiller  = "filler"
	diskMounted = "mounted" // what the process says

	// MinDiskBytes is the least that a disk must have: a history leaves 256 MiB free.
	MinDiskBytes = 512 << 20

	// fillChunk is how much is written at once to fill it.
	fillChunk = 1 << 20

	// The counters of a node that tell what becomes of history.
	historyRetries = "godwit_history_writer_retries_total"
	historyBatches = "godwit_history_writer_batches_total"
)

// diskCommand returns a command that mounts an empty file system of some size on a folder, in
// a mount namespace of its own, says so and then becomes another. Who is not root has a user
// namespace for it, where that is allowed.
func diskCommand(folder string, bytes int64, then ...string) *exec.Cmd {
	const mount = `mount -t tmpfs -o "size=$1,mode=0700" godwit "$2" && echo ` + diskMounted + ` && shift 2 && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", mount, "sh", strconv.FormatInt(bytes, 10), folder}, then...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// Mountable says why a history cannot have a disk of its own here, nil if it can. It tries
// once.
var Mountable = sync.OnceValue(func() error {
	folder, err := os.MkdirTemp("", "godwit-disk-")
	if err != nil {
		return fmt.Errorf("world: %w", err)
	}
	defer os.Remove(folder)
	if out, err := diskCommand(folder, fillChunk, "true").CombinedOutput(); err != nil {
		return fmt.Errorf("world: no file system can be mounted here: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
})

// planDisk says how the disk is made.
func (w *World) planDisk() error {
	if err := os.Mkdir(w.path(diskFolder), 0o755); err != nil {
		return fmt.Errorf("world: %w", err)
	}
	m := w.member(diskName)
	m.started = diskMounted
	m.command = func() *exec.Cmd {
		return diskCommand(w.path(diskFolder), w.config.DiskBytes, "sleep", "infinity")
	}
	return nil
}

// diskPath returns the path of something on the disk, for as long as the process lives that
// has it now.
func (w *World) diskPath(name string) (string, error) {
	m, err := w.named(diskName)
	if err != nil {
		return "", err
	}
	p, err := m.process()
	if err != nil {
		return "", err
	}
	return filepath.Join("/proc", strconv.Itoa(p.Pid()), "root", w.path(diskFolder), name), nil
}

// pebbleFolder returns where the history in files of the one node is.
func (w *World) pebbleFolder() string {
	if w.config.DiskBytes > 0 {
		if path, err := w.diskPath(pebbleFolder); err == nil { // else the disk was not started
			return path
		}
	}
	return w.path(pebbleFolder)
}

// Fill fills the disk of a node's history to the last byte with a file, and returns when the
// node has failed to write history for it.
func (w *World) Fill(ctx context.Context, node string) (evidence string, err error) {
	path, err := w.diskPath(diskFiller)
	if err != nil {
		return "", err
	}
	before, err := w.counter(ctx, node, historyRetries)
	if err != nil {
		return "", err
	}
	var failed float64
	err = w.until(ctx, node+" goes on writing history", func() (bool, error) {
		// Every time: what is written elsewhere may have made room.
		if err := fill(path); err != nil {
			return false, err
		}
		now, err := w.counter(ctx, node, historyRetries)
		failed = now - before
		return failed > 0, err
	})
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("world: %w", err)
	}
	return fmt.Sprintf("%s: the disk takes no more after a file of %d MiB, and history could not be written %.0f times", node, info.Size()>>20, failed), nil
}

// fill writes to a file until its disk takes nothing more.
func fill(path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("world: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	chunk := make([]byte, fillChunk)
	for {
		// A write that ends early has filled what there was; the next finds nothing.
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return fmt.Errorf("world: %w", err)
		}
	}
}

// Empty removes what fills the disk of history.
func (w *World) Empty() error {
	path, err := w.diskPath(diskFiller)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("world: %w", err)
	}
	return nil
}

// Written returns when a node writes history.
func (w *World) Written(ctx context.Context, node string) (evidence string, err error) {
	before := -1.0
	var written float64
	err = w.until(ctx, node+" does not write history", func() (bool, error) {
		now, err := w.counter(ctx, node, historyBatches)
		if err == nil && (before < 0 || now < before) {
			before = now
		}
		written = now - before
		return written > 0, err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s writes history: %.0f batches", node, written), nil
}

// until looks until something is so. What fails is tried again, and told when ctx ends.
func (w *World) until(ctx context.Context, what string, cond func() (bool, error)) error {
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	for {
		ok, err := cond()
		if ok && err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("world: %s: %w", what, errors.Join(ctx.Err(), err))
		}
	}
}

// counter asks a node for a counter without labels.
func (w *World) counter(ctx context.Context, node, name string) (float64, error) {
	all, err := metrics.Fetch(ctx, w.admin[node])
	if err != nil {
		return 0, fmt.Errorf("world: %s: %w", node, err)
	}
	value, ok := all[name]
	if !ok {
		return 0, fmt.Errorf("world: %s has no metric %s", node, name)
	}
	return value, nil
}
