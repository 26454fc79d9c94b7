package auth_test

import (
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/godwit-im/godwit/server/auth"
)

func TestUnverified(t *testing.T) {
	s := signers(t)[3] // whose key is not asked for
	for _, test := range []struct {
		token, want string
	}{
		{s.sign(t, claims(nil)), "alice"},
		{s.sign(t, claims(jwt.MapClaims{"exp": nil})), "alice"},
		{s.sign(t, claims(jwt.MapClaims{"sub": nil})), ""},
		{"", ""},
		{"not a token", ""},
		{strings.Repeat("a", auth.MaxToken+1), ""},
	} {
		if user, ok := auth.Unverified(test.token); user != test.want || ok != (test.want != "") {
			t.Errorf("%.30q: the user is %q, %v, want %q", test.token, user, ok, test.want)
		}
	}
}
