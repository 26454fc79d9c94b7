package ws

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/codec/buffer"
)

// TestWholeFramesDoNotAllocate covers every kind of frame that arrives whole, and
// what makes them invalid.
func TestWholeFramesDoNotAllocate(t *testing.T) {
	for _, test := range []struct {
		name  string
		frame []byte
	}{
		{"text", masked(Text, strings.Repeat("grüße ", 40))},
		{"binary", masked(Binary, strings.Repeat("\xff", 70000))},
		{"ping", masked(Ping, "ping")},
		{"close", masked(Close, closePayload(1000, "bye"))},
		{"invalid text", masked(Text, "\xff")},
		{"invalid close", masked(Close, "\x00")},
		{"too large", masked(Binary, strings.Repeat("x", server.MessageBytes+1))[:14]},
	} {
		p := make([]byte, len(test.frame))
		var r Reader
		if n := testing.AllocsPerRun(100, func() {
			copy(p, test.frame)
			r = Reader{}
			if _, _, ok, err := r.Next(p, server); !ok && err == nil {
				t.Fatal("no event and no error")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
}

func TestWritingDoesNotAllocate(t *testing.T) {
	payload := make([]byte, 300)
	dst := make([]byte, 0, 2048)
	reason := strings.Repeat("reason ", 40)
	if n := testing.AllocsPerRun(100, func() {
		b := AppendFrame(dst, Binary, payload)
		b = AppendClose(b, 1000, reason)
		b = AppendMasked(b, Binary, payload, testKey)
		b = AppendMaskedClose(b, 1000, reason, testKey)
		e := RequestError{426, ReasonUpgradeRequired}
		b = e.Append(b)
		if &b[0] != &dst[:1][0] {
			t.Fatal("dst was too small")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestClaimsAreFree announces 64 MB and sends next to nothing of it.
func TestClaimsAreFree(t *testing.T) {
	header := AppendHeader(nil, Binary, 64<<20)
	lim := &Limits{MessageBytes: 128 << 20, Client: true}
	readers := make([]Reader, 100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range readers {
		if _, _, ok, err := readers[i].Next(header, lim); ok || err != nil {
			t.Fatal(ok, err)
		}
		if held := readers[i].Buffered(); held != 0 {
			t.Fatalf("%d bytes are held for a header", held)
		}
		if _, _, ok, err := readers[i].Next([]byte{1}, lim); ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	runtime.ReadMemStats(&after)
	if held := readers[0].Buffered(); held != buffer.Min {
		t.Errorf("%d bytes are held for one", held)
	}
	// 100 of the smallest buffers are 26 KB; one wrong guess would be 64 MB.
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated", got)
	}
	for i := range readers {
		readers[i].Release()
	}
}

// TestMemoryFollowsInput checks the promise of package buffer at every step of a message
// that outgrows all pools, after the pools have been filled with large buffers.
func TestMemoryFollowsInput(t *testing.T) {
	const size = 3 << 20
	lim := &Limits{MessageBytes: size, Client: true}
	frame := AppendFrame(nil, Binary, make([]byte, size))
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var r Reader
		arrived := -HeaderSize(size)
		for _, piece := range randomly(rng, frame, 1<<(6+3*seed)) {
			_, _, _, err := r.Next(piece, lim)
			if err != nil {
				t.Fatal(err)
			}
			arrived += len(piece)
			if held := r.Buffered(); held > max(buffer.Min, arrived+arrived/2) || held < arrived {
				t.Fatalf("%d bytes are held for %d that arrived", held, arrived)
			}
		}
		if arrived != size {
			t.Fatalf("%d bytes arrived", arrived)
		}
		r.Release()
	}
}
