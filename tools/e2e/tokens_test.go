package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/codec"
	"github.com/godwit-im/godwit/codec/ws"
	"github.com/godwit-im/godwit/server/auth"
)

// TestTokenAlgorithms has many clients connect at once, some with tokens that are not
// good, to nodes of each algorithm. Only HS256 is verified on the event loop.
func TestTokenAlgorithms(t *testing.T) {
	const clients = 120
	for _, a := range auth.Algorithms() {
		t.Run(string(a), func(t *testing.T) {
			k, other := newKey(t, a), newKey(t, a)
			n := serve(t, kafkatest.Embedded(t, 8), k)
			badTokens := badTokens(t, k, other)
			type attempt struct {
				user, why string // why the token is bad, "" if it is good
				device    *device
				err       error
			}
			attempts := make([]attempt, clients)
			var wg sync.WaitGroup
			names := make([]string, 0, len(badTokens))
			for why := range badTokens {
				names = append(names, why)
			}
			for i := range attempts {
				a := &attempts[i]
				a.user = fmt.Sprint("user-", i)
				token := k.token(t, a.user, tokenTTL)
				if i%3 == 2 {
					a.why = names[i/3%len(names)]
					token = badTokens[a.why]
				}
				wg.Go(func() {
					a.device, a.err = tryConnect(t, n, n.url, a.user, token, options{device: "d", encoding: codec.Encoding(i % codec.Encodings)})
				})
			}
			wg.Wait()
			var good []*device
			for _, a := range attempts {
				status := (*ws.StatusError)(nil)
				switch {
				case a.why == "" && a.err != nil:
					t.Errorf("%s: %v", a.user, a.err)
				case a.why == "":
					good = append(good, a.device)
				case !errors.As(a.err, &status) || status.Status != http.StatusUnauthorized || status.Header("WWW-Authenticate") != "Bearer":
					t.Errorf("with a token that is bad (%s): %v", a.why, a.err)
				}
			}
			if len(good) == 0 {
				t.Fatal("nobody was let in")
			}
			for i, d := range good {
				d.store("m1", "hello", good[(i+1)%len(good)].user)
			}
			for _, d := range good {
				d.got(2) // its own, and that of the one before
			}
			m := n.conserved(t)
			if got := m.of(t, label("godwit_refusals_total", "reason", "token")); got != clients/3 {
				t.Errorf("%v requests were refused for their token, want %d", got, clients/3)
			}
			// A second time what was verified is remembered.
			for _, d := range good[:8] {
				connect(t, n, d.user, options{device: "second"}).ping()
			}
		})
	}
}

// badTokens returns tokens that a node with key k must refuse, by what is wrong.
func badTokens(t testing.TB, k, other *key) map[string]string {
	t.Helper()
	claims := jwt.RegisteredClaims{Subject: "mallory", ExpiresAt: jwt.NewNumericDate(time.Now().Add(tokenTTL))}
	symmetric := &key{algorithm: auth.HS256, private: []byte("a secret that the node does not know")}
	wrongMethod := jwt.SigningMethodHS256
	if k.algorithm == auth.HS256 {
		wrongMethod = jwt.SigningMethodHS512
		symmetric = k // the right secret does not help
	}
	good := k.token(t, "mallory", tokenTTL)
	return map[string]string{
		"missing":          "",
		"no token":         "abc",
		"another key":      other.token(t, "mallory", tokenTTL),
		"expired":          k.token(t, "mallory", -time.Second),
		"no signature":     k.sign(t, jwt.SigningMethodNone, claims),
		"cut off":          good[:len(good)-4],
		"other algorithm":  symmetric.sign(t, wrongMethod, claims),
		"no user":          k.sign(t, jwt.GetSigningMethod(string(k.algorithm)), jwt.RegisteredClaims{ExpiresAt: claims.ExpiresAt}),
		"without an end":   k.sign(t, jwt.GetSigningMethod(string(k.algorithm)), jwt.RegisteredClaims{Subject: "mallory"}),
		"not valid yet":    k.sign(t, jwt.GetSigningMethod(string(k.algorithm)), jwt.RegisteredClaims{Subject: "mallory", ExpiresAt: claims.ExpiresAt, NotBefore: jwt.NewNumericDate(time.Now().Add(tokenTTL / 2))}),
		"too long a user":  k.token(t, string(make([]byte, 200)), tokenTTL),
		"an empty subject": k.token(t, "", tokenTTL),
	}
}

// TestTokenExpires: a session ends with its token, unless it brings a new one.
func TestTokenExpires(t *testing.T) {
	for _, a := range []auth.Algorithm{auth.HS256, auth.ES256} {
		t.Run(string(a), func(t *testing.T) {
			k, other := newKey(t, a), newKey(t, a)
			n := serve(t, kafkatest.Embedded(t, 8), k)
			short := func(user string, e codec.Encoding) *device {
				d, err := tryConnect(t, n, n.url, user, k.token(t, user, 12*time.Second), options{device: "d", encoding: e})
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			refresh := func(d *device, token string) {
				if err := d.write(encode(d.encoding, &codec.ClientFrame{Type: codec.FrameRefresh, Token: []byte(token)})); err != nil {
					t.Fatal(err)
				}
			}
			careful := short("alice", codec.JSON)
			careless := short("bob", codec.JSON)
			cheats := map[string]*device{
				k.token(t, "alice", tokenTTL):    short("carol", codec.Proto),
				other.token(t, "dave", tokenTTL): short("dave", codec.JSON),
				"abc":                            short("eve", codec.Proto),
			}
			refresh(careful, k.token(t, "alice", tokenTTL))
			for token, d := range cheats {
				refresh(d, token)
				d.until("an error", func() bool { return len(d.errors) > 0 })
				if code := d.lastError(); code != codec.CodeUnauthorized {
					t.Errorf("%s was told %q", d.timeline.name, code)
				}
				d.ping() // it goes on with the token that it has
			}
			for _, d := range append([]*device{careless}, values(cheats)...) {
				if code := d.ended(); code != uint16(codec.CloseTokenExpired) || d.lastError() != codec.CodeTokenExpired {
					t.Errorf("%s was told %q and close code %d when its token expired", d.timeline.name, d.lastError(), code)
				}
			}
			careful.store("m1", "still here", "bob")
			if got := n.metrics(t).of(t, "godwit_sessions"); got != 1 {
				t.Errorf("%v sessions are open, want 1", got)
			}
		})
	}
}

func values[K comparable, V any](m map[K]V) []V {
	var all []V
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
