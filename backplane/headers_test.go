package backplane

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRecipientsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 200), 0, 70).Draw(t, "users")
		var list []byte
		for _, u := range users {
			list = AppendRecipient(list, u)
		}
		for i, want := range users {
			got, rest, ok := NextRecipient(list)
			if !ok || !bytes.Equal(got, want) {
				t.Fatalf("recipient %d: %q, %v, want %q", i, got, ok, want)
			}
			list = rest
		}
		if _, _, ok := NextRecipient(list); ok || len(list) != 0 {
			t.Fatalf("%d bytes are left, and NextRecipient says %v", len(list), ok)
		}
	})
}

func TestNextRecipientRefusesTruncation(t *testing.T) {
	whole := AppendRecipient(nil, []byte(strings.Repeat("x", 200)))
	for n := range whole {
		if _, _, ok := NextRecipient(whole[:n]); ok {
			t.Errorf("the first %d of %d bytes pass for a recipient", n, len(whole))
		}
	}
}

func TestNextRecipientRefusesGarbage(t *testing.T) {
	for _, list := range [][]byte{
		{0x80},
		{0x02, 'a'},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 'a'}, // a length of 2^64-1
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02},      // no 64-bit varint
	} {
		if user, _, ok := NextRecipient(list); ok {
			t.Errorf("NextRecipient(%x) gives %q", list, user)
		}
	}
}

func TestSessionHeader(t *testing.T) {
	for _, id := range []uint64{0, 1, 0x0102030405060708, math.MaxUint64} {
		if got := ParseSession(AppendSession(nil, id)); got != id {
			t.Errorf("session %d came back as %d", id, got)
		}
	}
	if got := AppendSession(nil, 0x0102030405060708); !bytes.Equal(got, []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("AppendSession is not big-endian: %x", got)
	}
	for _, b := range [][]byte{nil, {}, make([]byte, 7), bytes.Repeat([]byte{1}, 9)} {
		if got := ParseSession(b); got != 0 {
			t.Errorf("ParseSession(%x) = %d, want 0", b, got)
		}
	}
}
