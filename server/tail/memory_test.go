package tail

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/godwit-im/godwit/backplane"
)

// heap returns the bytes of all live objects.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestBytes compares what the tails count with what the heap has grown by.
func TestBytes(t *testing.T) {
	for _, c := range []struct {
		name                       string
		partitions, users, records int
		size                       int
		erasures                   int
	}{
		{name: "a user for each record", partitions: 16, users: 100_000, records: 50_000, size: 200},
		{name: "few users", partitions: 16, users: 100, records: 50_000, size: 200},
		{name: "small records", partitions: 4, users: 10_000, records: 100_000, size: 0},
		{name: "large records", partitions: 4, users: 100, records: 500, size: 40_000},
		{name: "idle partitions", partitions: 10_000, users: 100_000, records: 30_000, size: 100},
		{name: "erasures", partitions: 8, users: 100, records: 100, size: 0, erasures: 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := NewTails(0, int32(c.partitions), 2, 1<<40)
			before := heap()
			for i := range c.records {
				p := i % c.partitions
				s := simple(int64(i), fmt.Sprint("user-", i%c.users))
				s.Partition = backplane.Partition(p)
				s.Body = make([]byte, c.size)
				s.encode()
				ts.Worker(p%2).Append(s.Record, s.Message)
			}
			for i := range c.erasures {
				for p := range c.partitions {
					s := simple(int64(c.records + i))
					s.Partition, s.From = backplane.Partition(p), fmt.Appendf(nil, "user-%d-of-%d", i, p)
					ts.Worker(p%2).Erase(s.Record, s.Message)
				}
			}
			grown, counted := heap()-before, ts.Bytes()
			runtime.KeepAlive(ts)
			t.Logf("%d bytes a record", grown/int64(c.records))
			if counted < grown*4/5 || counted > grown*6/5 {
				t.Errorf("%d bytes are counted as %d", grown, counted)
			}
		})
	}
}
