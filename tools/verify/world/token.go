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

// Key signs tokens as an issuer of the operator would. It is a secret for HS256.
type Key []byte

// newKey makes a key, and the file from which nodes read it.
func newKey(file string) (Key, error) {
	k := Key(rand.Text() + rand.Text())
	if err := os.WriteFile(file, k, 0o600); err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	return k, nil
}

// Token signs a JSON Web Token with HS256 (RFC 7515, RFC 7519) for a user that is good for
// some time. Any goroutine may call it.
func (k Key) Token(user string, ttl time.Duration) string {
	claims, err := json.Marshal(map[string]any{"sub": user, "exp": time.Now().Add(ttl).Unix()})
	if err != nil {
		panic(err) // a string and a number
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
