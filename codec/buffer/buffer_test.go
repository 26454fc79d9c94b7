package buffer

import "testing"

// TestBuffersOfAClass checks that a buffer has the capacity of its class, whatever was
// given back.
func TestBuffersOfAClass(t *testing.T) {
	for range 3 {
		for _, test := range []struct{ n, want int }{
			{1, 256}, {255, 256}, {256, 256}, {257, 1024}, {4096, 4096}, {5000, 16384},
			{65536, 65536}, {65537, 262144}, {262144, 262144}, {262145, 1 << 20},
		} {
			b := Take(test.n)
			if cap(b.B) != test.want || len(b.B) != 0 {
				t.Fatalf("a buffer for %d bytes has %d of %d", test.n, len(b.B), cap(b.B))
			}
			b.B = append(b.B, 'x')
			Give(b)
		}
	}
}

// TestBuffersAreReused checks that buffers come back, also those that a message has
// outgrown, and also when a pool has adjusted itself to what it saw, which
// bytebufferpool does after 42,000 calls.
func TestBuffersAreReused(t *testing.T) {
	reused := func(rounds int) (n int) {
		for range rounds {
			b := Take(1)
			b.B = append(b.B, 'x')
			larger := Append(b, make([]byte, Min))
			next := Take(1)
			if next == b {
				n++
			}
			Give(next)
			Give(larger)
		}
		return n
	}
	// The race detector makes pools forget some, a collection makes them forget all.
	const rounds = 1000
	if n := reused(rounds); n < rounds/4 {
		t.Errorf("%d of %d buffers were used again", n, rounds)
	}
	reused(50_000)
	if n := reused(rounds); n < rounds/4 {
		t.Errorf("%d of %d buffers were used again after many calls", n, rounds)
	}
}
