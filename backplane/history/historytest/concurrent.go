package historytest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// testConcurrent: while partitions are written, whoever reads finds all that is applied,
// in order, in pages that follow one another.
func testConcurrent(t *testing.T, r *rig) {
	const partitions, batches, size = 4, 20, 10
	user := func(p backplane.Partition) string { return fmt.Sprint("user", p) }
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for p := range backplane.Partition(partitions) {
		writers.Go(func() {
			for b := range int64(batches) {
				var entries []history.Entry
				for i := range int64(size) {
					entries = append(entries, entry(user(p), b*size+i, r.now+b, "peer"))
				}
				batch := r.batch(p, entries)
				if err := r.store.Write(context.Background(), batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
		readers.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false // and once more, for all
				default:
				}
				applied := r.applied(t, partitions)[p].Offset
				q := r.all(user(p))
				q.Partition, q.Limit = p, 17
				if applied%2 == 0 {
					q.Peer = []byte("peer")
				}
				for {
					page := r.read(t, q)
					for _, e := range page.Entries {
						if e.Offset != q.After+1 {
							t.Errorf("entry %d follows %d", e.Offset, q.After)
							return
						}
						q.After = e.Offset
					}
					if !page.More {
						break
					}
				}
				if q.After < applied {
					t.Errorf("read up to %d, but %d is applied", q.After, applied)
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	for p, a := range r.applied(t, partitions) {
		if a.Offset != batches*size-1 {
			t.Errorf("partition %d has come to %d", p, a.Offset)
		}
	}
}
