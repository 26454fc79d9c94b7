package placement_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/server/placement"
)

// snapshot is a cluster of a, b and c: partition 0 is a's, 1 goes from a to b, 2 has
// come from a to b, and 3 has come from a to b and goes on to c.
func snapshot() *cluster.Snapshot {
	changes := []cluster.Change{
		cluster.Put(cluster.Settings{Partitions: 4}),
		cluster.Put(cluster.Controller{Version: 12, Node: "a"}),
		cluster.Put(cluster.Assignment{Partition: 0, Owner: "a"}),
		cluster.Put(cluster.Assignment{Partition: 1, Owner: "a", Next: "b"}),
		cluster.Put(cluster.Assignment{Partition: 2, Owner: "b", Previous: "a"}),
		cluster.Put(cluster.Assignment{Partition: 3, Owner: "b", Next: "c", Previous: "a"}),
	}
	for _, id := range []string{"c", "b", "a"} {
		changes = append(changes, cluster.Put(cluster.Node{ID: id, URL: "ws://" + id}))
	}
	return new(cluster.Snapshot).With(changes...)
}

func TestFromSnapshot(t *testing.T) {
	const none, owner, next, previous = placement.None, placement.Owner, placement.Next, placement.Previous
	for self, roles := range map[string][]placement.Role{
		"a":       {owner, owner, previous, previous},
		"b":       {none, next, owner, owner},
		"c":       {none, none, none, next},
		"unknown": {none, none, none, none},
		"":        {none, none, none, none},
	} {
		m, err := placement.FromSnapshot(snapshot(), self)
		if err != nil {
			t.Fatalf("%q: %v", self, err)
		}
		if m.Version() != 12 || m.N() != 4 || m.Self() != self {
			t.Errorf("version %d, %d partitions, self %q", m.Version(), m.N(), m.Self())
		}
		var local []backplane.Partition
		for p, want := range roles {
			p := backplane.Partition(p)
			if got := m.Role(p); got != want {
				t.Errorf("%q is %v of partition %d, want %v", self, got, p, want)
			}
			if m.Local(p) != (want != none) {
				t.Errorf("%q, partition %d: local is %v", self, p, m.Local(p))
			}
			if want != none {
				local = append(local, p)
			}
			wantOwner := []string{"a", "a", "b", "b"}[p]
			if node, url := m.Owner(p); node != wantOwner || url != "ws://"+wantOwner {
				t.Errorf("partition %d belongs to %q at %q, want %q", p, node, url, wantOwner)
			}
		}
		if got := m.Partitions(); !slices.Equal(got, local) {
			t.Errorf("%q has the partitions %v, want %v", self, got, local)
		}
		if got := m.Nodes(); len(got) != 3 || got[0].Name != "a" || got[2].URL != "ws://c" {
			t.Errorf("nodes are %v", got)
		}
		p, node, _ := m.Lookup("alice")
		if wantNode, _ := m.Owner(backplane.PartitionOf("alice", 4)); p != backplane.PartitionOf("alice", 4) || node != wantNode {
			t.Errorf("alice is in partition %d of %q", p, node)
		}
	}
}

func TestFromSnapshotThatIsNotComplete(t *testing.T) {
	_, err := placement.FromSnapshot(new(cluster.Snapshot), "a")
	var settings *placement.SettingsError
	if !errors.As(err, &settings) {
		t.Errorf("an empty cluster: %v", err)
	}

	s := snapshot().With(cluster.Delete("node/a"), cluster.Delete("partition/2"), cluster.Delete("partition/3"))
	_, err = placement.FromSnapshot(s, "b")
	var unowned *placement.UnownedError
	var nodes *placement.NodesError
	if !errors.As(err, &unowned) || !errors.As(err, &nodes) {
		t.Fatalf("the error is %v", err)
	}
	if unowned.Partitions.String() != "2-3" || nodes.Node != "a" {
		t.Errorf("unowned are %v, the node is %q", unowned.Partitions, nodes.Node)
	}
	const want = "node \"a\" owns partitions, and the cluster does not know it\n" +
		"no node owns partitions 2-3: every partition has exactly one owner"
	if err.Error() != want {
		t.Errorf("error is\n%v, want\n%s", err, want)
	}
}

func TestRolesHaveNames(t *testing.T) {
	for role, want := range map[placement.Role]string{
		placement.None: "none", placement.Owner: "owner", placement.Next: "next", placement.Previous: "previous",
	} {
		if role.String() != want {
			t.Errorf("%d is %q, want %q", role, role, want)
		}
	}
}

// TestCurrent has readers that look at one Map after the other while these are
// replaced: each is of one piece, and none is older than the one before.
func TestCurrent(t *testing.T) {
	var empty placement.Current
	if empty.Load() != nil {
		t.Error("a Current holds a Map before there is one")
	}
	const versions = 500
	build := func(version uint64) *placement.Map {
		owner := fmt.Sprint("n", version)
		m, err := placement.New(version, 2, owner, []placement.Node{{Name: owner, Partitions: placement.All(2)}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	current := placement.NewCurrent(build(1))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for last := uint64(0); last < versions; {
				m := current.Load()
				if m.Version() < last {
					t.Errorf("version %d came after %d", m.Version(), last)
					return
				}
				last = m.Version()
				if node, _ := m.Owner(1); node != fmt.Sprint("n", last) {
					t.Errorf("version %d has the owner %s", last, node)
				}
			}
		})
	}
	for v := uint64(2); v <= versions; v++ {
		current.Store(build(v))
	}
	wg.Wait()
}

func BenchmarkFromSnapshot(b *testing.B) {
	changes := []cluster.Change{cluster.Put(cluster.Settings{Partitions: 1024})}
	for i := range 50 {
		changes = append(changes, cluster.Put(cluster.Node{ID: fmt.Sprint("node-", i)}))
	}
	for p := range backplane.Partition(1024) {
		changes = append(changes, cluster.Put(cluster.Assignment{Partition: p, Owner: fmt.Sprint("node-", p%50)}))
	}
	s := new(cluster.Snapshot).With(changes...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := placement.FromSnapshot(s, "node-1"); err != nil {
			b.Fatal(err)
		}
	}
}
