package cluster_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fired(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// newer returns a record of a format that is not understood yet.
func newer(key string) cluster.Change {
	return cluster.Parse(cluster.Record{Key: key, Value: []byte(`{"v":2}`)})
}

func TestViewFollowsRecords(t *testing.T) {
	v := cluster.NewView()
	s := v.Snapshot()
	if _, ok := s.Settings(); ok || s.N() != 0 || s.Version() != 0 || len(s.Nodes()) != 0 {
		t.Errorf("an empty view has settings, %d partitions, version %d, nodes %v", s.N(), s.Version(), s.Nodes())
	}
	// The settings come last, as they do once they have been written again.
	v.Apply(
		cluster.Put(cluster.Node{ID: "b", State: cluster.Standby}),
		cluster.Put(cluster.Node{ID: "a", State: cluster.Active}),
		cluster.Put(cluster.Assignment{Partition: 3, Owner: "a", Next: "b"}),
		cluster.Put(cluster.Settings{Partitions: 4}),
		cluster.Put(cluster.Controller{Version: 9, Node: "a"}),
	)
	s = v.Snapshot()
	if s.Version() != 9 || s.N() != 4 {
		t.Errorf("version %d of %d partitions, want 9 of 4", s.Version(), s.N())
	}
	if c, ok := s.Controller(); !ok || c.Node != "a" {
		t.Errorf("the controller is %+v", c)
	}
	if nodes := s.Nodes(); len(nodes) != 2 || nodes[0].ID != "a" || nodes[1].ID != "b" {
		t.Errorf("nodes are %+v", nodes)
	}
	if n, ok := s.Node("b"); !ok || n.State != cluster.Standby {
		t.Errorf("node b is %+v, %v", n, ok)
	}
	if a := s.Assignment(3); a.Owner != "a" || a.Next != "b" {
		t.Errorf("partition 3 is %+v", a)
	}
	for _, p := range []backplane.Partition{-1, 0, 4, 9999} {
		if a := s.Assignment(p); a.Partition != p || a.Owner != "" {
			t.Errorf("partition %d is %+v", p, a)
		}
	}
	if got := s.RolesOf("b"); !slices.Equal(got, []backplane.Partition{3}) {
		t.Errorf("b has roles in %v", got)
	}

	v.Apply(cluster.Delete("node/b"), cluster.Delete("partition/3"), cluster.Delete("node/c"), cluster.Delete("settings"), cluster.Delete("controller"))
	if _, ok := s.Node("b"); !ok || s.N() != 4 || s.Assignment(3).Owner != "a" {
		t.Error("an old snapshot has changed")
	}
	s = v.Snapshot()
	if _, ok := s.Controller(); ok || s.N() != 0 || len(s.Nodes()) != 1 || s.Assignment(3).Owner != "" || s.Version() != 0 {
		t.Errorf("tombstones left %v", describe(v))
	}
}

func TestForeignRecordsCountAsAbsent(t *testing.T) {
	v := cluster.NewView()
	v.Apply(
		cluster.Put(cluster.Settings{Partitions: 4}), cluster.Put(cluster.Controller{Version: 9, Node: "a"}),
		cluster.Put(cluster.Node{ID: "a"}), cluster.Put(cluster.Assignment{Partition: 1, Owner: "a"}), cluster.Put(cluster.Assignment{Partition: 2, Owner: "a"}),
	)
	keys := []string{"settings", "controller", "node/a", "partition/1", "quota/x"}
	for _, key := range keys {
		v.Apply(newer(key))
	}
	v.Apply(cluster.Parse(cluster.Record{Key: "partition/2", Value: []byte("?")}))
	s := v.Snapshot()
	if s.N() != 0 || s.Version() != 0 || len(s.Nodes()) != 0 || s.Assignment(1).Owner != "" || s.Assignment(2).Owner != "" || s.Understood() {
		t.Errorf("records of a higher version count: %v", describe(v))
	}
	for _, key := range keys {
		c, ok, _ := v.Get(key)
		if f, foreign := c.Body.(cluster.Foreign); !ok || !foreign || string(f.Value) != `{"v":2}` {
			t.Errorf("under %s there is %+v", key, c)
		}
		if !s.Protected(key) {
			t.Errorf("%s is not protected", key)
		}
		if v.Apply(cluster.Delete(key)); v.Snapshot().Protected(key) {
			t.Errorf("%s is protected when there is nothing", key)
		}
	}
	if s.Protected("partition/2") {
		t.Error("what has no meaning is protected")
	}
	if !v.Snapshot().Understood() {
		t.Error("an empty cluster is not understood")
	}
}

// TestWatches: a watch fires for its own keys, once for a whole step, and by then the
// view is new.
func TestWatches(t *testing.T) {
	v := cluster.NewView()
	v.Apply(cluster.Put(cluster.Node{ID: "a"}), cluster.Put(cluster.Node{ID: "b"}), cluster.Put(cluster.Result{ID: "r0"}))

	_, ok, result := v.Get(cluster.ResultKey("r1"))
	_, _, other := v.Get(cluster.NodeKey("b"))
	nodes, inNodes := v.List(cluster.PrefixNode)
	inResults := v.Changed(cluster.PrefixResult)
	everything := v.Changed("")
	if ok || len(nodes) != 2 {
		t.Fatalf("result %v, nodes %v", ok, nodes)
	}
	for _, c := range []<-chan struct{}{result, other, inNodes, inResults, everything} {
		if fired(c) {
			t.Fatal("a watch fires before anything has changed")
		}
	}
	v.Apply(cluster.Put(cluster.Result{ID: "r1", OK: true}))
	if !fired(result) || !fired(inResults) || !fired(everything) {
		t.Error("a watch does not fire for a new result")
	}
	if fired(other) || fired(inNodes) {
		t.Error("watches of nodes fire for a result")
	}
	if c, ok, _ := v.Get(cluster.ResultKey("r1")); !ok || !c.Body.(cluster.Result).OK {
		t.Errorf("the result is %+v", c)
	}
	v.Apply(cluster.Delete(cluster.NodeKey("b")))
	if !fired(other) || !fired(inNodes) {
		t.Error("watches of nodes do not fire for a tombstone")
	}
	if c, ok, _ := v.Get(cluster.NodeKey("b")); ok {
		t.Errorf("node b is %+v", c)
	}
	before := v.Snapshot()
	idle := v.Changed("")
	if v.Apply(); fired(idle) || v.Snapshot() != before {
		t.Error("no changes make a difference")
	}
	v.Apply(cluster.Put(cluster.Request{ID: "r"}), cluster.Put(cluster.Result{ID: "r"}))
	if v.Snapshot() != before {
		t.Error("a request makes a new snapshot")
	}
}

// TestWatchersFindTheNewView has readers that wait for each version and look whether
// everything that they can read is as new.
func TestWatchersFindTheNewView(t *testing.T) {
	const versions = 300
	v := cluster.NewView()
	v.Apply(cluster.Put(cluster.Settings{Partitions: 2}))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for seen := uint64(0); seen < versions; {
				changed := v.Changed(cluster.KeyController)
				s := v.Snapshot()
				if s.Version() == seen {
					<-changed
					continue
				}
				seen = s.Version()
				if owner := fmt.Sprint("n", seen); s.Assignment(0).Owner != owner || s.Assignment(1).Owner != owner {
					t.Errorf("version %d has owners %q and %q", seen, s.Assignment(0).Owner, s.Assignment(1).Owner)
				}
				if c, _, _ := v.Get(cluster.KeyController); c.Body != nil && c.Body.(cluster.Controller).Version > v.Snapshot().Version() {
					t.Error("the snapshot is behind the records")
				}
			}
		})
	}
	for i := range uint64(versions) {
		owner := fmt.Sprint("n", i+1)
		v.Apply(cluster.Seal(v.Snapshot(), cluster.Controller{Node: "c"}, []cluster.Change{
			cluster.Put(cluster.Assignment{Partition: 0, Owner: owner}), cluster.Put(cluster.Assignment{Partition: 1, Owner: owner}),
		})...)
	}
	wg.Wait()
}

func TestSeal(t *testing.T) {
	s := new(cluster.Snapshot).With(cluster.Put(cluster.Controller{Version: 41, Node: "a", Epoch: 1}))
	changes := make([]cluster.Change, 0, 8)
	changes = append(changes, cluster.Put(cluster.Node{ID: "b"}), cluster.Put(cluster.Assignment{Partition: 3, Owner: "b"}),
		cluster.Put(cluster.Settings{}), cluster.Put(cluster.Result{ID: "r"}), cluster.Delete("node/c"))
	sealed := cluster.Seal(s, cluster.Controller{Node: "a", Epoch: 1}, changes)
	want := []cluster.Change{
		cluster.Put(cluster.Node{ID: "b", Version: 42}), cluster.Put(cluster.Assignment{Partition: 3, Version: 42, Owner: "b"}),
		cluster.Put(cluster.Settings{Version: 42}), cluster.Put(cluster.Result{ID: "r", Version: 42}), cluster.Delete("node/c"),
		cluster.Put(cluster.Controller{Version: 42, Node: "a", Epoch: 1}),
	}
	if !reflect.DeepEqual(sealed, want) {
		t.Errorf("sealed are %+v, want %+v", sealed, want)
	}
	if changes[0].Body.(cluster.Node).Version != 0 || changes[:6][5].Key != "" {
		t.Error("the changes themselves are not as they were")
	}
	for i := range sealed {
		if got, want := s.With(sealed[:i+1]...).Version(), uint64(41+(i+1)/len(sealed)); got != want {
			t.Errorf("version %d after %d of %d records, want %d", got, i+1, len(sealed), want)
		}
	}
}

// describe writes all that can be read from a view.
func describe(v *cluster.View) string {
	var b strings.Builder
	all, _ := v.List("")
	for _, c := range all {
		fmt.Fprintf(&b, "%d %d %s %s\n", c.Offset, c.Time, c.Key, c.Record().Value)
	}
	b.WriteString(describeSnapshot(v.Snapshot()))
	return b.String()
}

func describeSnapshot(s *cluster.Snapshot) string {
	var b strings.Builder
	settings, ok := s.Settings()
	fmt.Fprintf(&b, "%d %d %+v %v", s.Version(), s.N(), settings, ok)
	controller, ok := s.Controller()
	fmt.Fprintf(&b, " %+v %v %v\n", controller, ok, s.Understood())
	for _, n := range s.Nodes() {
		fmt.Fprintf(&b, "%+v %v\n", n, s.RolesOf(n.ID))
	}
	for p := range backplane.Partition(20) {
		fmt.Fprintf(&b, "%+v\n", s.Assignment(p))
	}
	for _, key := range keysOfModel {
		fmt.Fprintln(&b, key, s.Protected(key))
	}
	return b.String()
}

var keysOfModel = []string{
	"settings", "controller", "node/a", "node/b", "node/c", "partition/0", "partition/1", "partition/2", "partition/11",
	"request/r", "request/s", "result/r", "result/s", "quota/x", "partition/x",
}

// drawRecord draws a record of one of a few keys: what the key is for, something that
// is not understood, or a tombstone.
func drawRecord(t *rapid.T, offset int64) cluster.Record {
	r := cluster.Record{Key: rapid.SampledFrom(keysOfModel).Draw(t, "key"), Offset: offset, Time: 1000 + offset}
	node := rapid.SampledFrom([]string{"a", "b", "c"})
	switch rapid.SampledFrom([]string{"", "", "", "", "tombstone", "newer", "nonsense"}).Draw(t, "form") {
	case "tombstone":
		return r
	case "newer":
		r.Value = []byte(`{"v":3}`)
		return r
	case "nonsense":
		r.Value = []byte(`{`)
		return r
	}
	prefix, id, _ := strings.Cut(r.Key, "/")
	var body cluster.Body
	switch prefix {
	case "settings":
		body = cluster.Settings{Partitions: rapid.SampledFrom([]int32{1, 3, 12}).Draw(t, "n")}
	case "controller":
		body = cluster.Controller{Version: rapid.Uint64Range(1, 99).Draw(t, "version"), Node: node.Draw(t, "node")}
	case "node":
		body = cluster.Node{ID: id, State: rapid.SampledFrom([]cluster.State{cluster.Active, cluster.Left}).Draw(t, "state")}
	case "partition":
		body = cluster.Assignment{Owner: node.Draw(t, "owner"), Next: node.Draw(t, "next")}
	case "request":
		body = cluster.Request{ID: id, Kind: cluster.KindRebalance}
	case "result":
		body = cluster.Result{ID: id}
	default:
		r.Value = []byte(`{"v":1}`)
		return r
	}
	r.Value = cluster.Put(body).Record().Value
	return r
}

// compact does what a broker may do to the first n records of a log: it drops
// records that a later one among these n has the key of, any of them, and tombstones of
// which no earlier record is left.
func compact(t *rapid.T, log []cluster.Record, n int) []cluster.Record {
	latest := make(map[string]int64)
	for _, r := range log[:n] {
		latest[r.Key] = r.Offset
	}
	stays := make(map[string]bool)
	var out []cluster.Record
	for _, r := range log[:n] {
		superseded := latest[r.Key] != r.Offset
		if (superseded || r.Value == nil && !stays[r.Key]) && rapid.Bool().Draw(t, "drop") {
			continue
		}
		stays[r.Key] = true
		out = append(out, r)
	}
	return append(out, log[n:]...)
}

func view(t *rapid.T, log []cluster.Record) *cluster.View {
	v := cluster.NewView()
	for len(log) > 0 {
		n := rapid.IntRange(1, len(log)).Draw(t, "batch")
		var changes []cluster.Change
		for _, r := range log[:n] {
			changes = append(changes, cluster.Parse(r))
		}
		v.Apply(changes...)
		log = log[n:]
	}
	return v
}

// TestViewDoesNotDependOnCompaction reads a log as it was written, and after any
// prefixes of it were compacted in any way: the views are the same. So are those of
// different steps.
func TestViewDoesNotDependOnCompaction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []cluster.Record
		for i := range rapid.IntRange(0, 60).Draw(t, "records") {
			log = append(log, drawRecord(t, int64(i)))
		}
		want := describe(view(t, log))
		compacted := log
		for range rapid.IntRange(1, 3).Draw(t, "compactions") {
			compacted = compact(t, compacted, rapid.IntRange(0, len(compacted)).Draw(t, "prefix"))
		}
		if got := describe(view(t, compacted)); got != want {
			t.Fatalf("the compacted log gives\n%s\nwant\n%s", got, want)
		}
	})
}

// TestSnapshotsNeverChange applies changes to a snapshot and its descendants, and finds
// each as it was.
func TestSnapshotsNeverChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []*cluster.Snapshot{new(cluster.Snapshot)}
		texts := []string{describeSnapshot(all[0])}
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			var changes []cluster.Change
			for range rapid.IntRange(0, 5).Draw(t, "changes") {
				changes = append(changes, cluster.Parse(drawRecord(t, int64(i))))
			}
			s := all[rapid.IntRange(0, len(all)-1).Draw(t, "of")].With(changes...)
			all, texts = append(all, s), append(texts, describeSnapshot(s))
		}
		for i, s := range all {
			if got := describeSnapshot(s); got != texts[i] {
				t.Fatalf("snapshot %d is\n%s\nit was\n%s", i, got, texts[i])
			}
		}
	})
}
