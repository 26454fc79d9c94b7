package backplane

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const windowMS = int64(DuplicateWindow / 1e6)

func numbered(n uint64) (id MessageID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// duplicateByRule is the rule as it is written, over all records so far.
func duplicateByRule(earlier []dedupeRecord, r dedupeRecord) bool {
	for _, e := range earlier {
		if e.id == r.id && r.time-e.time <= windowMS {
			return true
		}
	}
	return false
}

type dedupeRecord struct {
	id   MessageID
	time int64
}

func TestDedupeRule(t *testing.T) {
	type step struct {
		id   uint64
		time int64
		want bool
	}
	const t0, w = 1_700_000_000_000, windowMS
	for name, steps := range map[string][]step{
		"within the window":              {{1, t0, false}, {1, t0 + 1, true}},
		"at the same time":               {{1, t0, false}, {1, t0, true}},
		"at its very end":                {{1, t0, false}, {1, t0 + w, true}},
		"just after it":                  {{1, t0, false}, {1, t0 + w + 1, false}},
		"other ids":                      {{1, t0, false}, {2, t0, false}, {3, t0, false}, {2, t0, true}},
		"a duplicate refreshes":          {{1, t0, false}, {1, t0 + w, true}, {1, t0 + 2*w, true}, {1, t0 + 3*w + 1, false}},
		"what is no duplicate refreshes": {{1, t0, false}, {1, t0 + w + 1, false}, {1, t0 + w + 2, true}},
		"log time goes back":             {{1, t0, false}, {1, t0 - w, true}, {1, t0 - w + 1, true}},
		"going back does not shorten":    {{1, t0, false}, {1, t0 - w, true}, {1, t0 + w, true}},
		"seen behind a later record":     {{1, t0, false}, {2, t0 + w, false}, {1, t0 + 5, true}},
		"the oldest of all worlds":       {{1, 0, false}, {1, w, true}, {1, 2*w + 1, false}},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDedupe()
			for i, s := range steps {
				if got := d.Seen(numbered(s.id), s.time); got != s.want {
					t.Errorf("record %d: Seen = %v, want %v", i, got, s.want)
				}
			}
		})
	}
}

// TestDedupeFollowsRule compares with the rule itself, over log times that move on
// in steps up to beyond 2W and go back by up to W.
func TestDedupeFollowsRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := NewDedupe()
		var earlier []dedupeRecord
		newest := int64(1_700_000_000_000)
		for range rapid.IntRange(1, 300).Draw(t, "records") {
			newest += rapid.OneOf(
				rapid.Int64Range(0, 10),
				rapid.Int64Range(0, windowMS),
				rapid.Int64Range(windowMS, 3*windowMS),
			).Draw(t, "step")
			r := dedupeRecord{
				id:   numbered(rapid.Uint64Range(0, 20).Draw(t, "id")),
				time: newest - rapid.SampledFrom([]int64{0, 0, 0, 1, windowMS / 2, windowMS}).Draw(t, "back"),
			}
			if got, want := d.Seen(r.id, r.time), duplicateByRule(earlier, r); got != want {
				t.Fatalf("Seen(%x, %d) = %v after %d records, want %v", r.id, r.time, got, len(earlier), want)
			}
			earlier = append(earlier, r)
		}
	})
}

// TestDedupeForget compares with a list that forgets what was seen longest ago.
func TestDedupeForget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := NewDedupe()
		var list []MessageID // seen longest ago first; all within one window
		for range rapid.IntRange(1, 100).Draw(t, "records") {
			id := numbered(rapid.Uint64Range(0, 12).Draw(t, "id"))
			known := slices.Contains(list, id)
			list = append(slices.DeleteFunc(list, func(other MessageID) bool { return other == id }), id)
			if got := d.Seen(id, 1000); got != known {
				t.Fatalf("Seen(%x) = %v, want %v", id, got, known)
			}
			n := rapid.SampledFrom([]int{0, 0, 0, 1, 3, 100}).Draw(t, "forget")
			want := min(n, len(list))
			list = list[want:]
			if got := d.Forget(n); got != want || d.Len() != len(list) {
				t.Fatalf("Forget(%d) = %d, want %d; %d ids are left, want %d", n, got, want, d.Len(), len(list))
			}
		}
	})
}

// TestDedupeForgets lets a burst pass: its ids and its memory go with time.
func TestDedupeForgets(t *testing.T) {
	d := NewDedupe()
	const burst = 20_000
	for i := range uint64(burst) {
		d.Seen(numbered(i), 0)
	}
	if d.Len() != burst {
		t.Fatalf("%d ids, want %d", d.Len(), burst)
	}
	d.Seen(numbered(burst), 2*windowMS)
	if d.Len() != burst+1 {
		t.Fatalf("%d ids while a record of that time could be a duplicate of any, want %d", d.Len(), burst+1)
	}
	d.Seen(numbered(burst+1), 2*windowMS+1)
	if d.Len() != 2 {
		t.Errorf("%d ids after 2W, want 2", d.Len())
	}
	if len(d.slots) > shrinkFloor {
		t.Errorf("the memory of %d slots is held for 2 ids", len(d.slots))
	}
	if !d.Seen(numbered(burst), 2*windowMS+1) {
		t.Error("an id was lost when memory was given back")
	}
}

// TestDedupeRunawayClock: one record of a far future, from a producer whose clock is
// wrong, is treated like any other, and so is what comes after.
func TestDedupeRunawayClock(t *testing.T) {
	d := NewDedupe()
	d.Seen(numbered(1), 1000)
	d.Seen(numbered(2), 1000+1000*windowMS)
	if d.Seen(numbered(3), 2000) || !d.Seen(numbered(3), 3000) {
		t.Error("duplicates are not recognised any more")
	}
	// It stands in the way of those behind it, until its owner has it forgotten.
	d.Forget(2)
	for i := range uint64(100) {
		d.Seen(numbered(10+i), 4000+int64(i)*3*windowMS)
	}
	if d.Len() > 2 {
		t.Errorf("%d ids are remembered", d.Len())
	}
}

// TestDedupeAllocs: at a steady rate the memory of expired ids serves new ones.
func TestDedupeAllocs(t *testing.T) {
	d := NewDedupe()
	n, now := uint64(0), int64(0)
	record := func() {
		d.Seen(numbered(n), now)
		n++
		now += windowMS / 100
	}
	for range 2000 {
		record()
	}
	if n := testing.AllocsPerRun(1000, record); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDedupe(b *testing.B) {
	d := NewDedupe()
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		d.Seen(numbered(n), int64(n))
		n++
	}
}
