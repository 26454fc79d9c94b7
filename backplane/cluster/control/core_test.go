package control

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
)

// alone returns a Core that has the place, and a function that gives decisions back to it.
func alone(t *testing.T) (core *Core, next func() Decision) {
	core = New(Config{Node: "n1", Settings: cluster.Settings{Partitions: 4, Generation: 1, Live: cluster.DefaultLive()}})
	core.Lead()
	return core, func() Decision {
		t.Helper()
		d, ok := core.Next(t0)
		if !ok {
			t.Fatal("there is no decision")
		}
		core.Apply(d.Changes...)
		return d
	}
}

func TestNothingWithoutThePlace(t *testing.T) {
	core, _ := alone(t)
	core.Yield()
	if _, ok := core.Next(t0); ok || core.Leads() {
		t.Error("a Core that does not lead decides")
	}
}

// The next decision waits until all of the last one was read back.
func TestOneDecisionAtATime(t *testing.T) {
	core, next := alone(t)
	next()
	d, _ := core.Next(t0)
	if d.Entry.Kind != KindBegin {
		t.Fatalf("the decision is %v", d.Entry)
	}
	last := len(d.Changes) - 1
	core.Apply(d.Changes[:last]...)
	if _, ok := core.Next(t0); ok {
		t.Error("another decision before the last one was read back whole")
	}
	core.Apply(d.Changes[last])
	core.Apply(cluster.Put(cluster.Request{ID: "r", Kind: "dance"}))
	if d, ok := core.Next(t0); !ok || d.Entry.Kind != KindRefuse {
		t.Errorf("the decision is %v", d.Entry)
	}
}

// After a commit of which nobody knows how it ended, the Core begins anew with what it finds.
func TestLeadAgain(t *testing.T) {
	core, next := alone(t)
	next()
	lost, _ := core.Next(t0)
	core.Lead()
	again := next()
	if c, _ := core.Snapshot().Controller(); again.Entry.Kind != KindTake || c.Epoch != 2 {
		t.Errorf("epoch %d after %v", c.Epoch, again.Entry)
	}
	if d := next(); d.Entry.Kind != lost.Entry.Kind {
		t.Errorf("the decision is %v, not %v", d.Entry, lost.Entry)
	}
}

// Whoever reads that another node has taken the place is not the controller any more, also
// if nothing else told it so.
func TestAnotherController(t *testing.T) {
	core, next := alone(t)
	next()
	next()
	other := New(Config{Node: "n2"})
	other.Apply(cluster.Put(cluster.Controller{Version: 2, Node: "n1", Epoch: 1}))
	other.Lead()
	d, _ := other.Next(t0)
	core.Apply(d.Changes...)
	if c, _ := core.Snapshot().Controller(); core.Leads() || c.Node != "n2" {
		t.Errorf("n1 leads: %v, and the controller is %s", core.Leads(), c.Node)
	}
}

func TestNothingWhileTheRecordsAreNewer(t *testing.T) {
	core, next := alone(t)
	next()
	core.Apply(cluster.Parse(cluster.Record{Key: cluster.KeySettings, Value: []byte(`{"v":9}`)}))
	if d, ok := core.Next(t0); ok {
		t.Errorf("decided: %v", d.Entry)
	}
}

// TestEntryGolden fixes what people and programs that watch are sent.
func TestEntryGolden(t *testing.T) {
	core, next := alone(t)
	next()
	next()
	weight := 2
	r := join("n1", cluster.Active, weight, 1000)
	r.ID, r.Kind, r.By = "j1", cluster.KindJoin, "node n1"
	core.Apply(cluster.Put(r))
	core.Beat(beats.Beat{Node: "n1", Incarnation: 1, N: 1}, t0)
	got, err := json.MarshalIndent([]Entry{next().Entry, next().Entry}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/entry.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/entry.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s", got)
	}
}
