package ws

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// frameSizes are the borders of the three forms of a length.
var frameSizes = []int{0, 1, 125, 126, 127, 65535, 65536, 70000}

// TestAppendRFCExamples writes the examples of RFC 6455, section 5.7.
func TestAppendRFCExamples(t *testing.T) {
	for _, test := range []struct {
		got  []byte
		want string
	}{
		{AppendFrame(nil, Text, []byte("Hello")), "810548656c6c6f"},
		{AppendMasked(nil, Text, []byte("Hello"), testKey), "818537fa213d7f9f4d5158"},
		{AppendFrame(nil, Ping, []byte("Hello")), "890548656c6c6f"},
		{AppendMasked(nil, Pong, []byte("Hello"), testKey), "8a8537fa213d7f9f4d5158"},
		{AppendHeader(nil, Binary, 256), "827e0100"},
		{AppendHeader(nil, Binary, 65536), "827f0000000000010000"},
		{AppendClose(nil, 1000, ""), "880203e8"},
		{AppendClose(nil, 4200, "moved"), "880710686d6f766564"},
		{AppendClose(nil, CloseNoStatus, "not sent"), "8800"},
		{AppendMaskedClose(nil, CloseNoStatus, "not sent", testKey), "888037fa213d"},
		{AppendMaskedClose(nil, 1000, "", testKey), "888237fa213d3412"},
	} {
		if got := hex.EncodeToString(test.got); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// TestRoundTrip writes frames of all sizes behind other bytes, and reads them.
func TestRoundTrip(t *testing.T) {
	prefix := []byte("prefix")
	for _, size := range frameSizes {
		payload := bytes.Repeat([]byte("x"), size)
		want := []string{event(Text, string(payload))}

		out := AppendFrame(bytes.Clone(prefix), Text, payload)
		if len(out) != len(prefix)+HeaderSize(size)+size {
			t.Errorf("size %d: the frame has %d bytes", size, len(out)-len(prefix))
		}
		header := AppendHeader(bytes.Clone(prefix), Text, size)
		if len(header) != len(prefix)+HeaderSize(size) || !bytes.Equal(header, out[:len(header)]) {
			t.Errorf("size %d: header %x", size, header)
		}
		if got := read(t, client, out[len(prefix):]); got.reason != "" || !slices.Equal(got.events, want) {
			t.Errorf("size %d: %v", size, got.reason)
		}

		out = AppendMasked(bytes.Clone(prefix), Text, payload, testKey)
		if len(out) != len(prefix)+HeaderSize(size)+len(testKey)+size || !bytes.HasPrefix(out, prefix) {
			t.Errorf("size %d: the masked frame has %d bytes", size, len(out)-len(prefix))
		}
		if got := read(t, server, out[len(prefix):]); got.reason != "" || !slices.Equal(got.events, want) {
			t.Errorf("size %d, masked: %v", size, got.reason)
		}
		if strings.Trim(string(payload), "x") != "" {
			t.Errorf("size %d: masking changed the caller's payload", size)
		}
	}
}

func TestCloseReasons(t *testing.T) {
	fits := strings.Repeat("r", MaxCloseReason)
	for _, test := range []struct{ reason, want string }{
		{"", ""},
		{"token expired", "token expired"},
		{fits, fits},
		{fits + "x", fits},
		{fits[1:] + "é", fits[1:]},
		{fits[2:] + "é", fits[2:] + "é"},
		{fits[1:] + "😀", fits[1:]},
		{strings.Repeat("😀", 40), strings.Repeat("😀", 30)},
		{"ends in \xff rubbish", "ends in "},
		{"replaced \ufffd before", "replaced \ufffd before"},
	} {
		want := []string{describe(Event{Op: Close, Code: 4008, Payload: []byte(test.want)})}
		if got := read(t, client, AppendClose(nil, 4008, test.reason)); !slices.Equal(got.events, want) {
			t.Errorf("%q: got %v, want %q", test.reason, got, want)
		}
		if got := read(t, server, AppendMaskedClose(nil, 4008, test.reason, testKey)); !slices.Equal(got.events, want) {
			t.Errorf("%q, masked: got %v, want %q", test.reason, got, want)
		}
		if !utf8.ValidString(cutReason(test.reason)) {
			t.Errorf("%q: cut to %q", test.reason, cutReason(test.reason))
		}
	}
}
