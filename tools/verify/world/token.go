package world

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Key is a secret for HS256, by which an issuer of the operator would sign tokens.
type Key []byte

// newKey makes a key, and the file from which nodes read it.
func newKey(file string) (Key, error) {
	k := Key(rand.Text() + rand.Text())
	if err := os.WriteFile(file, k, 0o600); err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	return k, nil
}

// Signer makes tokens with a Key.
type Signer struct {
	Key Key
	// Issuer and Audience are what tokens say of themselves; "" for nothing.
	Issuer, Audience string
}

// Token signs a JSON Web Token with HS256 (RFC 7515, RFC 7519) for a user that is good for
// some time. Any goroutine may call it.
func (s Signer) Token(user string, ttl time.Duration) string {
	claims, err := json.Marshal(struct {
		Subject  string `json:"sub"`
		Expires  int64  `json:"exp"`
		Issuer   string `json:"iss,omitempty"`
		Audience string `json:"aud,omitempty"`
	}{user, time.Now().Add(ttl).Unix(), s.Issuer, s.Audience})
	if err != nil {
		panic(err) // strings and a number
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, s.Key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
