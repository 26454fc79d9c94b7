package ws

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestRFCExamples reads the examples of RFC 6455, section 5.7, byte for byte.
func TestRFCExamples(t *testing.T) {
	bin256 := bytes.Repeat([]byte{0xa5}, 256)
	bin64K := bytes.Repeat([]byte{0xa5}, 65536)
	for _, test := range []struct {
		name  string
		lim   *Limits
		input []byte
		want  []string
	}{
		{"unmasked text", client, []byte{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, []string{event(Text, "Hello")}},
		{"masked text", server,
			[]byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, []string{event(Text, "Hello")}},
		{"fragmented text", client,
			[]byte{0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}, []string{event(Text, "Hello")}},
		{"ping", client, []byte{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}, []string{event(Ping, "Hello")}},
		{"masked pong", server,
			[]byte{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, []string{event(Pong, "Hello")}},
		{"256 bytes", client, append([]byte{0x82, 0x7e, 0x01, 0x00}, bin256...), []string{event(Binary, string(bin256))}},
		{"64 KiB", client,
			append([]byte{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}, bin64K...), []string{event(Binary, string(bin64K))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := read(t, test.lim, test.input)
			if got.reason != "" || !slices.Equal(got.events, test.want) {
				t.Errorf("got %v, want %q", got, test.want)
			}
		})
	}
}

// TestBadHeaders gives frames whose headers are wrong to a server and a client.
func TestBadHeaders(t *testing.T) {
	long := strings.Repeat("x", MaxControl+1)
	begun := raw(byte(Text), []byte("begun"))
	for _, test := range []struct {
		name  string
		lim   *Limits
		input []byte
		want  Reason
	}{
		{"unmasked at the server", server, []byte{0x81, 0x00}, ReasonUnmasked},
		{"masked at the client", client, masked(Text, ""), ReasonMasked},
		{"rsv1", server, raw(0xc1, nil), ReasonReservedBits},
		{"rsv2", server, raw(0xa1, nil), ReasonReservedBits},
		{"rsv3", server, raw(0x91, nil), ReasonReservedBits},
		{"rsv1 on a ping", server, raw(0xc9, nil), ReasonReservedBits},
		{"rsv1 on a continuation", server, join(begun, raw(0xc0, nil)), ReasonReservedBits},
		{"fragmented ping", server, raw(0x09, nil), ReasonControlFragmented},
		{"fragmented pong", server, raw(0x0a, nil), ReasonControlFragmented},
		{"fragmented close", server, raw(0x08, nil), ReasonControlFragmented},
		{"long ping", server, masked(Ping, long), ReasonControlTooLong},
		{"long pong", server, masked(Pong, long), ReasonControlTooLong},
		{"long close", server, masked(Close, long), ReasonControlTooLong},
		{"continuation of nothing", server, raw(0x80, nil), ReasonContinuationUnexpected},
		{"continuation after a message", server, join(masked(Text, "a"), raw(0x80, nil)), ReasonContinuationUnexpected},
		{"text within a message", server, join(begun, masked(Text, "b")), ReasonContinuationExpected},
		{"binary within a message", server, join(begun, masked(Binary, "b")), ReasonContinuationExpected},
		{"5 in 16 bits", server, []byte{0x81, 0x80 | 126, 0, 5, 0, 0, 0, 0}, ReasonBadLength},
		{"125 in 16 bits", client, []byte{0x81, 126, 0, 125}, ReasonBadLength},
		{"5 in 16 bits of a ping", client, []byte{0x89, 126, 0, 5}, ReasonBadLength},
		{"65535 in 64 bits", client, []byte{0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, ReasonBadLength},
		{"2^63", client, []byte{0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, ReasonBadLength},
		{"2^64-1", client, []byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, ReasonBadLength},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, got := range []transcript{
				read(t, test.lim, test.input),
				read(t, test.lim, bytewise(test.input)...),
			} {
				if got.reason != test.want {
					t.Errorf("got %v, want %s", got, test.want)
				}
			}
		})
	}
}

func TestOpcodes(t *testing.T) {
	for op := range byte(16) {
		got := read(t, server, raw(0x80|op, nil))
		switch Op(op) {
		case Text, Binary, Ping, Pong, Close:
			if got.reason != "" || len(got.events) != 1 {
				t.Errorf("opcode %#x: %v", op, got)
			}
		case continuation:
			if got.reason != ReasonContinuationUnexpected {
				t.Errorf("opcode %#x: %v", op, got)
			}
		default:
			if got.reason != ReasonReservedOpcode {
				t.Errorf("opcode %#x: %v", op, got)
			}
		}
	}
}

// TestErrorCodes checks that each reason comes with the status code for it.
func TestErrorCodes(t *testing.T) {
	for _, test := range []struct {
		input []byte
		lim   *Limits
		want  uint16
	}{
		{raw(0xf1, nil), server, 1002},
		{masked(Text, "\xff"), server, 1007},
		{masked(Text, "abc"), &Limits{MessageBytes: 2}, 1009},
		{fragments(Text, "a", "b"), &Limits{MessageBytes: 2}, 1009},
	} {
		var r Reader
		_, _, ok, err := r.Next(test.input, test.lim)
		if e, is := err.(*Error); !is || ok || e.Code != test.want || e.Error() != "ws: "+string(e.Reason) {
			t.Errorf("got ok %v, error %v; want code %d", ok, err, test.want)
		}
	}
}

func closePayload(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// TestCloseCodes goes through all status codes. What is valid stands here as the list
// of section 7.4 and of the IANA registry, apart from the code under test.
func TestCloseCodes(t *testing.T) {
	valid := map[uint16]bool{}
	for _, c := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014} {
		valid[c] = true
	}
	for c := uint16(3000); c < 5000; c++ {
		valid[c] = true
	}
	for c := range math.MaxUint16 + 1 {
		code := uint16(c)
		got := read(t, server, masked(Close, closePayload(code, "bye")))
		if want := describe(Event{Op: Close, Code: code, Payload: []byte("bye")}); valid[code] {
			if got.reason != "" || !slices.Equal(got.events, []string{want}) {
				t.Fatalf("code %d: got %v, want %s", code, got, want)
			}
		} else if got.reason != ReasonBadClose || len(got.events) > 0 {
			t.Fatalf("code %d: got %v, want it refused", code, got)
		}
	}
}

func TestClosePayloads(t *testing.T) {
	for _, test := range []struct {
		name, payload string
		want          string
		reason        Reason
	}{
		{"empty", "", describe(Event{Op: Close, Code: CloseNoStatus}), ""},
		{"half a code", "\x03", "", ReasonBadClose},
		{"no reason", closePayload(1000, ""), describe(Event{Op: Close, Code: 1000}), ""},
		{"longest reason", closePayload(1000, strings.Repeat("r", MaxCloseReason)),
			describe(Event{Op: Close, Code: 1000, Payload: []byte(strings.Repeat("r", MaxCloseReason))}), ""},
		{"reason not UTF-8", closePayload(1000, "\xce\xba\xe1"), "", ReasonInvalidUTF8},
	} {
		for _, got := range []transcript{
			read(t, server, masked(Close, test.payload)),
			read(t, server, bytewise(masked(Close, test.payload))...),
		} {
			if got.reason != test.reason || strings.Join(got.events, "") != test.want {
				t.Errorf("%s: got %v, want %s %s", test.name, got, test.want, test.reason)
			}
		}
	}
}

func TestFragmentsWithControlFrames(t *testing.T) {
	text := fragments(Text, "Hel", "", "lo, ", "world")
	pieces := func(controls ...[]byte) []byte {
		// The frames of text have headers of 6 bytes.
		cuts := []int{0, 9, 15, 25, len(text)}
		var b []byte
		for i := range 4 {
			b = append(b, text[cuts[i]:cuts[i+1]]...)
			if i < len(controls) {
				b = append(b, controls[i]...)
			}
		}
		return b
	}
	input := join(
		pieces(masked(Ping, "one"), masked(Pong, ""), masked(Ping, strings.Repeat("p", MaxControl))),
		masked(Binary, "after"),
		raw(byte(Binary), nil), masked(Close, closePayload(4000, "done")),
	)
	want := []string{
		event(Ping, "one"), event(Pong, ""), event(Ping, strings.Repeat("p", MaxControl)),
		event(Text, "Hello, world"), event(Binary, "after"),
		describe(Event{Op: Close, Code: 4000, Payload: []byte("done")}),
	}
	for _, got := range []transcript{read(t, server, input), read(t, server, bytewise(input)...)} {
		if got.reason != "" || !slices.Equal(got.events, want) {
			t.Errorf("got %v, want %q", got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	lim := &Limits{MessageBytes: 10, Fragments: 3}
	ten := "0123456789"
	for _, test := range []struct {
		name  string
		lim   *Limits
		input []byte
		want  Reason
	}{
		{"as large as allowed", lim, masked(Text, ten), ""},
		{"one too large", lim, masked(Text, ten+"x"), ReasonMessageTooBig},
		{"sum as large as allowed", lim, fragments(Text, "012", "345", "6789"), ""},
		{"sum one too large", lim, fragments(Text, "012", "345", "6789x"), ReasonMessageTooBig},
		{"each message counts alone", lim, join(masked(Text, ten), fragments(Text, "012", ten[3:]), masked(Text, ten)), ""},
		{"control frames don't count", lim,
			join(raw(byte(Text), []byte(ten)), masked(Ping, ten+ten), raw(0x80, nil)), ""},
		{"one frame too many", lim, fragments(Text, "", "", "", ""), ReasonTooManyFragments},
		{"frames of each message count alone", lim,
			join(fragments(Text, "", "", ""), fragments(Binary, "", "", "")), ""},
		{"no fragments", &Limits{MessageBytes: 10}, fragments(Text, "a", "b"), ReasonTooManyFragments},
		{"no fragments needed", &Limits{MessageBytes: 10}, masked(Text, ten), ""},
		{"nothing allowed", &Limits{}, masked(Text, ""), ""},
		{"more than nothing", &Limits{}, masked(Text, "x"), ReasonMessageTooBig},
		{"no int32 overflow", &Limits{MessageBytes: math.MaxInt, Client: true},
			[]byte{0x82, 127, 0, 0, 0, 0, 0x80, 0, 0, 0}, ReasonMessageTooBig},
	} {
		for _, got := range []transcript{read(t, test.lim, test.input), read(t, test.lim, bytewise(test.input)...)} {
			if got.reason != test.want {
				t.Errorf("%s: got %v, want %q", test.name, got, test.want)
			}
		}
	}
}

// TestTooBigBeforePayload checks that the header alone is enough to refuse a message.
func TestTooBigBeforePayload(t *testing.T) {
	var r Reader
	header := masked(Binary, strings.Repeat("x", 300))[:8]
	if _, _, _, err := r.Next(header, &Limits{MessageBytes: 299}); err != errMessageTooBig {
		t.Errorf("got %v", err)
	}
	if r.Buffered() != 0 {
		t.Errorf("%d bytes are held", r.Buffered())
	}
}

// TestInPlace checks that a whole frame comes out as a slice of the input, also when
// its header came before, and that nothing beyond it can be reached by an append.
func TestInPlace(t *testing.T) {
	for cut := range 7 {
		p := join(masked(Text, "Hello"), masked(Ping, "ping"))
		var r Reader
		if _, n, ok, err := r.Next(p[:min(cut, 6)], server); cut > 0 && (n != cut || ok || err != nil) {
			t.Fatalf("cut %d: n %d, ok %v, %v", cut, n, ok, err)
		}
		ev, n, ok, err := r.Next(p[cut:], server)
		if err != nil || !ok || string(ev.Payload) != "Hello" || cut+n != 11 {
			t.Fatalf("cut %d: %v, n %d, ok %v, %v", cut, ev, n, ok, err)
		}
		if &ev.Payload[0] != &p[6] {
			t.Errorf("cut %d: the payload was copied", cut)
		}
		if cap(ev.Payload) != len(ev.Payload) {
			t.Errorf("cut %d: the payload can grow over what follows", cut)
		}
		if r.Buffered() != 0 {
			t.Errorf("cut %d: %d bytes are held", cut, r.Buffered())
		}
	}
}

// TestEmptyInput checks that a call without input does nothing but end the life of
// the last payload.
func TestEmptyInput(t *testing.T) {
	var r Reader
	p := masked(Text, "gathered")
	feed := func(b []byte) (Event, bool) {
		t.Helper()
		ev, n, ok, err := r.Next(b, server)
		if err != nil || n != len(b) {
			t.Fatalf("n %d of %d, %v", n, len(b), err)
		}
		return ev, ok
	}
	feed(nil)
	feed(p[:9])
	feed(nil)
	if ev, ok := feed(p[9:]); !ok || string(ev.Payload) != "gathered" {
		t.Fatalf("got %v %v", ev, ok)
	}
	if r.Buffered() == 0 {
		t.Error("the payload has no buffer")
	}
	feed(nil)
	if r.Buffered() != 0 {
		t.Errorf("%d bytes are held between messages", r.Buffered())
	}
}

func TestRelease(t *testing.T) {
	var r Reader
	if _, _, _, err := r.Next(fragments(Text, "first", "second")[:20], server); err != nil {
		t.Fatal(err)
	}
	if r.Buffered() == 0 {
		t.Fatal("nothing is held of an unfinished message")
	}
	r.Release()
	if r.Buffered() != 0 {
		t.Errorf("%d bytes are held after Release", r.Buffered())
	}
	if ev, _, ok, err := r.Next(masked(Text, "next"), server); err != nil || !ok || string(ev.Payload) != "next" {
		t.Errorf("after Release: %v %v %v", ev, ok, err)
	}
	r.Release()
	r.Release()
}

// TestReaderSize guards the memory that each of a million connections pays.
func TestReaderSize(t *testing.T) {
	if size := unsafe.Sizeof(Reader{}); size > 48 {
		t.Errorf("a Reader has %d bytes", size)
	}
}
