package auth

import (
	"fmt"
	"unicode/utf8"

	"github.com/godwit-im/godwit/backplane"
)

// checkUser returns an error unless user can be a user id.
func checkUser(user string) error {
	if user == "" || len(user) > backplane.MaxUserID || !utf8.ValidString(user) {
		return fmt.Errorf("auth: a user id has 1 to %d bytes of UTF-8", backplane.MaxUserID)
	}
	return nil
}
