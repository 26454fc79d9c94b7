package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/server/auth"
)

// tokenTTL is the life of tokens that are not to expire in a test.
const tokenTTL = time.Hour

// key signs tokens, and has the file with which a node verifies them.
type key struct {
	algorithm auth.Algorithm
	file      string
	private   any // what the algorithm signs with
}

// newKey makes a key.
func newKey(t testing.TB, a auth.Algorithm) *key {
	t.Helper()
	k := &key{algorithm: a, file: filepath.Join(t.TempDir(), "token.key")}
	var public any
	var err error
	switch a {
	case auth.HS256:
		k.private = []byte(rand.Text() + rand.Text())
	case auth.RS256:
		var p *rsa.PrivateKey
		p, err = rsa.GenerateKey(rand.Reader, 2048)
		k.private, public = p, &p.PublicKey
	case auth.ES256:
		var p *ecdsa.PrivateKey
		p, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		k.private, public = p, &p.PublicKey
	case auth.EdDSA:
		public, k.private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	content, symmetric := k.private.([]byte)
	if !symmetric {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		content = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	if err := os.WriteFile(k.file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// readKey returns the key of a file with an HS256 secret.
func readKey(t testing.TB, a auth.Algorithm, file string) *key {
	t.Helper()
	secret, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return &key{algorithm: a, file: file, private: secret}
}

// token signs a token for user that expires ttl from now.
func (k *key) token(t testing.TB, user string, ttl time.Duration) string {
	t.Helper()
	return k.sign(t, jwt.GetSigningMethod(string(k.algorithm)), jwt.RegisteredClaims{
		Subject: user, ExpiresAt: jwt.NewNumericDate(time.Now().Add(ttl)),
	})
}

// sign signs claims by any method.
func (k *key) sign(t testing.TB, method jwt.SigningMethod, claims jwt.Claims) string {
	t.Helper()
	private := k.private
	if method == jwt.SigningMethodNone {
		private = jwt.UnsafeAllowNoneSignatureType
	}
	token, err := jwt.NewWithClaims(method, claims).SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
