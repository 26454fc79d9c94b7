package auth

import (
	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// tokenClaims is the claims that are looked at. Others may be there, in any form.
type tokenClaims struct {
	Subject   string           `json:"sub"`
	Expires   *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	Issuer    string           `json:"iss"`
	Audience  jwt.ClaimStrings `json:"aud"`
}

// UnmarshalJSON reads claims strictly: encoding/json would take "SUB" for "sub",
// the last of two, and turn bytes that are not UTF-8 into a character that
// another user's id may have.
func (c *tokenClaims) UnmarshalJSON(b []byte) error {
	type plain tokenClaims // without this method
	return json.Unmarshal(b, (*plain)(c))
}

// The methods of jwt.Claims.

func (c *tokenClaims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires, nil }
func (c *tokenClaims) GetNotBefore() (*jwt.NumericDate, error)      { return c.NotBefore, nil }
func (c *tokenClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (c *tokenClaims) GetAudience() (jwt.ClaimStrings, error)       { return c.Audience, nil }
func (c *tokenClaims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *tokenClaims) GetSubject() (string, error)                  { return c.Subject, nil }
