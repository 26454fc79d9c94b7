// Package auth verifies the tokens that users connect with, and signs those of
// development.
//
// A token is a JSON Web Token (RFC 7519) signed with the one algorithm that the
// node is set to; its "sub" is the user id. The algorithm is pinned as RFC 8725
// (section 3.1) asks: what a token's own header says never chooses the key or
// the way to verify it.
//
// Verifying HS256 costs less than a microsecond of hashing and is done where the
// token arrives. The other algorithms take tens of microseconds: Fast tells
// them apart, an event loop asks Cached first, and Verify runs elsewhere.
//
// The package is not for what a user may do (every user may send to every
// other), nor for the admin port's token. It reads no clock: the caller says
// what time it is.
//
// A Verifier and a DevKey may be used by any goroutine. Reading keys and making
// them touches the file system and belongs to the goroutine that starts the
// process.
package auth
