package workload

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.99) != 0 || h.Count() != 0 {
		t.Error("an empty one has durations")
	}
	for i := range h {
		if at := bucket(bound(i)); at != i {
			t.Errorf("%v, the bound of %d, is counted in %d", bound(i), i, at)
		}
		if i > 0 && bound(i) <= bound(i-1) {
			t.Errorf("bound %d is not above the one before", i)
		}
	}
	for range 10_000 {
		d := time.Duration(rand.Int64N(1 << rand.IntN(42)))
		i := bucket(d)
		if d > bound(i) && i < len(h)-1 || i > 0 && d <= bound(i-1) {
			t.Fatalf("%v is counted among those of up to %v", d, bound(i))
		}
	}
	if at := bucket(1 << 62); at != len(h)-1 {
		t.Errorf("the longest is counted in %d", at)
	}

	for range 98 {
		h[bucket(time.Millisecond)]++
	}
	before := h
	h[bucket(time.Second)] += 2
	if q := h.Quantile(0.5); q < time.Millisecond || q > 2*time.Millisecond {
		t.Errorf("the median is %v", q)
	}
	if q := h.Quantile(0.99); q < time.Second || q > 2*time.Second {
		t.Errorf("the 99th percentile is %v", q)
	}
	if q := h.Since(before).Quantile(0.1); q < time.Second || h.Since(before).Count() != 2 {
		t.Errorf("of late the 10th percentile is %v of %d", q, h.Since(before).Count())
	}
}
