package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble's manifest lists the files that a database consists of. Where it is damaged or
// cut off, Pebble takes the rest for what a crash left unfinished, and deletes the
// files that only the rest tells of: their entries would be missing, below positions that
// a log file still tells. So the length and the checksum of what was synced of the
// manifest are kept beside it.
const (
	sealName       = "SEAL"
	manifestPrefix = "MANIFEST-"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal is what is known of a manifest.
type seal struct {
	name string
	size int64
	sum  uint32
}

func (s *seal) String() string { return fmt.Sprintf("%s %d %08x\n", s.name, s.size, s.sum) }

// manifest is a manifest that is written. Its Sync seals it.
type manifest struct {
	vfs.File
	disk *disk
	dir  string
	seal seal
}

func (m *manifest) Write(b []byte) (int, error) {
	m.seal.size += int64(len(b))
	m.seal.sum = crc32.Update(m.seal.sum, castagnoli, b) // before Write, which may change b
	return m.File.Write(b)
}

func (m *manifest) Sync() error {
	if err := m.File.Sync(); err != nil {
		return err
	}
	return m.disk.writeSeal(m.dir, &m.seal)
}

// writeSeal puts a new seal in the place of the old one.
func (d *disk) writeSeal(dir string, s *seal) error {
	path := d.PathJoin(dir, sealName)
	f, err := d.Create(path+".dbtmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = io.WriteString(f, s.String()); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return d.Rename(path+".dbtmp", path)
}

// errSeal is the error of a manifest that is not what it was.
var errSeal = errors.New("the list of the store's files is damaged")

// checkSeal compares the manifest of a database with its seal. A seal of another one says
// nothing: Pebble has begun a new one and was interrupted.
func checkSeal(on vfs.FS, dir, path string) error {
	text, err := readFile(on, on.PathJoin(dir, sealName), -1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s seal
	if _, err := fmt.Sscanf(string(text), "%s %d %x", &s.name, &s.size, &s.sum); err != nil || s.String() != string(text) {
		return fmt.Errorf("%w: its checksum cannot be read", errSeal)
	}
	if s.name != on.PathBase(path) {
		return nil
	}
	b, err := readFile(on, path, s.size)
	if err != nil {
		return err
	}
	if int64(len(b)) != s.size || crc32.Checksum(b, castagnoli) != s.sum {
		return fmt.Errorf("%w: %s", errSeal, s.name)
	}
	return nil
}

// readFile reads a file, or what of it lies before a size that is not negative.
func readFile(on vfs.FS, path string, size int64) ([]byte, error) {
	f, err := on.Open(path)
	if err != nil {
		return nil, err
	}
	var r io.Reader = f
	if size >= 0 {
		r = io.LimitReader(f, size)
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), errors.Join(err, f.Close())
}

// isManifest reports whether a file is to be sealed.
func isManifest(base string) bool { return strings.HasPrefix(base, manifestPrefix) }
