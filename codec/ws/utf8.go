package ws

import "unicode/utf8"

// checkText checks the next piece of a text, which begins with the bytes that the
// previous check left open. It returns how many bytes at the end of b, at most 3,
// begin a rune that the text has yet to complete; ok is false when no
// continuation can make b valid UTF-8.
func checkText(b []byte) (open int, ok bool) {
	for i := len(b) - 1; i >= 0 && i >= len(b)-(utf8.UTFMax-1); i-- {
		if !utf8.RuneStart(b[i]) {
			continue
		}
		// FullRune says yes to bytes that can't begin any rune, such as the first
		// two of a surrogate, so those are left to Valid to find.
		if !utf8.FullRune(b[i:]) {
			open = len(b) - i
		}
		break
	}
	return open, utf8.Valid(b[:len(b)-open])
}
