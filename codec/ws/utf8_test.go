package ws

import (
	"slices"
	"testing"
	"unicode/utf8"
)

// The texts follow the classes of the Unicode standard, table 3-7: the borders of each
// range of well-formed sequences and what lies just beyond them.
var validTexts = []string{
	"", "\x00", "\x7f", "plain",
	"\u0080", "\u07ff", "\u0800", "\u0fff", "\u1000", "\ucfff", "\ud000", "\ud7ff", "\ue000", "\ufffd", "\uffff",
	"\U00010000", "\U0003ffff", "\U00040000", "\U000fffff", "\U00100000", "\U0010ffff",
	"κόσμε", "a\u0300\u0301", "😀😀", "\ufeffbom",
}

var invalidTexts = []struct {
	name, text string
	// at is how many bytes show that the text can't become valid; 0 when only its
	// end does.
	at int
}{
	{"lone continuation", "\x80", 1},
	{"continuation after text", "ab\xbf", 3},
	{"overlong 2 (C0)", "\xc0\x80", 1},
	{"overlong 2 (C1)", "\xc1\xbf", 1},
	{"overlong 3", "\xe0\x80\x80", 2},
	{"overlong 3, highest", "\xe0\x9f\xbf", 2},
	{"overlong 4", "\xf0\x80\x80\x80", 2},
	{"overlong 4, highest", "\xf0\x8f\xbf\xbf", 2},
	{"first surrogate", "\xed\xa0\x80", 2},
	{"last surrogate", "\xed\xbf\xbf", 2},
	{"surrogate pair", "\xed\xa0\xbd\xed\xb8\x80", 2},
	{"above U+10FFFF", "\xf4\x90\x80\x80", 2},
	{"5-byte form", "\xf8\x88\x80\x80\x80", 1},
	{"6-byte form", "\xfc\x84\x80\x80\x80\x80", 1},
	{"FE", "\xfe", 1},
	{"FF", "\xff", 1},
	{"second byte missing", "\xc3a", 2},
	{"third byte missing", "\xe2\x88a", 3},
	{"fourth byte missing", "\xf0\x9f\x98a", 4},
	{"rune begun twice", "\xc3\xc3\xa9", 2},
	{"ends in a rune of 2", "ab\xc3", 0},
	{"ends in a rune of 3", "ab\xe2\x88", 0},
	{"ends in a rune of 4", "ab\xf0\x9f\x98", 0},
	{"late", "κόσμε\xed\xa0\x80edited", 12},
}

func TestValidText(t *testing.T) {
	for _, text := range validTexts {
		frame := masked(Text, text)
		want := []string{event(Text, text)}
		for _, got := range []transcript{read(t, server, frame), read(t, server, bytewise(frame)...)} {
			if got.reason != "" || !slices.Equal(got.events, want) {
				t.Errorf("%q: %v", text, got)
			}
		}
		// As fragments, cut at any byte.
		for cut := range len(text) + 1 {
			got := read(t, server, fragments(Text, text[:cut], text[cut:]))
			if got.reason != "" || !slices.Equal(got.events, want) {
				t.Errorf("%q cut at %d: %v", text, cut, got)
			}
		}
	}
}

func TestInvalidText(t *testing.T) {
	for _, test := range invalidTexts {
		t.Run(test.name, func(t *testing.T) {
			frame := masked(Text, test.text)
			for _, got := range []transcript{read(t, server, frame), read(t, server, bytewise(frame)...)} {
				if got.reason != ReasonInvalidUTF8 || len(got.events) > 0 {
					t.Errorf("got %v", got)
				}
			}
			for cut := range len(test.text) + 1 {
				got := read(t, server, fragments(Text, test.text[:cut], test.text[cut:]))
				if got.reason != ReasonInvalidUTF8 || len(got.events) > 0 {
					t.Errorf("cut at %d: %v", cut, got)
				}
			}
			// The same bytes are fine in a binary message.
			if got := read(t, server, bytewise(masked(Binary, test.text))...); got.reason != "" {
				t.Errorf("as binary: %v", got)
			}
		})
	}
}

// TestInvalidTextAtOnce checks that a text is refused with the first byte that no
// valid text could have there, though the frame goes on and on.
func TestInvalidTextAtOnce(t *testing.T) {
	for _, test := range invalidTexts {
		if test.at == 0 {
			continue
		}
		frame := masked(Text, test.text+string(make([]byte, 50)))
		const header = 6
		if got := read(t, server, bytewise(frame[:header+test.at-1])...); got.reason != "" {
			t.Errorf("%s: refused too early: %v", test.name, got)
		}
		if got := read(t, server, bytewise(frame[:header+test.at])...); got.reason != ReasonInvalidUTF8 {
			t.Errorf("%s: not refused after %d bytes", test.name, test.at)
		}
		if got := read(t, server, frame[:header+test.at]); got.reason != ReasonInvalidUTF8 {
			t.Errorf("%s: not refused after %d bytes at once", test.name, test.at)
		}
	}
}

// TestTextInterrupted puts a control frame, whose payload is not UTF-8, into a rune.
func TestTextInterrupted(t *testing.T) {
	input := join(raw(byte(Text), []byte("\xf0\x9f")), masked(Ping, "\xff\xfe"), raw(0x80, []byte("\x98\x80")))
	want := []string{event(Ping, "\xff\xfe"), event(Text, "😀")}
	for cut := range len(input) + 1 {
		if got := read(t, server, input[:cut], input[cut:]); got.reason != "" || !slices.Equal(got.events, want) {
			t.Fatalf("cut at %d: %v", cut, got)
		}
	}
}

// TestCheckText compares the incremental check with utf8.Valid on all sequences of up
// to 4 bytes of an alphabet that has each kind of byte.
func TestCheckText(t *testing.T) {
	alphabet := []byte{'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xee, 0xf0, 0xf1, 0xf4, 0xf5, 0xff}
	var try func(prefix []byte)
	try = func(text []byte) {
		open, ok := checkText(text)
		if open > 3 || open > len(text) {
			t.Fatalf("%q: %d bytes are open", text, open)
		}
		if whole := ok && open == 0; whole != utf8.Valid(text) {
			t.Fatalf("%q: open %d, ok %v", text, open, ok)
		}
		// A beginning that is not refused can be completed.
		if ok && open > 0 && !completes(text) {
			t.Fatalf("%q: nothing completes it, but it is not refused", text)
		}
		if !ok && completes(text) {
			t.Fatalf("%q: refused, though it can be completed", text)
		}
		if len(text) < 4 {
			for _, c := range alphabet {
				try(append(text[:len(text):len(text)], c))
			}
		}
	}
	try(nil)
}

// completes reports whether up to 3 continuation bytes make text valid. The borders of
// the range are enough: every lead byte allows one of them.
func completes(text []byte) bool {
	for range 4 {
		if utf8.Valid(text) {
			return true
		}
		for _, c := range []byte{0x80, 0x8f, 0x90, 0xbf} {
			rest := append(text[:len(text):len(text)], c)
			if utf8.Valid(rest) {
				return true
			}
		}
		next := byte(0x80)
		if last := text[len(text)-1]; last == 0xe0 || last == 0xf0 {
			next = 0xbf
		}
		text = append(text[:len(text):len(text)], next)
	}
	return false
}
