package tail

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestRing compares a ring with a slice, with numbers that wrap.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := uint32(rapid.Int64Range(math.MaxUint32-40, math.MaxUint32+1).Draw(t, "first"))
		r := ring[int]{first: first, next: first}
		var model []int
		pushed := 0
		check := func() {
			if r.len() != len(model) || r.first != first || (len(model) == 0) != (r.items == nil) {
				t.Fatalf("%d elements from %d in %d places, want %d from %d", r.len(), r.first, len(r.items), len(model), first)
			}
			if len(r.items) > max(minSize, 4*len(model)) {
				t.Fatalf("%d places for %d elements", len(r.items), len(model))
			}
			for i, v := range model {
				number := first + uint32(i)
				if !r.has(number) || *r.at(number) != v {
					t.Fatalf("element %d is not %d", i, v)
				}
			}
			if r.has(first-1) || r.has(r.next) {
				t.Fatal("has what is gone or to come")
			}
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 8).Draw(t, "what") {
			case 0:
				r.clear()
				first += uint32(len(model))
				model = nil
			case 1, 2, 3, 4:
				for range rapid.IntRange(1, 20).Draw(t, "pop") {
					if len(model) > 0 {
						r.pop()
						first++
						model = model[1:]
						check()
					}
				}
			default:
				for range rapid.IntRange(1, 20).Draw(t, "push") {
					pushed++
					r.push(pushed)
					model = append(model, pushed)
					check()
				}
			}
			check()
		}
	})
}
