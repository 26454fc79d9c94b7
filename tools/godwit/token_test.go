package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/server/auth"
)

func TestToken(t *testing.T) {
	dir := t.TempDir()
	before := time.Now()
	out := godwit(t, dir, nil, "token", "--user", "alice", "--ttl", "2h").succeeds(t)
	token, ok := strings.CutSuffix(out, "\n")
	if !ok || strings.ContainsAny(token, " \n") {
		t.Fatalf("printed %q, want a token and nothing else", out)
	}

	// A node reads the key from the same place.
	secret, err := auth.ReadKey(filepath.Join(dir, "godwit-data", "dev.key"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.NewVerifier(auth.Options{Algorithm: auth.HS256, Key: secret})
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Verify(token, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "alice" {
		t.Errorf("the token is for %q", c.User)
	}
	// Tokens count whole seconds.
	if life := c.Expires.Sub(before); life < 2*time.Hour-time.Second || life > 2*time.Hour+time.Minute {
		t.Errorf("the token lives %v", life)
	}

	// The next one is of the same key, wherever the folder is named from.
	out = godwit(t, t.TempDir(), nil, "token", "--user", "bob", "--data", filepath.Join(dir, "godwit-data")).succeeds(t)
	if _, err := v.Verify(strings.TrimSpace(out), time.Now()); err != nil {
		t.Error(err)
	}
}

func TestTokenWithoutAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	r := godwit(t, t.TempDir(), nil, "token", "--user", "alice", "--data", filepath.Join(file, "data"))
	if r.status != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, "godwit: auth: the development key cannot be ") {
		t.Errorf("exit status %d, printed %q, standard error %q", r.status, r.stdout, r.stderr)
	}
	if _, err := os.Stat(filepath.Join(file, "data")); err == nil {
		t.Error("the folder was made")
	}
}
