package cluster_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// TestPlans compares what plans print, and what they are as JSON, with a golden file.
func TestPlans(t *testing.T) {
	s := base(t).With(cluster.Delete("partition/5"), cluster.Put(cluster.Assignment{Partition: 5, Owner: "b"}))
	m := cluster.Moment{Now: now}
	silent := cluster.Moment{Now: now, Suspected: map[string]bool{"a": true}}
	settings, _ := s.Settings()
	settings.Live.MovesInFlight = 5
	a, _ := s.Node("a")
	a.State, a.Reason = cluster.Standby, cluster.ReasonSuspected
	standby, _ := s.Node("t")
	standby.State, standby.Reason = cluster.Active, cluster.ReasonReplaced

	ended := standby
	ended.State, ended.Reason = cluster.Standby, cluster.ReasonEnded

	requestOf := func(s *cluster.Snapshot, r cluster.Request, m cluster.Moment) cluster.Plan {
		p, err := cluster.PlanRequest(s, r, m)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		return p
	}
	request := func(r cluster.Request, m cluster.Moment) cluster.Plan { return requestOf(s, r, m) }
	decision := func(m cluster.Moment, changes ...cluster.Change) cluster.Plan {
		return cluster.PlanDecision(s, s.With(changes...), m)
	}
	var text strings.Builder
	for _, test := range []struct {
		name string
		plan cluster.Plan
	}{
		{"target", cluster.PlanTarget(s, m)},
		{"target with a silent", cluster.PlanTarget(s, silent)},
		{"target without a", cluster.PlanTarget(s.With(cluster.Delete("node/a"), cluster.Delete("partition/2")), m)},
		{"rebalance", request(ask(cluster.KindRebalance, ""), m)},
		{"join n", request(join("n"), m)},
		{"drain a", request(ask(cluster.KindDrain, "a"), m)},
		{"standby a", request(ask(cluster.KindStandby, "a"), m)},
		{"standby t, which has ended", requestOf(s.With(cluster.Put(ended)), ask(cluster.KindStandby, "t"), m)},
		{"remove l", request(ask(cluster.KindRemove, "l"), m)},
		{"weight of b 3", request(cluster.Request{Kind: cluster.KindWeight, Node: "b", Weight: ptr(3)}, m)},
		{"move 0 and 2 to b", request(cluster.Request{Kind: cluster.KindMove, Partitions: ranges(t, "0,2"), To: "b"}, m)},
		{"settings", request(cluster.Request{Kind: cluster.KindSettings, Live: &cluster.LiveChange{MovesInFlight: ptr(5)}}, m)},
		{"nothing decided", decision(m)},
		{"decided: everything a step on", decision(m,
			cluster.Put(settings),
			cluster.Put(cluster.Controller{Version: 21, Node: "b", Epoch: 2}),
			cluster.Put(cluster.Assignment{Partition: 0, Owner: "a", Next: "b"}),
			cluster.Put(cluster.Assignment{Partition: 3, Owner: "b", Previous: "a"}),
			cluster.Put(cluster.Assignment{Partition: 6, Owner: "b"}),
		)},
		{"decided: a move is given up", decision(m, cluster.Put(cluster.Assignment{Partition: 3, Owner: "a"}))},
		{"decided: a is replaced by t", decision(silent,
			cluster.Put(a), cluster.Put(standby),
			cluster.Put(cluster.Assignment{Partition: 0, Owner: "t"}), cluster.Put(cluster.Assignment{Partition: 1, Owner: "t"}),
			cluster.Put(cluster.Assignment{Partition: 2, Owner: "t"}), cluster.Put(cluster.Assignment{Partition: 3, Owner: "b"}),
			cluster.Put(cluster.Assignment{Partition: 7, Owner: "b"}),
		)},
		{"decided: a new cluster", cluster.PlanDecision(new(cluster.Snapshot), s, m)},
	} {
		asJSON, err := json.Marshal(test.plan)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("# " + test.name + "\n" + test.plan.String() + string(asJSON) + "\n\n")
	}
	path := filepath.Join("testdata", "plans.txt")
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("the plans are\n%s\nwant\n%s", text.String(), want)
	}

	var refusal *cluster.Refusal
	if _, err := cluster.PlanRequest(s, ask(cluster.KindRemove, "a"), m); !errors.As(err, &refusal) || refusal.Code != cluster.CodeInUse {
		t.Errorf("the plan of what is refused: %v", err)
	}
}
