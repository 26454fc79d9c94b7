package registry

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	benchUsers  = 100_000
	benchMoving = 1000 // users of each goroutine that comes and goes
)

// BenchmarkLookup looks up users, one after another, while others connect and
// disconnect as fast as they can: the churn is the number of goroutines that do. They
// have users of their own, but share the stripes with everybody.
func BenchmarkLookup(b *testing.B) {
	for _, churn := range []int{0, 1, 4} {
		b.Run(fmt.Sprintf("churn=%d", churn), func(b *testing.B) {
			r := New()
			users := make([][]byte, benchUsers)
			for i := range users {
				users[i] = strconv.AppendInt([]byte("user-"), int64(i), 10)
				r.Add(string(users[i]), MakeHandle(0, i, 1))
			}
			var stop atomic.Bool
			var moved atomic.Int64
			var wg sync.WaitGroup
			for g := range churn {
				names := make([]string, benchMoving)
				for i := range names {
					names[i] = fmt.Sprintf("moving-%d-%d", g, i)
				}
				wg.Go(func() {
					for i := 0; !stop.Load(); i++ {
						h := MakeHandle(1+g, i%benchMoving, 1)
						r.Add(names[i%benchMoving], h)
						r.Remove(names[i%benchMoving], h)
						moved.Add(1)
						if i%64 == 0 {
							runtime.Gosched() // there may be more of them than cores
						}
					}
				})
			}
			for churn > 0 && moved.Load() == 0 {
				runtime.Gosched()
			}
			buf := make([]Handle, 0, 8)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				buf = r.Append(buf[:0], users[i%benchUsers])
				i++
			}
			stop.Store(true)
			wg.Wait()
			if len(buf) != 1 {
				b.Fatalf("%d handles of one connection", len(buf))
			}
		})
	}
}

// BenchmarkConnect adds and removes a connection among many: of a user who has no
// other, and of one who has.
func BenchmarkConnect(b *testing.B) {
	for _, devices := range []int{0, 1, 4} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			r := New()
			for i := range benchUsers {
				r.Add("user-"+strconv.Itoa(i), MakeHandle(0, i, 1))
			}
			for i := range devices {
				r.Add("alice", MakeHandle(1, i, 1))
			}
			h := MakeHandle(1, devices, 1)
			b.ReportAllocs()
			for b.Loop() {
				r.Add("alice", h)
				r.Remove("alice", h)
			}
		})
	}
}
