package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/godwit-im/godwit/backplane"
)

const (
	// MaxToken is the longest token that is looked at, in bytes. Identity providers
	// stay below 2 KiB; the request that carries it is bounded at 8 KiB.
	MaxToken = 4 << 10

	// cacheEntries bounds the tokens that are remembered as verified. An entry
	// takes at most some 300 bytes, so the cache stays below 20 MB.
	cacheEntries = 65_536
)

// latest bounds "exp": beyond it times no longer fit the formats of logs, and
// such a token is a mistake.
var latest = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

// Options says which tokens a Verifier accepts.
type Options struct {
	Algorithm Algorithm
	// Key is the contents of the key file: the raw secret for HS256 (32 bytes or
	// more), else a public key in PEM.
	Key []byte
	// Issuer and Audience, unless empty, must be the "iss" and among the "aud" of
	// every token.
	Issuer, Audience string
}

// Claims is what a good token says.
type Claims struct {
	// User is the "sub" of the token, a user id within the limits of package
	// backplane.
	User string
	// Expires is its "exp"; from then on the token is refused.
	Expires time.Time
}

// Verifier verifies tokens. Any goroutine may use it.
type Verifier struct {
	// Static after construction.
	method  jwt.SigningMethod
	key     any
	options []jwt.ParserOption

	// cache holds the claims of tokens that were verified, by the tokens' SHA-256;
	// nil if verifying is fast anyway. It is safe for concurrent use.
	cache *lru.Cache[[sha256.Size]byte, Claims]
}

// NewVerifier returns a Verifier, or an error that says what is wrong with the key.
func NewVerifier(o Options) (*Verifier, error) {
	key, err := parseKey(o.Algorithm, o.Key)
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		method:  jwt.GetSigningMethod(string(o.Algorithm)),
		key:     key,
		options: []jwt.ParserOption{jwt.WithExpirationRequired()},
	}
	if o.Issuer != "" {
		v.options = append(v.options, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		v.options = append(v.options, jwt.WithAudience(o.Audience))
	}
	if !v.Fast() {
		if v.cache, err = lru.New[[sha256.Size]byte, Claims](cacheEntries); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
	}
	return v, nil
}

// Fast reports whether Verify is cheap enough for an event loop.
func (v *Verifier) Fast() bool { return v.method == jwt.SigningMethodHS256 }

// Cached returns the claims of a token that Verify has accepted before and that
// has not expired at now. It is cheap, and finds nothing while Fast is true.
func (v *Verifier) Cached(token string, now time.Time) (Claims, bool) {
	if v.cache == nil || token == "" || len(token) > MaxToken {
		return Claims{}, false
	}
	return v.lookup(sha256.Sum256([]byte(token)), now)
}

func (v *Verifier) lookup(key [sha256.Size]byte, now time.Time) (Claims, bool) {
	c, ok := v.cache.Get(key)
	if ok && !now.Before(c.Expires) {
		v.cache.Remove(key)
		return Claims{}, false
	}
	return c, ok
}

// Verify returns the claims of a token that is good at now. Its error is an
// *Error. Unless Fast is true it may take a hundred microseconds, and must not
// be called on an event loop.
//
// There is no leeway: issuer and node are expected to keep time, and a token
// that is to be used at once should not carry an "nbf".
func (v *Verifier) Verify(token string, now time.Time) (Claims, error) {
	switch {
	case token == "":
		return Claims{}, refuse(CodeMissing, "a token is needed")
	case len(token) > MaxToken:
		return Claims{}, refuse(CodeMalformed, fmt.Sprintf("the token is longer than %d bytes", MaxToken))
	case v.cache == nil:
		return v.verify(token, now)
	}
	key := sha256.Sum256([]byte(token))
	if c, ok := v.lookup(key, now); ok {
		return c, nil
	}
	c, err := v.verify(token, now)
	if err == nil {
		v.cache.Add(key, c)
	}
	return c, err
}

func (v *Verifier) verify(token string, now time.Time) (Claims, error) {
	parser := jwt.NewParser(append(v.options[:len(v.options):len(v.options)],
		jwt.WithTimeFunc(func() time.Time { return now }))...)
	var c tokenClaims
	if _, err := parser.ParseWithClaims(token, &c, v.pinned); err != nil {
		return Claims{}, explain(err)
	}
	if err := backplane.ValidUser([]byte(c.Subject)); err != nil {
		return Claims{}, refuse(CodeClaims, `"sub" is no user id: `+err.Error())
	}
	if !c.Expires.Before(latest) {
		return Claims{}, refuse(CodeClaims, `"exp" is beyond the year 9999`)
	}
	return Claims{User: c.Subject, Expires: c.Expires.Time}, nil
}

// pinned gives the key to tokens of the node's algorithm only.
func (v *Verifier) pinned(t *jwt.Token) (any, error) {
	if t.Method != v.method {
		return nil, refuse(CodeAlgorithm, fmt.Sprintf("the token is signed with %s: this node takes %s", t.Method.Alg(), v.method.Alg()))
	}
	if _, critical := t.Header["crit"]; critical {
		// RFC 7515 section 4.1.11: who does not understand an extension that is marked
		// critical must refuse the token. We know none.
		return nil, refuse(CodeMalformed, `the token demands an extension ("crit") that is not known here`)
	}
	return v.key, nil
}

// explain turns an error of the parser into ours.
func explain(err error) error {
	var refused *Error
	switch {
	case errors.As(err, &refused): // by pinned
		return refused
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse(CodeMalformed, "the token is not a JSON Web Token")
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return refuse(CodeAlgorithm, "the token is signed with an algorithm that is not known here")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refuse(CodeSignature, "the token's signature does not fit the key of this node")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuse(CodeClaims, `the token lacks a claim that is needed: "exp", or the issuer or audience of this node`)
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return refuse(CodeClaims, `"iss" is not the issuer that this node trusts`)
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refuse(CodeClaims, `"aud" does not name this service`)
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse(CodeExpired, "the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse(CodeClaims, `the token is not valid yet ("nbf")`)
	}
	return refuse(CodeMalformed, "the token cannot be read")
}
