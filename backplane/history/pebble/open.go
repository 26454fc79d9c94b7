package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/godwit-im/godwit/backplane/history"
)

// Options say what a store belongs to, and what it may use.
type Options struct {
	// Namespace and Cluster name the topics whose messages the store keeps, by godwit's
	// namespace and by the id that Kafka gave its cluster. A store of others is not opened.
	// One that was opened without a cluster so far is given this one; without one, the store
	// of any is opened.
	Namespace, Cluster string
	// CacheBytes is the size of the cache of blocks; 0 is DefaultCacheBytes.
	CacheBytes int64
	// ReserveBytes is how much of the disk a Write leaves free; 0 is
	// DefaultReserveBytes.
	ReserveBytes uint64
	Log          *slog.Logger
}

// ErrLocked is the error of a store that is in use.
var ErrLocked = errors.New("pebble: another process, or another part of this one, has the history store open; " +
	"only one may have it")

// Open opens the store in a folder, which it makes if there is none. Its error is
// history.ErrCorrupt for files that are damaged, history.ErrForeign for those of another
// version, namespace or cluster, and ErrLocked for those that are in use.
func Open(dir string, o Options) (*Store, error) { return open(dir, o, vfs.Default) }

// open opens a store on a disk.
func open(dir string, o Options, on vfs.FS) (*Store, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = DefaultReserveBytes
	}
	s := &Store{dir: dir, reserve: o.ReserveBytes, log: o.Log, fs: on, health: newHealth()}
	s.partitions = make(map[place]*partition)
	if err := on.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pebble: making the folder of the history store: %w", err)
	}
	var err error
	if s.lock, err = lockFolder(dir, on); err != nil {
		return nil, err
	}
	trouble, _ := s.health.usable()
	finished := make(chan error, 1)
	go func() { finished <- s.start(o) }()
	select {
	case err = <-finished:
	case <-trouble:
		go s.abandon(finished)
		if err = s.health.readable(); err != nil { // Pebble gave up about what it found in a file
			return nil, corrupt(dir, err)
		}
		return nil, s.health.reason()
	}
	if err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

// abandon closes what was not opened in time, when the disk's trouble ends.
func (s *Store) abandon(finished <-chan error) {
	err := <-finished
	if err == nil {
		err = s.db.Close()
	}
	if err = errors.Join(err, s.lock.Close()); err != nil {
		s.log.Warn("the history store was not opened, since the disk was in trouble", "err", err)
	}
}

// used reports whether a lock was refused because somebody has it: another process, or
// this one, for which Pebble has an error without a type.
func used(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return !ok || errno == syscall.EAGAIN
}

// start opens the database and learns what is in it.
func (s *Store) start(o Options) (err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble, about what it found in a file
			err = corrupt(s.dir, fmt.Errorf("panic: %v", r))
		}
	}()
	exists, err := s.inspect()
	if err != nil {
		return err
	}
	if s.db, err = pebble.Open(s.dir, s.options(o)); err != nil {
		if exists {
			return s.whyNot(err)
		}
		return fmt.Errorf("pebble: making the history store: %w", err)
	}
	if err = s.identify(o); err == nil {
		err = s.load()
	}
	if err != nil {
		return errors.Join(s.explain(err), s.db.Close())
	}
	return nil
}

// inspect reports whether there is a database. Pebble begins a new one where the file
// that names the current state is missing; if others are there, they would be lost.
func (s *Store) inspect() (exists bool, err error) {
	desc, err := pebble.Peek(s.dir, s.fs)
	if err != nil {
		return false, s.whyNot(err)
	}
	if desc.Exists {
		if err := checkSeal(s.fs, s.dir, desc.ManifestFilename); err != nil {
			return true, s.whyNot(err)
		}
		return true, nil
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if ext := filepath.Ext(name); ext == ".sst" || ext == ".log" {
			return false, corrupt(s.dir, errors.New("the file that names the current state is missing"))
		}
	}
	return false, nil
}

// whyNot tells why Pebble does not open a database that exists. Few of its errors have
// a type: those of the operating system pass (but a file that is missing should be
// there), two name what somebody else wrote, and all others are about what is in files.
func (s *Store) whyNot(err error) error {
	text := err.Error()
	if strings.Contains(text, "comparer name") || strings.Contains(text, "format major version") {
		return fmt.Errorf("%w: %s: %w", history.ErrForeign, s.dir, err)
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pebble: opening the history store: %w", err)
	}
	return corrupt(s.dir, err)
}

// options returns how Pebble is to work.
func (s *Store) options(o Options) *pebble.Options {
	p := &pebble.Options{
		CacheSize:                   o.CacheBytes,
		Comparer:                    comparer,
		FS:                          &disk{s.fs, s.health},
		Lock:                        s.lock,
		Logger:                      logger{o.Log, s.health},
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		MemTableSize:                memtableBytes,
		MemTableStopWritesThreshold: memtables,
		MaxOpenFiles:                openFiles,
		MaxManifestFileSize:         manifestBytes,
		FlushDelayDeleteRange:       reclaimDelay,
		EventListener: &pebble.EventListener{
			DataCorruption: func(info pebble.DataCorruptionInfo) { s.damaged(info.Details) },
			BackgroundError: func(err error) {
				if pebble.IsCorruptionError(err) {
					s.damaged(err)
				}
			},
		},
	}
	// Without this, Pebble takes offsets for versions of one key and puts the values of all
	// but the first into blocks of their own, which nearly all reads would have to read, too.
	p.Experimental.SpanPolicyFunc = func([]byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{DisableValueSeparationBySuffix: true}, nil, nil
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBits)
	}
	return p
}

// damaged takes note of damage that Pebble found. From then on nothing is written: what
// cannot be compacted would grow until every Write hung.
func (s *Store) damaged(err error) {
	if err = corrupt(s.dir, err); s.health.damage(err) {
		s.log.Error("the history store is damaged", "err", err)
	}
}

// identify checks that the store is ours, or makes it so if it is nobody's.
func (s *Store) identify(o Options) error {
	want := meta{o.Namespace, o.Cluster}
	value, closer, err := s.db.Get(metaKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Set(metaKey, want.encode(), pebble.Sync)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	version, err := parseVersion(value)
	if err == nil && version != formatVersion {
		return fmt.Errorf("%w: %s has format %d, and this version of godwit knows format %d",
			history.ErrForeign, s.dir, version, formatVersion)
	}
	var got meta
	if err == nil {
		got, err = parseMeta(value)
	}
	switch {
	case err != nil:
		return err
	case got.namespace != want.namespace || got.cluster != want.cluster && got.cluster != "" && want.cluster != "":
		return fmt.Errorf("%w: %s keeps the timelines of namespace %q of the Kafka cluster %q, and not those of %q of %q; name another folder, or give these up with `godwit history rebuild`",
			history.ErrForeign, s.dir, got.namespace, got.cluster, want.namespace, want.cluster)
	case got.cluster == "" && want.cluster != "":
		return s.db.Set(metaKey, want.encode(), pebble.Sync)
	}
	return nil
}

// load learns how far each partition has come.
func (s *Store) load() (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindApplied}, UpperBound: []byte{kindApplied + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		at, err := parsePlace(it.Key())
		if err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		a, d, err := parseApplied(value)
		if err != nil {
			return err
		}
		p := newPartition(a, d)
		row, closer, err := s.db.Get(dayKey(at, d))
		switch {
		case err == nil:
			p.offsets, err = parseRange(row)
			p.written = true
			if err = errors.Join(err, closer.Close()); err != nil {
				return err
			}
		case !errors.Is(err, pebble.ErrNotFound):
			return err
		}
		s.partitions[at] = p
	}
	return it.Error()
}
