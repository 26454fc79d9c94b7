package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/kafkatest"
	"github.com/godwit-im/godwit/server/placement"
)

func TestMain(m *testing.M) { kafkatest.Main(m) }

// patience is how long a test waits for what must happen. It only ends tests that
// have failed.
const patience = time.Minute

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

var errTest = errors.New("not now")

// quiet is a log that nobody reads.
var quiet = slog.New(slog.DiscardHandler)

// reading is a Consumer that reads what it is told to, and reaches the end at once.
type reading struct {
	mu   sync.Mutex
	of   map[backplane.Partition]bool // guarded by mu
	adds int                          // guarded by mu
	fail error                        // guarded by mu: of Add
}

func newReading() *reading { return &reading{of: make(map[backplane.Partition]bool)} }

func (r *reading) Add(list []backplane.Partition, _ int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adds++
	if r.fail != nil {
		return r.fail
	}
	for _, p := range list {
		if r.of[p] {
			panic(fmt.Sprint("read already: ", p))
		}
		r.of[p] = true
	}
	return nil
}

func (r *reading) Remove(list []backplane.Partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range list {
		if !r.of[p] {
			panic(fmt.Sprint("not read: ", p))
		}
		delete(r.of, p)
	}
}

func (r *reading) Reached(p backplane.Partition) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[p]
}

// answer sets what Add returns from now on. It returns how often Add was called since the
// last time.
func (r *reading) answer(err error) (adds int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	adds, r.adds = r.adds, 0
	r.fail = err
	return adds
}

func (r *reading) Ready() bool { return true }
func (r *reading) Err() error  { return nil }

// list returns what is read, in order.
func (r *reading) list() (list []backplane.Partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.of {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

// self is the node whose parts are tested.
const self = "n1"

// mapOf returns the map of version by which node self has the roles of the partitions;
// what is not self's is n2's.
func mapOf(version uint64, roles []placement.Role) *placement.Map {
	m, err := placement.FromSnapshot(new(cluster.Snapshot).With(recordsOf(version, roles)...), self)
	if err != nil {
		panic(err)
	}
	return m
}

func recordsOf(version uint64, roles []placement.Role) []cluster.Change {
	changes := []cluster.Change{
		cluster.Put(cluster.Settings{Version: version, Partitions: int32(len(roles)), Generation: 1, Live: cluster.DefaultLive()}),
		cluster.Put(cluster.Controller{Version: version, Node: "n2", Epoch: 1}),
		cluster.Put(cluster.Node{ID: self, URL: "ws://n1", State: cluster.Active}),
		cluster.Put(cluster.Node{ID: "n2", URL: "ws://n2", State: cluster.Active}),
	}
	for p, role := range roles {
		a := cluster.Assignment{Partition: backplane.Partition(p), Version: version, Owner: "n2"}
		switch role {
		case placement.Owner:
			a.Owner = self
		case placement.Next:
			a.Next = self
		case placement.Previous:
			a.Previous = self
		}
		changes = append(changes, cluster.Put(a))
	}
	return changes
}

// usersOf returns n users of a partition.
func usersOf(p backplane.Partition, partitions int32, n int) (users []string) {
	for i := 0; len(users) < n; i++ {
		if user := fmt.Sprint("u", i); backplane.PartitionOf(user, partitions) == p {
			users = append(users, user)
		}
	}
	return users
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
