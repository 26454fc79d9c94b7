package registry

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestHandle(t *testing.T) {
	for _, tt := range []struct {
		loop, slot int
		gen        uint32
	}{{0, 0, 0}, {1, 2, 3}, {MaxLoops - 1, MaxSlots - 1, generationMask}, {512, 1, 1 << 30}} {
		for enc := range uint8(2) {
			h := MakeHandle(tt.loop, tt.slot, tt.gen).WithEncoding(enc)
			if h.Loop() != tt.loop || h.Slot() != tt.slot || h.Generation() != tt.gen || h.Encoding() != enc {
				t.Errorf("%+v came back as %d, %d, %d, %d", tt, h.Loop(), h.Slot(), h.Generation(), h.Encoding())
			}
		}
	}
	if MakeHandle(1, 1, 1<<31) != MakeHandle(1, 1, 0) {
		t.Error("the generation is not taken modulo 2^31")
	}
	defer func() {
		if recover() == nil {
			t.Error("a loop that does not fit was taken")
		}
	}()
	MakeHandle(MaxLoops, 0, 0)
}

// TestModel holds the registry against a map of sets.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := New()
		model := map[string]map[Handle]bool{}
		user := rapid.SampledFrom([]string{"", "alice", "bob", "carol", "d\xff"})
		handle := rapid.Map(rapid.IntRange(0, 5), func(i int) Handle { return MakeHandle(0, i, 1) })
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				u, h := user.Draw(t, "user"), handle.Draw(t, "handle")
				r.Add(u, h)
				if model[u] == nil {
					model[u] = map[Handle]bool{}
				}
				model[u][h] = true
			},
			"remove": func(t *rapid.T) {
				u, h := user.Draw(t, "user"), handle.Draw(t, "handle")
				if got := r.Remove(u, h); got != model[u][h] {
					t.Fatalf("Remove(%q, %v) = %v", u, h, got)
				}
				delete(model[u], h)
				if len(model[u]) == 0 {
					delete(model, u)
				}
			},
			"": func(t *rapid.T) {
				walked := map[string][]Handle{}
				for part := range Stripes {
					r.Walk(part, func(user string, h Handle) { walked[user] = append(walked[user], h) })
				}
				total := 0
				for _, u := range []string{"", "alice", "bob", "carol", "d\xff"} {
					var want []Handle
					for h := range model[u] {
						want = append(want, h)
					}
					total += len(want)
					got := r.Append(nil, []byte(u))
					slices.Sort(got)
					slices.Sort(want)
					if !slices.Equal(got, want) {
						t.Fatalf("user %q has %v, want %v", u, got, want)
					}
					slices.Sort(walked[u])
					if !slices.Equal(walked[u], want) {
						t.Fatalf("user %q has %v on a walk, want %v", u, walked[u], want)
					}
				}
				if users, connections := r.Len(); users != len(model) || connections != total {
					t.Fatalf("Len() = %d, %d, want %d, %d", users, connections, len(model), total)
				}
			},
		})
	})
}

// TestConcurrent has every goroutine come and go with a handle of its own, for
// users that all share, and look for it.
func TestConcurrent(t *testing.T) {
	r := New()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			var buf []Handle
			for i := range 2000 {
				user := fmt.Sprintf("u%d", rnd.IntN(20))
				h := MakeHandle(g, i, 1)
				r.Add(user, h)
				buf = r.Append(buf[:0], []byte(user))
				if !slices.Contains(buf, h) {
					t.Errorf("%v is not among the handles of %s", h, user)
				}
				if !r.Remove(user, h) {
					t.Errorf("%v could not be removed", h)
				}
			}
		})
	}
	wg.Wait()
	if users, connections := r.Len(); users != 0 || connections != 0 {
		t.Errorf("%d users and %d connections are left", users, connections)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	r := New()
	r.Add("alice", MakeHandle(0, 1, 1))
	r.Add("alice", MakeHandle(0, 2, 1))
	buf := make([]Handle, 0, 8)
	user := []byte("alice")
	if n := testing.AllocsPerRun(100, func() { buf = r.Append(buf[:0], user) }); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}
