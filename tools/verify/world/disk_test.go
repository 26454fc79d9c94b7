package world

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestDisk fills the disk of a history that is written all the while: once the node lives
// through it, and once it is killed and started again on a full disk.
func TestDisk(t *testing.T) {
	kafkatest.Need(t)
	if err := Mountable(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	folder := filepath.Join(t.TempDir(), "world")
	w, err := Start(ctx, Config{Binary: binary, Root: root, Folder: folder, Nodes: 1, Brokers: 1, Partitions: 4, Pebble: true, DiskBytes: MinDiskBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	store := w.pebbleFolder()
	var disk, here syscall.Statfs_t
	if err := errors.Join(syscall.Statfs(store, &disk), syscall.Statfs(filepath.Join(folder, diskFolder), &here)); err != nil {
		t.Fatal(err)
	}
	if size := disk.Blocks * uint64(disk.Bsize); size != MinDiskBytes || here.Blocks*uint64(here.Bsize) == size {
		t.Fatalf("the history is on a disk of %d bytes; for others it has %d", size, here.Blocks*uint64(here.Bsize))
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(folder)) {
		t.Fatalf("it is mounted for all (%v):\n%s", err, mounts)
	}

	stop := sendAll(t, w)
	defer stop()
	shown(t)(w.Written(ctx, "n1"))
	full := func() {
		t.Helper()
		shown(t)(w.Fill(ctx, "n1"))
		path, err := w.diskPath("more")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, fillChunk), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a full disk takes more: %v", err)
		}
		_ = os.Remove(path)
	}
	empty := func() {
		t.Helper()
		if err := w.Empty(); err != nil {
			t.Fatal(err)
		}
	}
	full()
	empty()
	shown(t)(w.Written(ctx, "n1"))
	full()
	shown(t)(w.Kill("n1"))
	var starting sync.WaitGroup
	starting.Go(func() { err = w.Start(ctx, "n1") })
	empty()
	if starting.Wait(); err != nil {
		t.Fatal(err)
	}
	shown(t)(w.Written(ctx, "n1"))
	full()
	if err := w.Heal(ctx); err != nil {
		t.Fatal(err)
	}
	shown(t)(w.Written(ctx, "n1"))

	pid := pidsOf(t, w)[diskName]
	w.Close()
	if err := gone(pid); err != nil {
		t.Errorf("%s: %v", diskName, err)
	}
	if _, err := os.Stat(store); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the disk is still there: %v", err)
	}
}

// TestDiskEnds: who has the disk open when its process ends can't read it by its path any
// more, and nothing is left of the mount.
func TestDiskEnds(t *testing.T) {
	if err := Mountable(); err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	w := &World{config: Config{Folder: folder, DiskBytes: fillChunk}, members: make(map[string]*member)}
	if err := errors.Join(os.Mkdir(w.path(logsFolder), 0o755), w.planDisk(), w.Start(t.Context(), diskName)); err != nil {
		t.Fatal(err)
	}
	path, err := w.diskPath(diskFiller)
	if err == nil {
		err = fill(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < fillChunk/2 || info.Size() > fillChunk {
		t.Errorf("what fills it: %v, %v", info, err)
	}
	if err := errors.Join(w.Empty(), w.Empty()); err != nil {
		t.Errorf("emptied twice: %v", err)
	}
	shown(t)(w.Kill(diskName))
	if err := fill(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("filled without a disk: %v", err)
	}
	if left, err := os.ReadDir(w.path(diskFolder)); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// sendAll stores messages of one user after the other, until stop is called.
func sendAll(t *testing.T, w *World) (stop func()) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.DisableIdempotentWrite()) // so that what waits for Kafka can be given up
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() {
		defer client.Close()
		for i := 0; ctx.Err() == nil; i++ {
			user := []byte("user" + strconv.Itoa(i%10))
			m := backplane.Message{From: user, To: [][]byte{user}, ID: strconv.AppendInt(nil, int64(i), 10), Body: make([]byte, 200)}
			m.MessageID = backplane.Identify(nil, &m)
			err := client.ProduceSync(ctx, &kgo.Record{
				Topic: topic, Partition: int32(backplane.PartitionOf(user, int32(w.config.Partitions))),
				Value:   backplane.AppendMessage(nil, &m),
				Headers: []kgo.RecordHeader{{Key: backplane.HeaderRecipients, Value: backplane.AppendRecipient(nil, user)}},
			}).FirstErr()
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	return func() {
		cancel()
		sending.Wait()
	}
}
