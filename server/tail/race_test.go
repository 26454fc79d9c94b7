package tail

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// TestReadersAndWriter lets readers follow two partitions while a worker fills them
// well beyond its budget, and a third partition is dropped again and again. What a tail claims to
// cover it must have, at every moment.
//
// The record at offset o is user o mod 5's, and if that is 4 it is nobody's: then it
// is passed over. Its body is the offset.
func TestReadersAndWriter(t *testing.T) {
	const (
		records = 20_000
		users   = 4
		cycle   = users + 1
	)
	// last returns the last offset of a user up to one.
	last := func(user, upTo int64) int64 {
		if upTo < user {
			return -1
		}
		return upTo - (upTo-user)%cycle
	}
	ts := NewTails(0, 3, 1, 64<<10)
	var done atomic.Bool
	var wg sync.WaitGroup

	// wait returns when a tail has gone beyond an offset, or all is done. Who asks
	// without a pause holds up the writer, which is not what is tested here.
	wait := func(tail *Tail, offset int64) {
		for tail.End() <= offset && !done.Load() {
			runtime.Gosched()
		}
	}
	follow := func(p backplane.Partition, user int64) error {
		tail, name := ts.Partition(p), fmt.Appendf(nil, "user-%d", user)
		cursor := int64(-1)
		for pages := 0; ; pages++ {
			wait(tail, cursor)
			finished := done.Load()
			end := tail.End()

			newest, floor := tail.Newest(name), tail.Floor()
			if newest <= cursor && floor <= cursor && last(user, end) > cursor {
				return fmt.Errorf("user %d at %d: nothing missed up to %d, it says", user, cursor, end)
			}

			q := &history.Query{User: name, After: cursor, Before: records, Limit: 1 + pages%20, Bytes: 1 << 20}
			page, floor, upTo := tail.Read(q)
			if upTo < end || floor > upTo {
				return fmt.Errorf("user %d: a read up to (%d, %d] after an end of %d", user, floor, upTo, end)
			}
			at := last(user, max(cursor, floor)) // what comes next is a cycle after it
			if at < 0 {
				at = user - cycle
			}
			for _, e := range page.Entries {
				at += cycle
				if e.Offset != at {
					return fmt.Errorf("user %d at %d in (%d, %d]: got %d, want %d", user, cursor, floor, upTo, e.Offset, at)
				}
				var m backplane.Message
				if err := backplane.ParseMessage(e.Value, &m); err != nil || binary.BigEndian.Uint64(m.Body) != uint64(at) {
					return fmt.Errorf("user %d: record %d has body %x, %v", user, at, m.Body, err)
				}
			}
			if page.More {
				cursor = at
				continue
			}
			if want := last(user, upTo); len(page.Entries) > 0 && at != want || len(page.Entries) == 0 && want > max(cursor, floor) {
				return fmt.Errorf("user %d at %d in (%d, %d]: ends at %d, want %d", user, cursor, floor, upTo, at, want)
			}
			cursor = upTo
			if finished {
				if cursor != records-1 {
					return fmt.Errorf("user %d ends at %d", user, cursor)
				}
				return nil
			}
		}
	}
	for p := range backplane.Partition(2) {
		for user := range int64(users) {
			wg.Go(func() {
				if err := follow(p, user); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Go(func() {
		for !done.Load() {
			wait(ts.Partition(2), ts.Partition(2).End()+50)
			ts.Drop(2)
			if n := ts.Bytes(); n > 64<<10 {
				t.Errorf("%d bytes", n)
				return
			}
		}
	})

	w := ts.Worker(0)
	for o := range int64(records) {
		s := simple(o, fmt.Sprint("user-", o%cycle))
		s.Body = binary.BigEndian.AppendUint64(nil, uint64(o))
		s.encode()
		for p := range backplane.Partition(3) {
			s.Partition = p
			if o%cycle == users {
				w.Pass(s.Record)
			} else {
				w.Append(s.Record, s.Message)
			}
		}
	}
	done.Store(true)
	wg.Wait()
}
