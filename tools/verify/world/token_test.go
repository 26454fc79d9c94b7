package world

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestToken has tokens verified by an implementation that is not our own.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	k, err := newKey(file)
	if err != nil {
		t.Fatal(err)
	}
	read, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	signer := Signer{Key: k, Issuer: "chat.example.org", Audience: "godwit"}
	verify := func(token string) (string, error) {
		claims := new(jwt.RegisteredClaims)
		_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return read, nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithIssuer(signer.Issuer), jwt.WithAudience(signer.Audience))
		return claims.Subject, err
	}
	for _, user := range []string{"alice", `"ünï\` + "\u2028"} {
		if got, err := verify(signer.Token(user, time.Minute)); err != nil || got != user {
			t.Errorf("a token for %q is for %q: %v", user, got, err)
		}
	}
	if got, err := verify(Signer{Key: k}.Token("alice", time.Minute)); err == nil {
		t.Errorf("a token for %q has an issuer that nobody named", got)
	}
	if _, err := verify(signer.Token("alice", -time.Minute)); err == nil {
		t.Error("a token is good that has expired")
	}
	if _, err := newKey(filepath.Join(file, "below a file")); err == nil {
		t.Error("a key was written where nothing can be")
	}
}
