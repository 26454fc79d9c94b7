package tail

import (
	"fmt"
	"math"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// BenchmarkAppend adds records of 200 bytes for one of a million users each to tails
// whose budget is used up: each record takes the place of another.
func BenchmarkAppend(b *testing.B) {
	const partitions = 1024
	ts := NewTails(0, partitions, 1, 64<<20)
	w := ts.Worker(0)
	samples := make([]sample, 1<<16)
	for i := range samples {
		samples[i] = simple(0, fmt.Sprint("user-", i*15))
		samples[i].Body = make([]byte, 140)
		samples[i].encode()
		samples[i].Partition = backplane.PartitionOf(fmt.Sprint("user-", i*15), partitions)
	}
	var offsets [partitions]int64
	n := 0
	add := func() {
		s := &samples[n%len(samples)]
		s.Offset = offsets[s.Partition]
		offsets[s.Partition]++
		n++
		w.Append(s.Record, s.Message)
	}
	for n < 400_000 {
		add()
	}
	b.ReportAllocs()
	for b.Loop() {
		add()
	}
}

// filled returns a tail of 10,000 records, every tenth of which is alice's.
func filled() *Tail {
	tail := NewTail()
	for o := range int64(10_000) {
		user := "alice"
		if o%10 != 0 {
			user = fmt.Sprint("user-", o)
		}
		s := simple(o, user)
		s.Body = make([]byte, 140)
		s.encode()
		add(tail, s)
	}
	return tail
}

func BenchmarkNothingMissed(b *testing.B) {
	tail, alice := filled(), []byte("alice")
	b.ReportAllocs()
	for b.Loop() {
		if tail.Newest(alice) > 9_999 || tail.Floor() > 9_999 {
			b.Fatal("something was missed")
		}
	}
}

func BenchmarkRead50(b *testing.B) {
	tail := filled()
	for name, q := range map[string]history.Query{
		"newest":   {After: -1, Before: math.MaxInt64, Backward: true},
		"forward":  {After: 5000, Before: math.MaxInt64}, // goes on after a page
		"between":  {After: 5001, Before: math.MaxInt64}, // has to look for its start
		"one peer": {After: 5000, Before: math.MaxInt64, Peer: []byte("somebody")},
	} {
		q.User, q.Limit, q.Bytes = []byte("alice"), 50, math.MaxInt
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p, _, _ := tail.Read(&q); len(p.Entries) != 50 {
					b.Fatal(len(p.Entries))
				}
			}
		})
	}
}
