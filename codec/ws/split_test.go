package ws

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sample is an input with everything that a client may send, 900 bytes or so, and
// what it says.
func sample() (input []byte, want []string) {
	long := strings.Repeat("0123456789abcdé∈", 20)
	input = join(
		masked(Text, "Hello"),
		masked(Text, ""),
		masked(Binary, "\x00\xff\xfe"),
		masked(Ping, "are you there"),
		fragments(Text, "gr\xc3", "\xbc\xc3", "", "\x9fe \xf0\x9f", "\x98\x80"),
		raw(byte(Binary), []byte("bin")),
		masked(Pong, "between"),
		raw(byte(continuation), []byte("a")),
		masked(Ping, ""),
		raw(0x80|byte(continuation), []byte("ry")),
		masked(Text, long),
		masked(Close, closePayload(1001, "going away, à bientôt")),
	)
	want = []string{
		event(Text, "Hello"), event(Text, ""), event(Binary, "\x00\xff\xfe"), event(Ping, "are you there"),
		event(Text, "grüße 😀"), event(Pong, "between"), event(Ping, ""), event(Binary, "binary"),
		event(Text, long), describe(Event{Op: Close, Code: 1001, Payload: []byte("going away, à bientôt")}),
	}
	return input, want
}

func TestSplitInTwo(t *testing.T) {
	input, want := sample()
	for cut := range len(input) + 1 {
		got := read(t, server, input[:cut], input[cut:])
		if got.reason != "" || !slices.Equal(got.events, want) {
			t.Fatalf("cut at %d: got %v, want %q", cut, got, want)
		}
	}
}

func TestSplitBytewise(t *testing.T) {
	input, want := sample()
	if got := read(t, server, bytewise(input)...); got.reason != "" || !slices.Equal(got.events, want) {
		t.Fatalf("got %v, want %q", got, want)
	}
}

func TestSplitRandomly(t *testing.T) {
	input, want := sample()
	for seed := range uint64(500) {
		pieces := randomly(rand.New(rand.NewPCG(seed, 0)), input, 1+int(seed%60))
		if got := read(t, server, pieces...); got.reason != "" || !slices.Equal(got.events, want) {
			t.Fatalf("seed %d: got %v, want %q", seed, got, want)
		}
	}
}

// TestTruncated cuts the input short at every byte: the events must be a beginning
// of all events, and only ever complete ones.
func TestTruncated(t *testing.T) {
	input, want := sample()
	seen := 0
	for cut := range len(input) + 1 {
		got := read(t, server, input[:cut])
		if got.reason != "" || len(got.events) > len(want) || !slices.Equal(got.events, want[:len(got.events)]) {
			t.Fatalf("cut at %d: got %v", cut, got)
		}
		if len(got.events) < seen || len(got.events) > seen+1 {
			t.Fatalf("cut at %d: %d events after %d", cut, len(got.events), seen)
		}
		seen = len(got.events)
	}
	if seen != len(want) {
		t.Fatalf("%d events of %d", seen, len(want))
	}
}

// TestSplitErrors damages one byte of the input at a time, and checks that cutting the
// damaged input makes no difference.
func TestSplitErrors(t *testing.T) {
	input, _ := sample()
	reasons := map[Reason]int{}
	for i := range input {
		for _, flip := range []byte{0x01, 0x10, 0x80, 0xff} {
			damaged := slices.Clone(input)
			damaged[i] ^= flip
			whole := read(t, server, damaged)
			reasons[whole.reason]++
			pieces := randomly(rand.New(rand.NewPCG(uint64(i), uint64(flip))), damaged, 20)
			for _, got := range []transcript{read(t, server, bytewise(damaged)...), read(t, server, pieces...)} {
				if fmt.Sprint(got) != fmt.Sprint(whole) {
					t.Fatalf("byte %d ^ %#x:\nwhole: %v\nsplit: %v", i, flip, whole, got)
				}
			}
		}
	}
	if len(reasons) < 5 {
		t.Errorf("the damage led to few reasons only: %v", reasons)
	}
}

// TestMaskPosition cuts a frame at each byte of a long payload, so that unmasking
// resumes at every position of the key.
func TestMaskPosition(t *testing.T) {
	payload := strings.Repeat("The quick brown fox. ", 6)
	input := masked(Text, payload)
	for i := range len(input) {
		for j := i; j <= len(input); j++ {
			got := read(t, server, input[:i], input[i:j], input[j:])
			if got.reason != "" || !slices.Equal(got.events, []string{event(Text, payload)}) {
				t.Fatalf("cut at %d and %d: %v", i, j, got)
			}
		}
	}
}
