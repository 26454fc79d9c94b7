package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/backplane"
)

// devKeyFile is the name of the development key in the data folder.
const devKeyFile = "dev.key"

// DevKey signs tokens for development: HS256 with a secret in the data folder,
// so that the node and the command that signs find the same one. Any goroutine
// may use it.
type DevKey struct {
	file   string
	secret []byte
}

// OpenDevKey returns the development key of the data folder dir. If there is none
// yet, it makes one of 32 random bytes, and the folder too. Of several processes
// that do so at once, all get the same key.
//
// A key that others than its owner can read is refused.
func OpenDevKey(dir string) (*DevKey, error) {
	file := filepath.Join(dir, devKeyFile)
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		if err := makeDevKey(dir, file); err != nil {
			return nil, fmt.Errorf("auth: the development key cannot be made: %w", err)
		}
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("auth: the development key cannot be read: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("auth: %s has mode %#o, so others can read it: make a new key (remove the file), or set its mode to 0600 if nobody has", file, info.Mode().Perm())
	}
	secret, err := ReadKey(file)
	if err != nil {
		return nil, err
	}
	if _, err := parseSecret(secret); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &DevKey{file, secret}, nil
}

// makeDevKey puts a new key at file. It writes elsewhere and links, so that file
// is never there half written, and never replaced once it is there.
func makeDevKey(dir, file string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, devKeyFile+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	var secret [minSecret]byte
	rand.Read(secret[:]) // never fails
	_, err = tmp.Write(secret[:])
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Link(tmp.Name(), file); errors.Is(err, fs.ErrExist) {
		return nil // another process was first: its key counts
	}
	return err
}

// File returns the path of the key, for Token.KeyFile of a node's settings.
func (k *DevKey) File() string { return k.file }

// Sign returns a token for user that is good from now until ttl later, whole
// seconds of it.
func (k *DevKey) Sign(user string, ttl time.Duration, now time.Time) (string, error) {
	if err := backplane.ValidUser([]byte(user)); err != nil {
		return "", fmt.Errorf("auth: no token for %q: %w", user, err)
	}
	if ttl < time.Second {
		return "", fmt.Errorf("auth: a token cannot live %v: it needs a second or more", ttl)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject:   user,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	}).SignedString(k.secret)
	if err != nil {
		return "", fmt.Errorf("auth: the token cannot be signed: %w", err)
	}
	return token, nil
}
