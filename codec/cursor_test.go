package codec

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
)

func TestCursorTexts(t *testing.T) {
	for _, c := range []struct {
		text string
		pos  backplane.Position
	}{
		{"AQAAAA", backplane.Position{Offset: -1}},
		{"AQAAAQ", backplane.Position{}},
		{"AQHcAvjBAg", backplane.Position{Generation: 1, Partition: 348, Offset: 41_207}},
		{"Af____8Pj07__________38", backplane.Position{Generation: math.MaxUint32, Partition: 9999, Offset: math.MaxInt64 - 1}},
	} {
		if got := string(AppendCursor(nil, c.pos)); got != c.text {
			t.Errorf("the cursor of %+v is %q, want %q", c.pos, got, c.text)
		}
		if got, err := ParseCursor(c.text); err != nil || got != c.pos {
			t.Errorf("ParseCursor(%q) = %+v, %v, want %+v", c.text, got, err, c.pos)
		}
		if got, err := ParseCursor([]byte(c.text)); err != nil || got != c.pos {
			t.Errorf("ParseCursor([]byte(%q)) = %+v, %v, want %+v", c.text, got, err, c.pos)
		}
	}
}

func TestCursorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := backplane.Position{
			Generation: rapid.Uint32().Draw(t, "generation"),
			Partition:  backplane.Partition(rapid.Int32Range(0, backplane.MaxPartitions-1).Draw(t, "partition")),
			Offset:     rapid.Int64Range(-1, math.MaxInt64-1).Draw(t, "offset"),
		}
		text := AppendCursor([]byte("before"), p)[len("before"):]
		if len(text) > MaxCursor {
			t.Fatalf("%q is longer than MaxCursor", text)
		}
		if got, err := ParseCursor(text); err != nil || got != p {
			t.Fatalf("%q came back as %+v, %v, want %+v", text, got, err, p)
		}
	})
}

func TestParseCursorRefuses(t *testing.T) {
	enc := func(b ...byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	good := enc(1, 1, 5, 100)
	for name, text := range map[string]string{
		"nothing":                       "",
		"no version":                    enc(0, 1, 5, 100),
		"a later version":               enc(2, 1, 5, 100),
		"a version only":                enc(1),
		"no offset":                     enc(1, 1, 5),
		"a byte too many":               enc(1, 1, 5, 100, 0),
		"a varint cut short":            enc(1, 1, 5, 0x80),
		"a padded generation":           enc(1, 0x81, 0, 5, 100),
		"a padded partition":            enc(1, 1, 0x85, 0, 100),
		"a padded offset":               enc(1, 1, 5, 0xe4, 0),
		"a generation beyond 32 bits":   enc(1, 0x80, 0x80, 0x80, 0x80, 0x10, 5, 100),
		"a partition beyond the limit":  enc(1, 1, 0x90, 0x4e, 100), // 10,000
		"an offset beyond 63 bits":      enc(1, 1, 5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
		"an offset beyond 64 bits":      enc(1, 1, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02),
		"padding":                       good + "==",
		"the other alphabet":            strings.NewReplacer("_", "/", "-", "+").Replace(enc(1, 0xff, 0xff, 0xff, 0xff, 0x0f, 5, 100)),
		"stray bits in the last":        good[:len(good)-1] + "B",
		"a line break":                  good[:2] + "\n" + good[2:],
		"a line break at the end":       good + "\n",
		"white space":                   " " + good,
		"a character that is none":      "AQ!A",
		"one character":                 "A",
		"more than the longest":         strings.Repeat("A", MaxCursor+1),
		"as much as the longest":        strings.Repeat("A", MaxCursor),
		"as much as the longest, valid": enc(append([]byte{1, 1, 5, 100}, make([]byte, 14)...)...),
	} {
		if p, err := ParseCursor(text); err != ErrBadCursor || p != (backplane.Position{}) {
			t.Errorf("%s: ParseCursor(%q) = %+v, %v, want ErrBadCursor", name, text, p, err)
		}
	}
	if _, err := ParseCursor(good); err != nil {
		t.Errorf("the cursor that the others were made of: %v", err)
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"", "AQAAAA", "AQAAAQ", "AQHcAvjBAg", "Af____8Pj07__________38", "AQFk\nBQ", "AQGFAGQ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseCursor(text)
		if err != nil {
			return
		}
		if got := string(AppendCursor(nil, p)); got != text {
			t.Fatalf("%q and %q are both cursors of %+v", text, got, p)
		}
	})
}
