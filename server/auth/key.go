package auth

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/golang-jwt/jwt/v5"
)

// Algorithm names how tokens are signed, as in RFC 7518 section 3.1 (and RFC
// 8037 for EdDSA).
type Algorithm string

// The algorithms that a node can be set to.
const (
	HS256 Algorithm = "HS256"
	RS256 Algorithm = "RS256"
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
)

// Algorithms returns all algorithms.
func Algorithms() []Algorithm { return []Algorithm{HS256, RS256, ES256, EdDSA} }

const (
	// minSecret is the least length of an HS256 secret in bytes: that of the hash,
	// as RFC 7518 section 3.2 demands.
	minSecret = 32

	// minModulus is the least size of an RSA key in bits, from RFC 7518 section 3.3.
	minModulus = 2048

	// maxKeyFile bounds what is read of a key file, in bytes. Real ones are below
	// 4 KiB.
	maxKeyFile = 64 << 10
)

// ReadKey returns the contents of a key file.
func ReadKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("auth: the token key cannot be read: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("auth: the token key cannot be read: %w", err)
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("auth: %s is longer than %d bytes: it is no token key", path, maxKeyFile)
	}
	return b, nil
}

// parseKey returns the key in the form that the algorithm's implementation takes.
func parseKey(alg Algorithm, key []byte) (any, error) {
	switch alg {
	case HS256:
		return parseSecret(key)
	case RS256:
		k, err := jwt.ParseRSAPublicKeyFromPEM(key)
		if err != nil {
			return nil, notPublic(alg, "RSA", key, err)
		}
		if k.N.BitLen() < minModulus {
			return nil, fmt.Errorf("auth: the RSA key has %d bits: %s needs %d or more", k.N.BitLen(), alg, minModulus)
		}
		return k, nil
	case ES256:
		k, err := jwt.ParseECPublicKeyFromPEM(key)
		if err != nil {
			return nil, notPublic(alg, "P-256", key, err)
		}
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("auth: the key is on the curve %s: %s needs P-256", k.Curve.Params().Name, alg)
		}
		return k, nil
	case EdDSA:
		k, err := jwt.ParseEdPublicKeyFromPEM(key)
		if err != nil {
			return nil, notPublic(alg, "Ed25519", key, err)
		}
		return k, nil
	}
	return nil, fmt.Errorf("auth: the algorithm %q is none of %v", alg, Algorithms())
}

// parseSecret checks an HS256 secret. All of its bytes count, a newline at the end
// too: signers take the file as it is, and so must the verifier.
func parseSecret(key []byte) (any, error) {
	if bytes.Contains(key, []byte("-----BEGIN ")) {
		// A public key as an HMAC secret would let everyone who knows it sign.
		return nil, errors.New("auth: the key is PEM: HS256 takes a secret's raw bytes, not a key pair's half")
	}
	if len(key) < minSecret {
		return nil, fmt.Errorf("auth: the HS256 secret has %d bytes: it needs %d or more", len(key), minSecret)
	}
	return key, nil
}

// notPublic explains why key was not taken, without showing any of it.
func notPublic(alg Algorithm, kind string, key []byte, err error) error {
	if bytes.Contains(key, []byte("PRIVATE KEY-----")) {
		return fmt.Errorf("auth: the key is a private key: %s takes the public half, and the private one stays with who signs", alg)
	}
	return fmt.Errorf("auth: %s takes a public key in PEM, of the kind %s: %w", alg, kind, err)
}
