package auth_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/auth"
)

// now is the time of all tests that need one.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// claims returns good claims for alice with changes.
func claims(changes jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{"sub": "alice", "exp": now.Add(time.Hour).Unix()}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func TestEveryAlgorithm(t *testing.T) {
	for _, s := range signers(t) {
		t.Run(string(s.alg), func(t *testing.T) {
			v := s.verifier(t)
			token := s.sign(t, claims(nil))
			for _, again := range []string{"first", "second"} { // the second may come from the cache
				c, err := v.Verify(token, now)
				if err != nil {
					t.Fatalf("%s: %v", again, err)
				}
				if c.User != "alice" || !c.Expires.Equal(now.Add(time.Hour)) {
					t.Errorf("%s: claims are %+v", again, c)
				}
			}
			if v.Fast() != (s.alg == auth.HS256) {
				t.Errorf("fast is %v", v.Fast())
			}
			for _, other := range signers(t) {
				if _, err := v.Verify(other.sign(t, claims(nil)), now); s.alg != other.alg {
					wantCode(t, "signed with "+string(other.alg), err, auth.CodeAlgorithm)
				} else { // the same algorithm, another key
					wantCode(t, "signed with another key", err, auth.CodeSignature)
				}
			}
		})
	}
}

func wantCode(t *testing.T, what string, err error, code backplane.Code) {
	t.Helper()
	var typed *auth.Error
	if !errors.As(err, &typed) {
		t.Errorf("%s: the error is %v (%T), want an *Error with %s", what, err, err, code)
	} else if typed.Code != code {
		t.Errorf("%s: the error is %v, want %s", what, err, code)
	} else if typed.Detail == "" {
		t.Errorf("%s: the error says nothing but %s", what, code)
	}
}

func TestBadTokens(t *testing.T) {
	s := signers(t)[0]
	v := s.verifier(t, func(o *auth.Options) { o.Issuer, o.Audience = "login", "chat" })
	complete := func(changes jwt.MapClaims) jwt.MapClaims {
		all := jwt.MapClaims{"iss": "login", "aud": "chat"}
		maps.Copy(all, changes)
		return claims(all)
	}
	good := s.sign(t, complete(nil))
	if _, err := v.Verify(good, now); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	parts := strings.Split(good, ".")
	segment := base64.RawURLEncoding.EncodeToString
	raw := func(header, payload string) string { // signed well over any bytes
		text := segment([]byte(header)) + "." + segment([]byte(payload))
		sig, err := jwt.SigningMethodHS256.Sign(text, s.key)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + segment(sig)
	}
	const hs256 = `{"alg":"HS256","typ":"JWT"}`
	exp := `"exp":4102444800,"iss":"login","aud":"chat"`

	for _, test := range []struct {
		name  string
		token string
		want  backplane.Code
	}{
		{"none at all", "", auth.CodeMissing},
		{"too long", strings.Repeat("a", auth.MaxToken+1), auth.CodeMalformed},
		{"one part", "abc", auth.CodeMalformed},
		{"two parts", "abc.def", auth.CodeMalformed},
		{"four parts", good + ".x", auth.CodeMalformed},
		{"not base64", "!." + parts[1] + "." + parts[2], auth.CodeMalformed},
		{"padded", good + "=", auth.CodeMalformed},
		{"header not JSON", segment([]byte("{")) + "." + parts[1] + "." + parts[2], auth.CodeMalformed},
		{"header is null", segment([]byte("null")) + "." + parts[1] + "." + parts[2], auth.CodeAlgorithm},
		{"no algorithm", raw(`{}`, `{"sub":"alice",`+exp+`}`), auth.CodeAlgorithm},
		{"unknown algorithm", raw(`{"alg":"XX1"}`, `{"sub":"alice",`+exp+`}`), auth.CodeAlgorithm},
		{"algorithm none", segment([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", auth.CodeAlgorithm},
		{"algorithm in lower case", raw(`{"alg":"hs256"}`, `{"sub":"alice",`+exp+`}`), auth.CodeAlgorithm},
		{"critical extension", raw(`{"alg":"HS256","crit":["b64"],"b64":false}`, `{"sub":"alice",`+exp+`}`), auth.CodeMalformed},
		{"no signature", parts[0] + "." + parts[1] + ".", auth.CodeSignature},
		{"signature cut", good[:len(good)-4], auth.CodeSignature},
		{"other claims, same signature", parts[0] + "." + segment([]byte(`{"sub":"mallory",`+exp+`}`)) + "." + parts[2], auth.CodeSignature},
		{"expired", s.sign(t, complete(jwt.MapClaims{"exp": now.Add(-time.Second).Unix()})), auth.CodeExpired},
		{"expiring now", s.sign(t, complete(jwt.MapClaims{"exp": now.Unix()})), auth.CodeExpired},
		{"no expiry", s.sign(t, complete(jwt.MapClaims{"exp": nil})), auth.CodeClaims},
		{"expiry is text", s.sign(t, complete(jwt.MapClaims{"exp": "tomorrow"})), auth.CodeMalformed},
		{"expiry beyond all formats", raw(hs256, `{"sub":"alice","exp":253402300800,"iss":"login","aud":"chat"}`), auth.CodeClaims},
		{"expiry overflows", raw(hs256, `{"sub":"alice","exp":1e300,"iss":"login","aud":"chat"}`), auth.CodeExpired},
		{"not yet", s.sign(t, complete(jwt.MapClaims{"nbf": now.Add(time.Second).Unix()})), auth.CodeClaims},
		{"no user", s.sign(t, complete(jwt.MapClaims{"sub": nil})), auth.CodeClaims},
		{"empty user", s.sign(t, complete(jwt.MapClaims{"sub": ""})), auth.CodeClaims},
		{"long user", s.sign(t, complete(jwt.MapClaims{"sub": strings.Repeat("u", 129)})), auth.CodeClaims},
		{"user is a number", s.sign(t, complete(jwt.MapClaims{"sub": 7})), auth.CodeMalformed},
		{"user not UTF-8", raw(hs256, "{\"sub\":\"a\xff\","+exp+"}"), auth.CodeMalformed},
		{"user with half a surrogate", raw(hs256, `{"sub":"a\ud800",`+exp+`}`), auth.CodeMalformed},
		{"user twice", raw(hs256, `{"sub":"alice","sub":"bob",`+exp+`}`), auth.CodeMalformed},
		{"user in capitals", raw(hs256, `{"SUB":"alice",`+exp+`}`), auth.CodeClaims},
		{"claims are null", raw(hs256, `null`), auth.CodeClaims},
		{"claims are a list", raw(hs256, `[]`), auth.CodeMalformed},
		{"claims are cut", raw(hs256, `{"sub":`), auth.CodeMalformed},
		{"other issuer", s.sign(t, complete(jwt.MapClaims{"iss": "evil"})), auth.CodeClaims},
		{"no issuer", s.sign(t, complete(jwt.MapClaims{"iss": nil})), auth.CodeClaims},
		{"other audience", s.sign(t, complete(jwt.MapClaims{"aud": "mail"})), auth.CodeClaims},
		{"no audience", s.sign(t, complete(jwt.MapClaims{"aud": nil})), auth.CodeClaims},
	} {
		_, err := v.Verify(test.token, now)
		wantCode(t, test.name, err, test.want)
		if _, ok := v.Cached(test.token, now); ok {
			t.Errorf("%s: the token is cached", test.name)
		}
	}
}

func TestGoodClaims(t *testing.T) {
	s := signers(t)[0]
	v := s.verifier(t, func(o *auth.Options) { o.Audience = "chat" })
	for name, c := range map[string]jwt.MapClaims{
		"audience among several": claims(jwt.MapClaims{"aud": []string{"mail", "chat"}}),
		"valid from now":         claims(jwt.MapClaims{"aud": "chat", "nbf": now.Unix()}),
		"longest user":           claims(jwt.MapClaims{"aud": "chat", "sub": strings.Repeat("u", 128)}),
		"user beyond ASCII":      claims(jwt.MapClaims{"aud": "chat", "sub": "Zoë 🐦"}),
		"claims of others":       claims(jwt.MapClaims{"aud": "chat", "roles": []string{"admin"}, "iss": "anyone", "jti": 7, "iat": "noon"}),
		"expiry with a fraction": claims(jwt.MapClaims{"aud": "chat", "exp": float64(now.Unix()) + 10.5}),
	} {
		got, err := v.Verify(s.sign(t, c), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.User != c["sub"] {
			t.Errorf("%s: user is %q", name, got.User)
		}
	}
}

// A public key is public: it must not serve as an HMAC secret, neither by the
// token's choice nor by a slip in the settings.
func TestAlgorithmConfusion(t *testing.T) {
	for _, s := range signers(t) {
		if s.alg == auth.HS256 {
			continue
		}
		forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil)).SignedString(s.public)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.verifier(t).Verify(forged, now)
		wantCode(t, "HS256 with the public key of "+string(s.alg), err, auth.CodeAlgorithm)
		if _, err := auth.NewVerifier(auth.Options{Algorithm: auth.HS256, Key: s.public}); err == nil {
			t.Errorf("the public key of %s was taken for an HS256 secret", s.alg)
		}
	}
}

func TestCacheRespectsExpiry(t *testing.T) {
	for _, s := range signers(t) {
		if s.alg != auth.EdDSA {
			continue
		}
		v := s.verifier(t)
		token := s.sign(t, claims(nil))
		if _, ok := v.Cached(token, now); ok {
			t.Error("a token is cached before it was verified")
		}
		want, err := v.Verify(token, now)
		if err != nil {
			t.Fatal(err)
		}
		last := want.Expires.Add(-time.Nanosecond)
		if got, ok := v.Cached(token, last); !ok || got != want {
			t.Errorf("just before it expires the cache says %+v, %v", got, ok)
		}
		if _, ok := v.Cached(token, want.Expires); ok {
			t.Error("a token is cached that has expired")
		}
		_, err = v.Verify(token, want.Expires)
		wantCode(t, "after its time", err, auth.CodeExpired)
		if _, ok := v.Cached("", now); ok {
			t.Error("the empty token is cached")
		}
	}
}

func TestHS256IsNotCached(t *testing.T) {
	s := signers(t)[0]
	v := s.verifier(t)
	token := s.sign(t, claims(nil))
	if _, err := v.Verify(token, now); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Cached(token, now); ok {
		t.Error("a token of a fast algorithm is cached")
	}
}

func FuzzVerify(f *testing.F) {
	all := signers(f)
	var verifiers []*auth.Verifier
	for _, s := range all {
		verifiers = append(verifiers, s.verifier(f))
		f.Add(s.sign(f, claims(nil)))
	}
	for _, token := range []string{"", ".", "..", "e30.e30.e30", "e30.bnVsbA.", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		for _, v := range verifiers {
			c, err := v.Verify(token, now)
			var typed *auth.Error
			if err != nil && !errors.As(err, &typed) {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			if err == nil && (c.User == "" || !now.Before(c.Expires)) {
				t.Fatalf("accepted with %+v", c)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, s := range signers(b) {
		// A verifier remembers tokens, so it is replaced when all have been shown.
		v := s.verifier(b)
		tokens := make([]string, 0, 1024)
		for i := range cap(tokens) {
			tokens = append(tokens, s.sign(b, claims(jwt.MapClaims{"jti": i})))
		}
		b.Run(string(s.alg), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%len(tokens) == 0 {
					v = s.verifier(b)
				}
				if _, err := v.Verify(tokens[i%len(tokens)], now); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(s.alg)+"/cached", func(b *testing.B) {
			if v.Fast() {
				b.Skip("not cached")
			}
			if _, err := v.Verify(tokens[0], now); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := v.Cached(tokens[0], now); !ok {
					b.Fatal("not cached")
				}
			}
		})
	}
}
