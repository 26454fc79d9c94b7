package backplane

import (
	"strings"
	"testing"
)

func TestValidUser(t *testing.T) {
	for _, c := range []struct {
		name string
		user string
		want error
	}{
		{"one byte", "a", nil},
		{"longest", strings.Repeat("x", MaxUserID), nil},
		{"emoji", "🦆", nil},
		{"control characters", "a\x00\n", nil},
		{"replacement character", "\ufffd", nil},
		{"empty", "", ErrUserEmpty},
		{"a byte too long", strings.Repeat("x", MaxUserID+1), ErrUserTooLong},
		{"too long in bytes, not in characters", strings.Repeat("é", MaxUserID/2+1), ErrUserTooLong},
		{"lone byte", "\xff", ErrUserNotUTF8},
		{"cut character", "a\xc3", ErrUserNotUTF8},
		{"overlong", "\xc0\xaf", ErrUserNotUTF8},
		{"surrogate", "\xed\xa0\x80", ErrUserNotUTF8},
		{"beyond Unicode", "\xf4\x90\x80\x80", ErrUserNotUTF8},
	} {
		if got := ValidUser([]byte(c.user)); got != c.want {
			t.Errorf("%s: ValidUser(%q) = %v, want %v", c.name, c.user, got, c.want)
		}
	}
}
