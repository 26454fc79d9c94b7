package auth

import "github.com/golang-jwt/jwt/v5"

// Unverified returns the user that a token names, without asking whether that is
// true. It is for the client that holds the token, to notice a mix-up early;
// whoever is shown a token uses Verify. ok is false where there is no user to
// read.
func Unverified(token string) (user string, ok bool) {
	if len(token) > MaxToken {
		return "", false
	}
	var c tokenClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &c); err != nil {
		return "", false
	}
	return c.Subject, c.Subject != ""
}
