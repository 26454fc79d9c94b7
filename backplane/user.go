package backplane

import (
	"errors"
	"unicode/utf8"
)

// What can be wrong with a user id.
var (
	ErrUserEmpty   = errors.New("the user id is empty")
	ErrUserTooLong = errors.New("the user id is longer than 128 bytes")
	ErrUserNotUTF8 = errors.New("the user id is not valid UTF-8")
)

// ValidUser returns nil if user may be a user id: 1 to MaxUserID bytes of valid
// UTF-8. Otherwise it returns one of ErrUserEmpty, ErrUserTooLong and
// ErrUserNotUTF8. Ids are compared byte for byte: there is no normalization, so
// that every language computes the same partition.
func ValidUser(user []byte) error {
	switch {
	case len(user) == 0:
		return ErrUserEmpty
	case len(user) > MaxUserID:
		return ErrUserTooLong
	case !utf8.Valid(user):
		return ErrUserNotUTF8
	}
	return nil
}
