package placement_test

import (
	"errors"
	"testing"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/server/placement"
)

func parse(t *testing.T, text string) placement.Ranges {
	t.Helper()
	rs, err := placement.ParseRanges(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestMap(t *testing.T) {
	m, err := placement.New(7, 8, "b", []placement.Node{
		{Name: "a", URL: "ws://a", Partitions: parse(t, "0-3,6")},
		{Name: "b", URL: "ws://b", Partitions: parse(t, "4-5,7")},
		{Name: "spare", URL: "ws://spare"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.Version() != 7 || m.N() != 8 || m.Self() != "b" {
		t.Errorf("version %d, %d partitions, self %q", m.Version(), m.N(), m.Self())
	}
	for p, want := range []string{"a", "a", "a", "a", "b", "b", "a", "b"} {
		p := backplane.Partition(p)
		if node, url := m.Owner(p); node != want || url != "ws://"+want {
			t.Errorf("partition %d belongs to %q at %q, want %q", p, node, url, want)
		}
		if m.Local(p) != (want == "b") {
			t.Errorf("partition %d: local is %v", p, m.Local(p))
		}
	}
	if got := m.Partitions(); len(got) != 3 || got[0] != 4 || got[1] != 5 || got[2] != 7 {
		t.Errorf("own partitions are %v, want 4, 5 and 7", got)
	}
	if got := m.Nodes(); len(got) != 3 || got[2].Name != "spare" {
		t.Errorf("nodes are %v", got)
	}
	for _, user := range []string{"alice", "bob", "Zoë"} {
		p, node, url := m.Lookup(user)
		wantNode, wantURL := m.Owner(backplane.PartitionOf(user, 8))
		if p != backplane.PartitionOf(user, 8) || node != wantNode || url != wantURL {
			t.Errorf("%s is in partition %d of %q at %q", user, p, node, url)
		}
	}
}

func TestNewReportsEverything(t *testing.T) {
	_, err := placement.New(1, 8, "c", []placement.Node{
		{Name: "a", Partitions: parse(t, "0-3")},
		{Name: "b", Partitions: parse(t, "2-4,8-9")},
		{Name: "b", Partitions: parse(t, "7")},
	})
	var (
		overlap  *placement.OverlapError
		unowned  *placement.UnownedError
		outside  *placement.OutsideError
		nodes    *placement.NodesError
		complete = errors.As(err, &overlap) && errors.As(err, &unowned) && errors.As(err, &outside) && errors.As(err, &nodes)
	)
	if !complete {
		t.Fatalf("an error is missing in:\n%v", err)
	}
	if overlap.A != "a" || overlap.B != "b" || overlap.Partitions.String() != "2-3" {
		t.Errorf("overlap is %+v", overlap)
	}
	if unowned.Partitions.String() != "5-6" {
		t.Errorf("unowned are %v", unowned.Partitions)
	}
	if outside.Node != "b" || outside.Partitions.String() != "8-9" || outside.N != 8 {
		t.Errorf("outside are %+v", outside)
	}
	const want = `node "b" is named twice
node "c" is this node, and the map does not name it
"b" owns partitions 8-9: with 8 partitions the last one is 7
both "a" and "b" own partitions 2-3: every partition has exactly one owner
no node owns partitions 5-6: every partition has exactly one owner`
	if err.Error() != want {
		t.Errorf("error is\n%v, want\n%s", err, want)
	}
}

func TestNewRefusesSizes(t *testing.T) {
	for _, n := range []int32{-1, 0, backplane.MaxPartitions + 1} {
		if _, err := placement.New(1, n, "a", []placement.Node{{Name: "a"}}); err == nil {
			t.Errorf("%d partitions were accepted", n)
		}
	}
	if _, err := placement.New(1, 1, "a", make([]placement.Node, placement.MaxNodes+1)); err == nil {
		t.Error("too many nodes were accepted")
	}
}

func TestLookingUpAllocatesNothing(t *testing.T) {
	m, err := placement.New(1, 1024, "a", []placement.Node{{Name: "a", URL: "ws://a", Partitions: placement.All(1024)}})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		p, _, _ := m.Lookup("alice")
		m.Local(p)
		m.Role(p)
	}); n != 0 {
		t.Errorf("%v allocations a lookup", n)
	}
}
