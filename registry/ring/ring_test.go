package ring

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMailboxOrder pushes from several producers through a small mailbox and
// checks that each one's values arrive whole and in order.
func TestMailboxOrder(t *testing.T) {
	const producers, each = 4, 20_000
	type value struct{ producer, n int }
	m := NewMailbox[value](64, 1<<40)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for n := range each {
				m.Push(value{p, n}, 1, nil)
			}
		})
	}
	var next [producers]int
	for total := 0; total < producers*each; {
		v, ok := m.Pop()
		if !ok {
			runtime.Gosched()
			continue
		}
		if v.n != next[v.producer] {
			t.Fatalf("producer %d: got %d, want %d", v.producer, v.n, next[v.producer])
		}
		next[v.producer]++
		total++
	}
	wg.Wait()
	if _, ok := m.Pop(); ok || m.Len() != 0 || m.Weight() != 0 {
		t.Errorf("left over: %d values, weight %d", m.Len(), m.Weight())
	}
}

func TestMailboxBounds(t *testing.T) {
	m := NewMailbox[int](3, 100)
	if m.Cap() != 4 {
		t.Errorf("Cap() = %d, want 4", m.Cap())
	}
	for i := range 4 {
		if !m.TryPush(i, 1) {
			t.Fatalf("value %d was refused", i)
		}
	}
	if m.TryPush(4, 1) {
		t.Error("a fifth value was taken")
	}
	for i := range 4 {
		if v, ok := m.Pop(); !ok || v != i {
			t.Fatalf("Pop() = %d, %v, want %d", v, ok, i)
		}
	}
	// One value may go beyond the weight, the next may not.
	if !m.TryPush(0, 99) || !m.TryPush(1, 500) || m.TryPush(2, 1) {
		t.Error("the weight is not bounded as told")
	}
	m.Pop()
	if m.TryPush(2, 1) {
		t.Error("500 of 100 and still room")
	}
	m.Pop()
	if !m.TryPush(2, 1) {
		t.Error("no room in an empty mailbox")
	}
}

// TestMailboxWaits shows that producers wait at a full mailbox, that each Pop
// lets one in, and that stop ends the wait.
func TestMailboxWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMailbox[int](2, 1<<40)
		m.TryPush(-1, 1)
		m.TryPush(-2, 1)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		in, stopped := 0, 0
		for i := range 5 {
			wg.Go(func() {
				ok := m.Push(i, 1, stop)
				mu.Lock()
				defer mu.Unlock()
				if ok {
					in++
				} else {
					stopped++
				}
			})
		}
		for want := range 4 {
			synctest.Wait()
			mu.Lock()
			if in != want {
				t.Errorf("after %d pops %d producers are in", want, in)
			}
			mu.Unlock()
			if _, ok := m.Pop(); !ok {
				t.Fatal("the mailbox is empty")
			}
		}
		synctest.Wait()
		close(stop)
		wg.Wait()
		if in != 4 || stopped != 1 {
			t.Errorf("%d in, %d stopped, want 4 and 1", in, stopped)
		}
	})
}

// TestMailboxWakesAll frees the whole mailbox at once for several waiting
// producers, after which no Pop comes any more.
func TestMailboxWakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMailbox[int](4, 1<<40)
		for i := range 4 {
			m.TryPush(i, 1)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { m.Push(i, 1, nil) })
		}
		synctest.Wait()
		for range 4 {
			m.Pop()
		}
		wg.Wait()
		if m.Len() != 4 {
			t.Errorf("%d values, want 4", m.Len())
		}
	})
}

func TestMailboxAllocatesNothing(t *testing.T) {
	m := NewMailbox[*int](16, 1<<40)
	v := new(int)
	if n := testing.AllocsPerRun(1000, func() { m.TryPush(v, 1); m.Pop() }); n != 0 {
		t.Errorf("push and pop allocate %v times", n)
	}
}

// TestOutboxModel holds outboxes that share a pool against slices.
func TestOutboxModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pool Pool[int]
		var boxes [3]Outbox[int]
		var model [3][]int
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				i := rapid.IntRange(0, 2).Draw(t, "box")
				for range rapid.SampledFrom([]int{1, 7, 40}).Draw(t, "count") {
					next++
					boxes[i].Push(&pool, next)
					model[i] = append(model[i], next)
				}
			},
			"pop": func(t *rapid.T) {
				i := rapid.IntRange(0, 2).Draw(t, "box")
				for range min(len(model[i]), rapid.SampledFrom([]int{1, 5, 100}).Draw(t, "count")) {
					if got := boxes[i].Pop(&pool); got != model[i][0] {
						t.Fatalf("popped %d, want %d", got, model[i][0])
					}
					model[i] = model[i][1:]
				}
			},
			"": func(t *rapid.T) {
				for i := range boxes {
					if boxes[i].Len() != len(model[i]) {
						t.Fatalf("box %d has %d entries, want %d", i, boxes[i].Len(), len(model[i]))
					}
					for j, want := range model[i] {
						if got := *boxes[i].At(j); got != want {
							t.Fatalf("box %d: entry %d is %d, want %d", i, j, got, want)
						}
					}
					if (boxes[i].r == nil) != (len(model[i]) == 0) {
						t.Fatalf("box %d with %d entries: holds a ring is %v", i, len(model[i]), boxes[i].r != nil)
					}
				}
			},
		})
	})
}

func TestOutboxAllocatesNothing(t *testing.T) {
	var pool Pool[*int]
	var o Outbox[*int]
	v := new(int)
	round := func() {
		for range 100 {
			o.Push(&pool, v)
		}
		for range 100 {
			o.Pop(&pool)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("a warm outbox allocates %v times", n)
	}
}

func BenchmarkMailbox(b *testing.B) {
	for _, producers := range []int{1, 2, 4, 8} {
		b.Run(map[int]string{1: "producers=1", 2: "producers=2", 4: "producers=4", 8: "producers=8"}[producers], func(b *testing.B) {
			b.ReportAllocs()
			m := NewMailbox[*int](4096, 1<<40)
			v := new(int)
			var wg sync.WaitGroup
			for p := range producers {
				n := b.N / producers
				if p < b.N%producers {
					n++
				}
				wg.Go(func() {
					for range n {
						m.Push(v, 1, nil)
					}
				})
			}
			for n := 0; n < b.N; {
				if _, ok := m.Pop(); ok {
					n++
				} else {
					runtime.Gosched()
				}
			}
			wg.Wait()
		})
	}
}

func BenchmarkOutbox(b *testing.B) {
	b.ReportAllocs()
	var pool Pool[*int]
	var o Outbox[*int]
	v := new(int)
	for b.Loop() {
		o.Push(&pool, v)
		o.Pop(&pool)
	}
}
