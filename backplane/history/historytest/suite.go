package historytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
)

// Run tests a store. Each call of open returns an empty one, which it closes itself
// when its test is over; to close a store twice does no harm.
func Run(t *testing.T, open func(t *testing.T) history.Store) {
	t.Run("shared", func(t *testing.T) {
		store := open(t)
		for _, test := range []struct {
			name string
			run  func(*testing.T, *rig)
		}{
			{"Empty", testEmpty},
			{"Directions", testDirections},
			{"Bytes", testBytes},
			{"Memory", testMemory},
			{"Peers", testPeers},
			{"Expiry", testExpiry},
			{"Erase", testErase},
			{"EraseInOneBatch", testEraseInOneBatch},
			{"EraseThenReplay", testEraseThenReplay},
			{"Replay", testReplay},
			{"Applied", testApplied},
			{"Lost", testLost},
			{"Generations", testGenerations},
			{"Users", testUsers},
			{"Days", testDays},
			{"Cancelled", testCancelled},
			{"Concurrent", testConcurrent},
			{"Model", testModel},
		} {
			t.Run(test.name, func(t *testing.T) { test.run(t, newRig(store)) })
		}
	})
	t.Run("Trim", func(t *testing.T) { testTrim(t, newRig(open(t))) })
	t.Run("TrimWhileWriting", func(t *testing.T) { testTrimWhileWriting(t, newRig(open(t))) })
	t.Run("Reset", func(t *testing.T) { testReset(t, newRig(open(t))) })
	t.Run("Closed", func(t *testing.T) { testClosed(t, newRig(open(t))) })
}

const (
	second = int64(1000)
	hour   = 3600 * second
	dayLen = 24 * hour
)

// patience is how long a call of a store may take. It only ends tests that have failed.
const patience = 30 * time.Second

// generations tells the tests of a process apart.
var generations atomic.Uint32

// rig is a store and a generation of it that nobody else uses.
type rig struct {
	store      history.Store
	generation uint32
	now        int64 // when the test began, Unix milliseconds
}

func newRig(s history.Store) *rig {
	return &rig{s, generations.Add(1), time.Now().UnixMilli()}
}

// tb is what the helpers need of a test, be it one of rapid's.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (r *rig) write(t tb, b *history.Batch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.store.Write(ctx, b); err != nil {
		t.Fatalf("writing up to %d of partition %d: %v", b.Applied.Offset, b.Partition, err)
	}
}

func (r *rig) read(t tb, q history.Query) history.Page {
	t.Helper()
	q.Generation = r.generation
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := r.store.Read(ctx, &q)
	if err != nil {
		t.Fatalf("reading %q (%+v): %v", q.User, q, err)
	}
	return p
}

func (r *rig) applied(t tb, n int32) []history.Applied {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := r.store.Applied(ctx, r.generation, n)
	if err != nil {
		t.Fatalf("asking how far the store has come: %v", err)
	}
	if len(all) != int(n) {
		t.Fatalf("%d positions, asked for %d", len(all), n)
	}
	return all
}

// entry returns an entry with a message in it. Everybody in one test has the same few
// users, so each belongs to one partition.
func entry(user string, offset, time int64, peers ...string) history.Entry {
	e := history.Entry{User: []byte(user), Offset: offset, Time: time}
	m := backplane.Message{From: []byte(user), ID: fmt.Append(nil, offset), Body: []byte("a body")}
	for _, p := range peers {
		e.Peers = append(e.Peers, []byte(p))
		m.To = append(m.To, []byte(p))
	}
	m.MessageID = backplane.Identify(nil, &m)
	e.Value = backplane.AppendMessage(nil, &m)
	return e
}

// batch returns a batch that ends with the last of its entries and erasures.
func (r *rig) batch(p backplane.Partition, entries []history.Entry, erasures ...history.Erasure) *history.Batch {
	b := &history.Batch{Generation: r.generation, Partition: p, Entries: entries, Erasures: erasures,
		Applied: history.Applied{Offset: -1, Time: r.now}}
	for _, e := range entries {
		b.Applied.Offset = max(b.Applied.Offset, e.Offset)
	}
	for _, e := range erasures {
		b.Applied.Offset = max(b.Applied.Offset, e.Offset)
	}
	return b
}

// offsetsOf returns the offsets of a page's entries.
func offsetsOf(p history.Page) []int64 {
	offsets := make([]int64, 0, len(p.Entries))
	for _, e := range p.Entries {
		offsets = append(offsets, e.Offset)
	}
	return offsets
}

// expect compares what a query reads with offsets.
func (r *rig) expect(t tb, q history.Query, want ...int64) {
	t.Helper()
	if got := offsetsOf(r.read(t, q)); !slices.Equal(got, want) {
		t.Fatalf("%q after %d before %d backward %v peer %q: offsets %v, want %v",
			q.User, q.After, q.Before, q.Backward, q.Peer, got, want)
	}
}

// all is the query for everything of a user in partition 0.
func (r *rig) all(user string) history.Query {
	return history.Query{User: []byte(user), After: -1, Before: endless, Limit: 1000, Bytes: 1 << 30, Now: r.now}
}

func same(a, b *history.Entry) error {
	switch {
	case string(a.User) != string(b.User), a.Offset != b.Offset, a.Time != b.Time, a.Expires != b.Expires:
		return fmt.Errorf("%q %d %d %d is not %q %d %d %d", a.User, a.Offset, a.Time, a.Expires, b.User, b.Offset, b.Time, b.Expires)
	case string(a.Value) != string(b.Value):
		return errors.New("another value")
	case a.Peers != nil:
		return errors.New("an entry that was read has peers")
	}
	return nil
}
