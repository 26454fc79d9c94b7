package auth_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/server/auth"
)

func TestDevKeySignsWhatItsFileVerifies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data") // made on the way
	k, err := auth.OpenDevKey(dir)
	check(t, err)
	token, err := k.Sign("alice", time.Hour, now)
	check(t, err)

	secret, err := auth.ReadKey(k.File())
	check(t, err)
	v, err := auth.NewVerifier(auth.Options{Algorithm: auth.HS256, Key: secret})
	check(t, err)
	c, err := v.Verify(token, now)
	check(t, err)
	if c.User != "alice" || !c.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("claims are %+v", c)
	}
	_, err = v.Verify(token, now.Add(time.Hour))
	wantCode(t, "an hour later", err, auth.CodeExpired)

	info, err := os.Stat(k.File())
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v", info.Mode())
	}
}

// Node and command start at the same time on a new folder: one key must win, and
// no other file stay.
func TestDevKeyIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	tokens := make([]string, 16)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			k, err := auth.OpenDevKey(dir)
			if err != nil {
				t.Error(err)
				return
			}
			if tokens[i], err = k.Sign("alice", time.Hour, now); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, token := range tokens {
		if token != tokens[0] {
			t.Fatal("two keys were made")
		}
	}
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 1 {
		t.Errorf("the folder holds %v", entries)
	}
}

func TestDevKeyRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		key  string
		mode os.FileMode
		want string
	}{
		{"readable by others", strings.Repeat("k", 32), 0o644, "so others can read it"},
		{"short", "short", 0o600, "the HS256 secret has 5 bytes"},
	} {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, "dev.key"), []byte(test.key), test.mode))
		check(t, os.Chmod(filepath.Join(dir, "dev.key"), test.mode))
		if _, err := auth.OpenDevKey(dir); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want %q in it", test.name, err, test.want)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	if _, err := auth.OpenDevKey(file); err == nil {
		t.Error("a file was taken for the folder")
	}
}

func TestSignRefuses(t *testing.T) {
	k, err := auth.OpenDevKey(t.TempDir())
	check(t, err)
	for _, user := range []string{"", strings.Repeat("u", 129), "a\xff"} {
		if _, err := k.Sign(user, time.Hour, now); err == nil {
			t.Errorf("a token for %q was signed", user)
		}
	}
	if _, err := k.Sign("alice", time.Millisecond, now); err == nil {
		t.Error("a token for no time was signed")
	}
}
