package buffer

import "testing"

// TestBuffersOfAClass checks that a buffer has the capacity of its class, whatever was
// given back.
func TestBuffersOfAClass(t *testing.T) {
	for range 3 {
		for _, test := range []struct{ n, want int }{
			{1, 256}, {255, 256}, {256, 256}, {257, 384}, {384, 384}, {385, 512}, {4096, 4096}, {5000, 6144},
			{6145, 8192}, {65536, 65536}, {65537, 98304}, {98305, 131072}, {262144, 262144}, {262145, 393216}, {393217, 524288},
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

// TestRoom checks every size: there is room, and not for more than half as much again.
func TestRoom(t *testing.T) {
	last := 0
	for n := 1; n <= 1<<19; n++ {
		class := classOf(n)
		size := sizeOf(class)
		if size < n || size > max(Min, n+n/2) || class < last || class > 0 && sizeOf(class-1) >= n {
			t.Fatalf("%d bytes are of class %d, of %d bytes", n, class, size)
		}
		last = class
	}
	if size := sizeOf(classes - 1); size != 256<<10 {
		t.Errorf("the largest class has %d bytes", size)
	}
}

// TestGrownOtherwise: a buffer that is of no class is not given to anybody.
func TestGrownOtherwise(t *testing.T) {
	for _, size := range []int{0, 1, 255, 300, 385, 300_000} {
		b := Take(1)
		b.B = make([]byte, 0, size)
		Give(b)
	}
	for range 10 {
		for _, n := range []int{1, 256, 300, 385, 262_144} {
			if b := Take(n); cap(b.B) != sizeOf(classOf(n)) {
				t.Errorf("a buffer for %d bytes has %d", n, cap(b.B))
			}
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
