package auth_test

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
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/server/auth"
)

// signer is the other side: who signs tokens with a new key.
type signer struct {
	alg    auth.Algorithm
	key    any    // for signing
	public []byte // for the verifier: PEM, or the secret
}

// signers returns a signer for each algorithm, HS256 first.
func signers(t testing.TB) []signer {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	_, d, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	return []signer{
		{auth.HS256, secret, secret},
		{auth.RS256, r, publicPEM(t, &r.PublicKey)},
		{auth.ES256, e, publicPEM(t, &e.PublicKey)},
		{auth.EdDSA, d, publicPEM(t, d.Public())},
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func publicPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (s signer) verifier(t testing.TB, changes ...func(*auth.Options)) *auth.Verifier {
	t.Helper()
	o := auth.Options{Algorithm: s.alg, Key: s.public}
	for _, change := range changes {
		change(&o)
	}
	v, err := auth.NewVerifier(o)
	check(t, err)
	return v
}

func (s signer) sign(t testing.TB, c jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.GetSigningMethod(string(s.alg)), c).SignedString(s.key)
	check(t, err)
	return token
}

func TestBadKeys(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(p384)
	check(t, err)
	privatePEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	ed := signers(t)[3].public

	for _, test := range []struct {
		name string
		alg  auth.Algorithm
		key  []byte
		want string // a part of the message
	}{
		{"short secret", auth.HS256, make([]byte, 31), "the HS256 secret has 31 bytes: it needs 32 or more"},
		{"no secret", auth.HS256, nil, "the HS256 secret has 0 bytes"},
		{"PEM as a secret", auth.HS256, ed, "the key is PEM: HS256 takes a secret's raw bytes"},
		{"weak RSA", auth.RS256, publicPEM(t, &weak.PublicKey), "the RSA key has 1024 bits: RS256 needs 2048 or more"},
		{"EdDSA for RSA", auth.RS256, ed, "RS256 takes a public key in PEM, of the kind RSA"},
		{"P-384", auth.ES256, publicPEM(t, &p384.PublicKey), "the key is on the curve P-384: ES256 needs P-256"},
		{"EdDSA for ECDSA", auth.ES256, ed, "ES256 takes a public key in PEM, of the kind P-256"},
		{"ECDSA for EdDSA", auth.EdDSA, publicPEM(t, &p384.PublicKey), "EdDSA takes a public key in PEM, of the kind Ed25519"},
		{"private key", auth.EdDSA, privatePEM, "the key is a private key: EdDSA takes the public half"},
		{"not PEM", auth.EdDSA, []byte("hello"), "EdDSA takes a public key in PEM, of the kind Ed25519"},
		{"no algorithm", "", ed, `the algorithm "" is none of [HS256 RS256 ES256 EdDSA]`},
		{"algorithm none", "none", ed, `the algorithm "none" is none of`},
		{"another HMAC", "HS512", make([]byte, 64), `the algorithm "HS512" is none of`},
	} {
		_, err := auth.NewVerifier(auth.Options{Algorithm: test.alg, Key: test.key})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want %q in it", test.name, err, test.want)
		}
	}
}

func TestReadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := auth.ReadKey(path); err == nil {
		t.Error("a file that is not there was read")
	}
	check(t, os.WriteFile(path, []byte("a secret\n"), 0o600))
	b, err := auth.ReadKey(path)
	check(t, err)
	if string(b) != "a secret\n" {
		t.Errorf("read %q: every byte counts", b)
	}
	check(t, os.WriteFile(path, make([]byte, 65<<10), 0o600))
	if _, err := auth.ReadKey(path); err == nil {
		t.Error("a file that is too long was read")
	}
}
