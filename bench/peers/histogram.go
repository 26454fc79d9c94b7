package main

import "math/bits"

// histogram counts durations in nanoseconds. Up to 2^subBits they are counted one
// by one; above, each power of two has 2^subBits/2 classes, so that a duration is
// known to within 1/256 of itself. One goroutine owns it.
type histogram struct {
	counts [(65 - subBits) * half]int64 // durations have 63 bits
	total  int64
}

const (
	subBits = 9
	half    = 1 << (subBits - 1)
)

func (h *histogram) reset() { *h = histogram{} }

func (h *histogram) record(d int64) {
	h.counts[class(max(d, 0))]++
	h.total++
}

// class returns the class of d: d itself while it has subBits bits; above, d without
// the lowest bits that are more than that, plus half for each of those.
func class(d int64) int {
	shift := max(0, bits.Len64(uint64(d))-subBits)
	return shift*half + int(d>>shift)
}

// quantile returns the largest duration of the class in which the quantile q lies, 0
// if there are none.
func (h *histogram) quantile(q float64) int64 {
	if h.total == 0 {
		return 0
	}
	rank := min(int64(q*float64(h.total)), h.total-1)
	for c, n := range h.counts {
		if rank -= n; rank < 0 {
			shift := max(0, c/half-1)
			return int64(c-shift*half+1)<<shift - 1
		}
	}
	panic("peers: a histogram has lost count")
}
