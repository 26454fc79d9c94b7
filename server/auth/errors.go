package auth

import "github.com/godwit-im/godwit/backplane"

// The codes of an Error. They are stable: clients and operators see them.
const (
	// CodeMissing: there is no token.
	CodeMissing backplane.Code = "token_missing"
	// CodeMalformed: it is not a JSON Web Token, or too long for one.
	CodeMalformed backplane.Code = "token_malformed"
	// CodeAlgorithm: it is signed with another algorithm than the node's, or with none.
	CodeAlgorithm backplane.Code = "token_algorithm"
	// CodeSignature: its signature is not that of the node's key.
	CodeSignature backplane.Code = "token_signature"
	// CodeExpired: it was good, and its time is over. A new token helps.
	CodeExpired backplane.Code = "token_expired"
	// CodeClaims: it is signed, but not for this node, not yet, or not for a user
	// that can exist.
	CodeClaims backplane.Code = "token_claims"
)

// Error says why a token was refused.
type Error struct {
	Code backplane.Code
	// Detail is a sentence for the client's author. It never holds a part of the
	// token but its algorithm's name.
	Detail string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

func refuse(code backplane.Code, detail string) error { return &Error{code, detail} }
