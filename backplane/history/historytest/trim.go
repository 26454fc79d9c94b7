package historytest

import (
	"context"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

func (r *rig) trim(t tb, before int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.store.Trim(ctx, before); err != nil {
		t.Fatalf("trimming: %v", err)
	}
}

// testTrim: floors follow what goes, exactly to the entry, and what is kept stays.
func testTrim(t *testing.T, r *rig) {
	var ref reference
	start := r.now - 18*dayLen
	r.trim(t, start) // of an empty store
	for i := range int64(36) {
		ref.entries = append(ref.entries, entry("alice", 10+i, start+i*12*hour, "bob"))
	}
	last := ref.entries[len(ref.entries)-1].Offset
	r.write(t, r.batch(0, ref.entries))
	r.write(t, r.batch(1, []history.Entry{entry("dave", 3, start)}))
	bare := r.batch(2, nil)
	bare.Applied.Offset = 1000
	r.write(t, bare)

	floor := int64(-1)
	for _, before := range []int64{start - dayLen, start + 3*dayLen, start + 3*dayLen, start + dayLen, start + 10*dayLen, start + 30*dayLen} {
		r.trim(t, before)
		a := r.applied(t, 3)
		was := floor
		floor = a[0].Floor
		must, may := int64(-1), int64(-1)
		for _, e := range ref.entries {
			if e.Time < before-dayLen {
				must = e.Offset
			}
			if e.Time < before {
				may = e.Offset
			}
		}
		if floor < was || floor < must || floor > max(may, was) {
			t.Fatalf("trimmed before %d: the floor went from %d to %d, want one from %d to %d", before, was, floor, must, may)
		}
		if a[0].Offset != last || a[2].Floor != -1 || a[2].Offset != 1000 {
			t.Fatalf("trimmed before %d: the positions are %+v", before, a)
		}
		for _, peer := range []string{"", "bob"} {
			for _, backward := range []bool{false, true} {
				q := r.all("alice")
				q.After, q.Peer, q.Backward = floor, []byte(peer), backward
				ref.compare(t, &q, r.read(t, q))
			}
		}
	}
	if a := r.applied(t, 2)[1]; a != (history.Applied{Offset: 3, Time: r.now, Floor: 3}) {
		t.Errorf("a partition of which everything is old has come to %+v", a)
	}
	// Life goes on.
	r.write(t, r.batch(0, []history.Entry{entry("alice", 100, r.now, "bob")}))
	q := r.all("alice")
	q.After = floor
	r.expect(t, q, 100)
	// A replay does not bring anything back above the floor, nor lower it.
	r.write(t, r.batch(0, ref.entries))
	r.expect(t, q, 100)
	if a := r.applied(t, 1)[0]; a.Floor != floor || a.Offset != 100 {
		t.Errorf("a replay moved the store to %+v", a)
	}
}

// testTrimWhileWriting: whoever learns the floor after the entries knows which may be
// missing, while old entries are written, trimmed and read at once.
func testTrimWhileWriting(t *testing.T, r *rig) {
	const batches, size = 30, 8
	start := r.now - 15*dayLen
	at := func(p backplane.Partition, i int64) history.Entry {
		return entry([]string{"alice", "bob"}[p], i, start+i*15*dayLen/(batches*size), "carol")
	}
	var writers, others sync.WaitGroup
	done := make(chan struct{})
	for p := range backplane.Partition(2) {
		writers.Go(func() {
			for b := range int64(batches) {
				var entries []history.Entry
				for i := range int64(size) {
					entries = append(entries, at(p, b*size+i))
				}
				batch := r.batch(p, entries)
				if err := r.store.Write(context.Background(), batch); err != nil {
					t.Error(err)
				}
			}
		})
		others.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				known := r.applied(t, 2)[p].Offset
				q := r.all(string(at(p, 0).User))
				q.Partition = p
				page := r.read(t, q)
				floor := r.applied(t, 2)[p].Floor
				next := floor + 1
				for _, e := range page.Entries {
					if e.Offset <= floor {
						continue
					}
					if e.Offset != next {
						t.Errorf("entry %d follows %d, the floor is %d", e.Offset, next-1, floor)
						return
					}
					next++
				}
				if next <= known {
					t.Errorf("entries from %d are missing, %d is applied", next, known)
					return
				}
			}
		})
	}
	others.Go(func() {
		for day := int64(0); ; {
			select {
			case <-done:
				return
			default:
			}
			if err := r.store.Trim(context.Background(), start+day*dayLen); err != nil {
				t.Error(err)
				return
			}
			// What was just written stays.
			if applied := r.applied(t, 1)[0].Offset; day < 12 && applied > (day+2)*batches*size/15 {
				day++
			}
		}
	})
	writers.Wait()
	close(done)
	others.Wait()
}
