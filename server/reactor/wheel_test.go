package reactor

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWheelModel holds the wheel against a map of deadlines.
func TestWheelModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &wheel{now: 1000}
		model := map[int]uint32{}
		slot := rapid.IntRange(0, 40)
		now := uint32(1000)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				s := slot.Draw(t, "slot")
				at := rapid.OneOf(rapid.Uint32Range(now, now+5), rapid.Uint32Range(now, now+3*wheelBuckets)).Draw(t, "at")
				w.set(s, at)
				model[s] = max(at, now+1)
			},
			"clear": func(t *rapid.T) {
				s := slot.Draw(t, "slot")
				w.clear(s)
				delete(model, s)
			},
			"advance": func(t *rapid.T) {
				now += rapid.SampledFrom([]uint32{0, 1, 2, 100, 5 * wheelBuckets}).Draw(t, "by")
				var fired, want []int
				w.advance(now, func(s int) {
					fired = append(fired, s)
					if s%3 == 0 { // as a connection does whose deadline has moved
						w.set(s, now+7)
					}
				})
				for s, at := range model {
					if at <= now {
						want = append(want, s)
						delete(model, s)
						if s%3 == 0 {
							model[s] = now + 7
						}
					}
				}
				slices.Sort(fired)
				slices.Sort(want)
				if !slices.Equal(fired, want) {
					t.Fatalf("at %d fired %v, want %v", now, fired, want)
				}
			},
			"": func(t *rapid.T) {
				for s := range 41 {
					if w.at(s) != model[s] {
						t.Fatalf("slot %d: deadline %d, want %d", s, w.at(s), model[s])
					}
				}
			},
		})
	})
}
