package tail

import (
	"testing"

	"pgregory.net/rapid"
)

// TestIndex compares an index with a map, with few hashes so that many searches cross.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		model := make(map[uint32]uint32) // the hash of each link
		var next uint32
		find := func(hash, at uint32) int {
			place := x.seek(int(hash), hash)
			for place >= 0 && x.heads[place].newest != at {
				place = x.seek(place+1, hash)
			}
			return place
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			hash := rapid.Uint32Range(1, 40).Draw(t, "hash")
			if rapid.Bool().Draw(t, "remove") {
				for at := range next + 1 { // the first, so that a failure can be repeated
					if model[at] == hash {
						x.remove(find(hash, at))
						delete(model, at)
						break
					}
				}
			} else {
				next++
				x.insert(head{hash: hash, oldest: next, newest: next})
				model[next] = hash
			}
			if x.used != len(model) || (x.used == 0) != (x.heads == nil) || len(x.heads) > max(minSize, 8*x.used) {
				t.Fatalf("%d of %d in %d places", x.used, len(model), len(x.heads))
			}
			for at, h := range model {
				if find(h, at) < 0 {
					t.Fatalf("link %d with hash %d is not found", at, h)
				}
			}
			if find(hash, next+1) >= 0 || find(41, 1) >= 0 {
				t.Fatal("found what is not there")
			}
		}
	})
}
