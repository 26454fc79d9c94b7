package cluster_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
)

const now = 1_800_000_000_000

// node returns a node of a cluster under test. More of it is set by the caller.
func node(id string, state cluster.State, reason cluster.Reason) cluster.Node {
	return cluster.Node{
		ID: id, URL: "ws://" + id + ":8080/v1/connect", Admin: "http://" + id + ":8081",
		Capacity: 1000, Weight: 1, State: state, Reason: reason, Since: 5,
	}
}

// base is a cluster of eight partitions: a and b are active and own four each, of
// which 3 moves from a to b and 7 came to b from a; s and t are standbys, t the larger;
// d drains, l has left, and o stops while it is the previous owner of 6. m was written
// by a newer godwit, and so was the record of partition 5.
func base(t testing.TB) *cluster.Snapshot {
	t.Helper()
	large := node("t", cluster.Standby, cluster.ReasonSuspected)
	large.Capacity = 2000
	changes := []cluster.Change{
		cluster.Put(cluster.Settings{Partitions: 8, Live: cluster.Live{MovesInFlight: 3, MovedPerSecond: 10}}),
		cluster.Put(cluster.Controller{Version: 20, Node: "a", Epoch: 1}),
		cluster.Put(node("a", cluster.Active, cluster.ReasonJoined)),
		cluster.Put(node("b", cluster.Active, cluster.ReasonJoined)),
		cluster.Put(node("s", cluster.Standby, cluster.ReasonJoined)),
		cluster.Put(large),
		cluster.Put(node("d", cluster.Draining, cluster.ReasonOperator)),
		cluster.Put(node("o", cluster.Draining, cluster.ReasonLeave)),
		cluster.Put(node("l", cluster.Left, cluster.ReasonLeave)),
		newer("node/m"), newer("partition/5"),
	}
	for p := range backplane.Partition(8) {
		a := cluster.Assignment{Partition: p, Owner: "a"}
		switch p {
		case 3:
			a.Next = "b"
		case 4:
			a.Owner = "b"
		case 5:
			continue
		case 6:
			a.Owner, a.Previous = "b", "o"
		case 7:
			a.Owner, a.Previous = "b", "a"
		}
		changes = append(changes, cluster.Put(a))
	}
	return new(cluster.Snapshot).With(changes...)
}

// with returns n as f leaves it.
func with(n cluster.Node, f func(*cluster.Node)) cluster.Node {
	f(&n)
	return n
}

// state returns a change of f's node to a state that begins now.
func state(n cluster.Node, state cluster.State, reason cluster.Reason) cluster.Change {
	n.State, n.Reason, n.Since = state, reason, now
	return cluster.Put(n)
}

func join(id string) cluster.Request {
	n := node(id, "", "")
	return cluster.Request{Kind: cluster.KindJoin, Node: id, URL: n.URL, Admin: n.Admin, Capacity: n.Capacity}
}

func joinWith(id string, f func(*cluster.Request)) cluster.Request {
	r := join(id)
	f(&r)
	return r
}

func ask(kind cluster.Kind, id string) cluster.Request { return cluster.Request{Kind: kind, Node: id} }

func TestJudge(t *testing.T) {
	s := base(t)
	// The same without the standbys.
	alone := s.With(cluster.Delete("node/s"), cluster.Delete("node/t"))
	// And with a as the last active node.
	last := alone.With(cluster.Put(node("b", cluster.Standby, "")))
	get := func(id string) cluster.Node {
		n, ok := s.Node(id)
		if !ok {
			t.Fatalf("no node %s", id)
		}
		return n
	}
	settings, _ := s.Settings()
	move := func(partitions, to string) cluster.Request {
		return cluster.Request{Kind: cluster.KindMove, Partitions: ranges(t, partitions), To: to}
	}
	live := func(c cluster.LiveChange) cluster.Request {
		return cluster.Request{Kind: cluster.KindSettings, Live: &c}
	}
	many := []cluster.Change{}
	for i := range cluster.MaxNodes {
		many = append(many, cluster.Put(node(fmt.Sprint("n", i), cluster.Left, "")))
	}

	for _, test := range []struct {
		name      string
		s         *cluster.Snapshot // nil is base
		r         cluster.Request
		suspected string
		want      []cluster.Change
		code      cluster.Code
	}{
		{name: "join anew", r: join("n"), want: []cluster.Change{state(node("n", "", ""), cluster.Active, cluster.ReasonJoined)}},
		{name: "join as standby with a weight", r: joinWith("n", func(r *cluster.Request) { r.Role, r.Weight = cluster.Standby, ptr(0) }),
			want: []cluster.Change{state(with(node("n", "", ""), func(n *cluster.Node) { n.Weight = 0 }), cluster.Standby, cluster.ReasonJoined)}},
		{name: "join after leaving", r: joinWith("l", func(r *cluster.Request) { r.Capacity, r.Weight = 7, ptr(9) }),
			want: []cluster.Change{state(with(get("l"), func(n *cluster.Node) { n.Capacity = 7 }), cluster.Active, cluster.ReasonJoined)}},
		{name: "join after leaving, as standby", r: joinWith("l", func(r *cluster.Request) { r.Role = cluster.Standby }),
			want: []cluster.Change{state(get("l"), cluster.Standby, cluster.ReasonJoined)}},
		{name: "join before having left", r: join("o"), want: []cluster.Change{state(get("o"), cluster.Active, cluster.ReasonJoined)}},
		{name: "join again", r: join("a")},
		{name: "join at another address", r: joinWith("a", func(r *cluster.Request) { r.URL, r.Weight = "wss://other", ptr(9) }),
			want: []cluster.Change{cluster.Put(with(get("a"), func(n *cluster.Node) { n.URL = "wss://other" }))}},
		{name: "join at another admin address", r: joinWith("a", func(r *cluster.Request) { r.Admin = "https://other" }),
			want: []cluster.Change{cluster.Put(with(get("a"), func(n *cluster.Node) { n.Admin = "https://other" }))}},
		{name: "join after being replaced", r: joinWith("t", func(r *cluster.Request) { r.Capacity = 2000 })},
		{name: "join while draining", r: join("d")},
		{name: "join with a bad id", r: join("a b"), code: cluster.CodeBadID},
		{name: "join with no id", r: join(""), code: cluster.CodeBadID},
		{name: "join over a newer record", r: join("m"), code: cluster.CodeNewerRecord},
		{name: "join with a bad role", r: joinWith("n", func(r *cluster.Request) { r.Role = cluster.Draining }), code: cluster.CodeBadRole},
		{name: "join with no address", r: joinWith("n", func(r *cluster.Request) { r.URL = "" }), code: cluster.CodeBadURL},
		{name: "join with an address of another kind", r: joinWith("n", func(r *cluster.Request) { r.URL = r.Admin }), code: cluster.CodeBadURL},
		{name: "join with a password", r: joinWith("n", func(r *cluster.Request) { r.URL = "ws://u:p@n" }), code: cluster.CodeBadURL},
		{name: "join with a query", r: joinWith("n", func(r *cluster.Request) { r.URL = "ws://n?a=b" }), code: cluster.CodeBadURL},
		{name: "join with a long address", r: joinWith("n", func(r *cluster.Request) { r.URL = "ws://n/" + strings.Repeat("x", cluster.MaxURL) }), code: cluster.CodeBadURL},
		{name: "join without a host", r: joinWith("n", func(r *cluster.Request) { r.Admin = "http://:80" }), code: cluster.CodeBadAdmin},
		{name: "join with nonsense for an address", r: joinWith("n", func(r *cluster.Request) { r.Admin = "::" }), code: cluster.CodeBadAdmin},
		{name: "join without capacity", r: joinWith("n", func(r *cluster.Request) { r.Capacity = 0 }), code: cluster.CodeBadCapacity},
		{name: "join with too much capacity", r: joinWith("n", func(r *cluster.Request) { r.Capacity = cluster.MaxCapacity + 1 }), code: cluster.CodeBadCapacity},
		{name: "join with a bad weight", r: joinWith("n", func(r *cluster.Request) { r.Weight = ptr(-1) }), code: cluster.CodeBadWeight},
		{name: "join a full cluster", s: s.With(many...), r: join("n"), code: cluster.CodeTooManyNodes},
		{name: "join a full cluster again", s: s.With(many...), r: join("a")},

		{name: "leave", r: ask(cluster.KindLeave, "a"), want: []cluster.Change{state(get("a"), cluster.Draining, cluster.ReasonLeave)}},
		{name: "leave as a standby", r: ask(cluster.KindLeave, "s"), want: []cluster.Change{state(get("s"), cluster.Left, cluster.ReasonLeave)}},
		{name: "leave without partitions", s: s.With(cluster.Put(node("n", cluster.Active, ""))), r: ask(cluster.KindLeave, "n"),
			want: []cluster.Change{state(node("n", "", ""), cluster.Left, cluster.ReasonLeave)}},
		{name: "leave while draining", s: s.With(cluster.Put(cluster.Assignment{Partition: 0, Owner: "d"})), r: ask(cluster.KindLeave, "d"),
			want: []cluster.Change{cluster.Put(with(get("d"), func(n *cluster.Node) { n.Reason = cluster.ReasonLeave }))}},
		{name: "leave after draining", r: ask(cluster.KindLeave, "d"), want: []cluster.Change{state(get("d"), cluster.Left, cluster.ReasonLeave)}},
		{name: "leave twice", r: ask(cluster.KindLeave, "o")},
		{name: "leave after leaving", r: ask(cluster.KindLeave, "l")},
		{name: "leave as the last", s: last, r: ask(cluster.KindLeave, "a"), want: []cluster.Change{
			state(get("a"), cluster.Draining, cluster.ReasonLeave), state(get("b"), cluster.Active, cluster.ReasonPromoted),
		}},
		{name: "leave as the last without standby", s: alone, suspected: "b", r: ask(cluster.KindLeave, "a"), code: cluster.CodeLastNode},
		{name: "leave unknown", r: ask(cluster.KindLeave, "x"), code: cluster.CodeUnknownNode},

		{name: "drain", r: ask(cluster.KindDrain, "a"), want: []cluster.Change{state(get("a"), cluster.Draining, cluster.ReasonOperator)}},
		{name: "drain a standby", r: ask(cluster.KindDrain, "s"), want: []cluster.Change{state(get("s"), cluster.Draining, cluster.ReasonOperator)}},
		{name: "drain twice", r: ask(cluster.KindDrain, "d")},
		{name: "drain after leaving", r: ask(cluster.KindDrain, "l"), code: cluster.CodeNodeLeft},
		{name: "drain the last", s: alone, suspected: "b", r: ask(cluster.KindDrain, "a"), code: cluster.CodeLastNode},
		{name: "drain the last, the largest standby steps in", suspected: "b", r: ask(cluster.KindDrain, "a"), want: []cluster.Change{
			state(get("a"), cluster.Draining, cluster.ReasonOperator), state(get("t"), cluster.Active, cluster.ReasonPromoted),
		}},
		{name: "drain a node of a newer record", r: ask(cluster.KindDrain, "m"), code: cluster.CodeNewerRecord},

		{name: "standby", r: ask(cluster.KindStandby, "b"), want: []cluster.Change{state(get("b"), cluster.Standby, cluster.ReasonOperator)}},
		{name: "standby of a draining node", r: ask(cluster.KindStandby, "d"), want: []cluster.Change{state(get("d"), cluster.Standby, cluster.ReasonOperator)}},
		{name: "standby twice", r: ask(cluster.KindStandby, "s")},
		{name: "standby of the last", s: alone, suspected: "b", r: ask(cluster.KindStandby, "a"), code: cluster.CodeLastNode},

		{name: "add", r: ask(cluster.KindAdd, "s"), want: []cluster.Change{state(get("s"), cluster.Active, cluster.ReasonOperator)}},
		{name: "add a draining node", r: ask(cluster.KindAdd, "d"), want: []cluster.Change{state(get("d"), cluster.Active, cluster.ReasonOperator)}},
		{name: "add twice", r: ask(cluster.KindAdd, "a")},
		{name: "add a node that has left", r: ask(cluster.KindAdd, "l"), code: cluster.CodeNodeLeft},
		{name: "add a node that stops", r: ask(cluster.KindAdd, "o"), code: cluster.CodeNodeLeft},
		{name: "add a silent node", suspected: "s", r: ask(cluster.KindAdd, "s"), code: cluster.CodeSuspected},

		{name: "join after the end", s: s.With(cluster.Put(node("a", cluster.Standby, cluster.ReasonEnded))), r: join("a"),
			want: []cluster.Change{state(node("a", cluster.Standby, ""), cluster.Active, cluster.ReasonJoined)}},
		{name: "join as a standby after the end", s: s.With(cluster.Put(node("s", cluster.Standby, cluster.ReasonEnded))),
			r:    joinWith("s", func(r *cluster.Request) { r.Role, r.Capacity = cluster.Standby, 7 }),
			want: []cluster.Change{state(with(node("s", "", ""), func(n *cluster.Node) { n.Capacity = 7 }), cluster.Standby, cluster.ReasonJoined)}},
		{name: "standby after the end", s: s.With(cluster.Put(node("a", cluster.Standby, cluster.ReasonEnded))), r: ask(cluster.KindStandby, "a"),
			want: []cluster.Change{cluster.Put(node("a", cluster.Standby, cluster.ReasonOperator))}},
		{name: "join after the end, a standby as an operator wants it", s: s.With(cluster.Put(node("a", cluster.Standby, cluster.ReasonOperator))), r: join("a")},
		{name: "remove", r: ask(cluster.KindRemove, "l"), want: []cluster.Change{cluster.Delete("node/l")}},
		{name: "remove an owner", r: ask(cluster.KindRemove, "b"), code: cluster.CodeInUse},
		{name: "remove a previous owner", r: ask(cluster.KindRemove, "o"), code: cluster.CodeInUse},
		{name: "remove a next owner", s: s.With(cluster.Put(cluster.Assignment{Partition: 0, Owner: "a", Next: "s"})), r: ask(cluster.KindRemove, "s"), code: cluster.CodeInUse},
		{name: "remove the last", s: new(cluster.Snapshot).With(cluster.Put(cluster.Settings{Partitions: 1}), cluster.Put(node("a", cluster.Active, ""))),
			r: ask(cluster.KindRemove, "a"), code: cluster.CodeLastNode},

		{name: "weight", r: cluster.Request{Kind: cluster.KindWeight, Node: "a", Weight: ptr(5)},
			want: []cluster.Change{cluster.Put(with(get("a"), func(n *cluster.Node) { n.Weight = 5 }))}},
		{name: "weight 0", r: cluster.Request{Kind: cluster.KindWeight, Node: "a", Weight: ptr(0)},
			want: []cluster.Change{cluster.Put(with(get("a"), func(n *cluster.Node) { n.Weight = 0 }))}},
		{name: "weight as it is", r: cluster.Request{Kind: cluster.KindWeight, Node: "a", Weight: ptr(1)}},
		{name: "no weight", r: ask(cluster.KindWeight, "a"), code: cluster.CodeBadWeight},
		{name: "too much weight", r: cluster.Request{Kind: cluster.KindWeight, Node: "a", Weight: ptr(cluster.MaxWeight + 1)}, code: cluster.CodeBadWeight},
		{name: "weight 0 for the last", s: last, r: cluster.Request{Kind: cluster.KindWeight, Node: "a", Weight: ptr(0)}, code: cluster.CodeBadWeight},

		{name: "move", r: move("0-1,4,7", "b"), want: []cluster.Change{
			cluster.Put(cluster.Assignment{Partition: 0, Owner: "a", Next: "b"}),
			cluster.Put(cluster.Assignment{Partition: 1, Owner: "a", Next: "b"}),
		}},
		{name: "move what comes from elsewhere", r: move("7", "a"), want: []cluster.Change{
			cluster.Put(cluster.Assignment{Partition: 7, Owner: "b", Next: "a", Previous: "a"}),
		}},
		{name: "move again", r: move("3-4", "b")},
		{name: "move what moves elsewhere", r: move("3", "a"), code: cluster.CodeMoving},
		{name: "move too many", r: move("0-2", "b"), code: cluster.CodeTooManyMoves},
		{name: "move what nobody owns", s: s.With(cluster.Delete("partition/0"), cluster.Delete("partition/1"), cluster.Delete("partition/2")), r: move("0-2,7", "a"),
			want: []cluster.Change{
				cluster.Put(cluster.Assignment{Partition: 0, Owner: "a"}), cluster.Put(cluster.Assignment{Partition: 1, Owner: "a"}),
				cluster.Put(cluster.Assignment{Partition: 2, Owner: "a"}), cluster.Put(cluster.Assignment{Partition: 7, Owner: "b", Next: "a", Previous: "a"}),
			}},
		{name: "move nothing", r: move("", "b"), code: cluster.CodeBadPartitions},
		{name: "move what is not there", r: move("7-8", "b"), code: cluster.CodeBadPartitions},
		{name: "move a newer record", r: move("5", "b"), code: cluster.CodeNewerRecord},
		{name: "move to a standby", r: move("0", "s"), code: cluster.CodeNotActive},
		{name: "move to a silent node", suspected: "b", r: move("0", "b"), code: cluster.CodeSuspected},
		{name: "move to nobody", r: move("0", "x"), code: cluster.CodeUnknownNode},

		{name: "rebalance", r: ask(cluster.KindRebalance, "")},

		{name: "settings", r: live(cluster.LiveChange{MovesInFlight: ptr(9), LogLevel: ptr("warn"), SendsBurst: ptr(0)}),
			want: []cluster.Change{cluster.Put(func() cluster.Settings {
				s := settings
				s.Live.MovesInFlight, s.Live.LogLevel = 9, "warn"
				return s
			}())}},
		{name: "settings as they are", r: live(cluster.LiveChange{MovesInFlight: ptr(3)})},
		{name: "no settings", r: ask(cluster.KindSettings, ""), code: cluster.CodeBadSettings},
		{name: "no moves", r: live(cluster.LiveChange{MovesInFlight: ptr(0)}), code: cluster.CodeBadSettings},
		{name: "too fast", r: live(cluster.LiveChange{MovedPerSecond: ptr(cluster.MaxMovedPerSecond + 1)}), code: cluster.CodeBadSettings},
		{name: "less than none", r: live(cluster.LiveChange{SendsPerSecond: ptr(-1)}), code: cluster.CodeBadSettings},
		{name: "a level that is none", r: live(cluster.LiveChange{LogLevel: ptr("loud")}), code: cluster.CodeBadSettings},

		{name: "an unknown kind", r: ask("split", "a"), code: cluster.CodeUnknownKind},
		{name: "a long name", r: cluster.Request{Kind: cluster.KindRebalance, By: strings.Repeat("x", cluster.MaxText+1)}, code: cluster.CodeBadText},
		{name: "an empty cluster", s: new(cluster.Snapshot), r: join("a"), code: cluster.CodeNotReady},
		{name: "newer settings", s: s.With(newer("settings")), r: join("a"), code: cluster.CodeNewerRecord},
		{name: "a newer controller", s: s.With(newer("controller")), r: join("a"), code: cluster.CodeNewerRecord},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.s == nil {
				test.s = s
			}
			got, err := cluster.Judge(test.s, test.r, cluster.Moment{Now: now, Suspected: map[string]bool{test.suspected: true}})
			var refusal *cluster.Refusal
			switch {
			case test.code == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case test.code != "" && (!errors.As(err, &refusal) || refusal.Code != test.code || got != nil):
				t.Fatalf("changes %+v, error %v, want the code %s", got, err, test.code)
			case test.code != "" && (!strings.HasSuffix(refusal.Message, ".") || !strings.HasSuffix(err.Error(), "("+string(test.code)+")")):
				t.Errorf("the refusal says %q", err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("changes are\n%+v, want\n%+v", got, test.want)
			}
		})
	}
}

func TestResultOf(t *testing.T) {
	changes := []cluster.Change{cluster.Delete("node/a")}
	for _, test := range []struct {
		changes []cluster.Change
		err     error
		want    cluster.Result
	}{
		{changes, nil, cluster.Result{ID: "r", OK: true, At: now}},
		{nil, nil, cluster.Result{ID: "r", OK: true, Reason: cluster.CodeUnchanged, Message: cluster.Codes[cluster.CodeUnchanged], At: now}},
		{nil, &cluster.Refusal{Code: cluster.CodeInUse, Message: "No."}, cluster.Result{ID: "r", Reason: cluster.CodeInUse, Message: "No.", At: now}},
	} {
		if got := cluster.ResultOf("r", test.changes, test.err, now); !reflect.DeepEqual(got, test.want) {
			t.Errorf("the result is %+v, want %+v", got, test.want)
		}
	}
}

// TestEveryCodeIsExplained compares the table with the constants of the source.
func TestEveryCodeIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := make(map[cluster.Code]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
				code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				constants[cluster.Code(code)] = true
			}
		}
		return true
	})
	if len(constants) < 20 {
		t.Fatalf("only %d constants were found", len(constants))
	}
	for code := range constants {
		if !strings.HasSuffix(cluster.Codes[code], ".") {
			t.Errorf("%s is not explained by a sentence", code)
		}
	}
	for code := range cluster.Codes {
		if !constants[code] {
			t.Errorf("%s is explained, and is no constant", code)
		}
	}
}

// TestJudgedChangesKeepTheRules grants random requests and checks what must hold after
// each: nobody who has partitions is forgotten or has left, some active node is alive if
// one was, and no record of a higher version is written over.
func TestJudgedChangesKeepTheRules(t *testing.T) {
	ids := []string{"a", "b", "s", "t", "d", "l", "o", "m", "n", "x y"}
	kinds := []cluster.Kind{
		cluster.KindJoin, cluster.KindLeave, cluster.KindDrain, cluster.KindAdd, cluster.KindStandby, cluster.KindRemove,
		cluster.KindMove, cluster.KindWeight, cluster.KindRebalance, cluster.KindSettings,
	}
	start := base(t)
	rapid.Check(t, func(t *rapid.T) {
		s := start
		for range rapid.IntRange(1, 40).Draw(t, "requests") {
			r := join(rapid.SampledFrom(ids).Draw(t, "node"))
			r.Kind = rapid.SampledFrom(kinds).Draw(t, "kind")
			r.To = rapid.SampledFrom(ids).Draw(t, "to")
			first := backplane.Partition(rapid.IntRange(0, 8).Draw(t, "partition"))
			r.Partitions = cluster.Ranges{{First: first, Last: first + 1}}
			r.Weight = ptr(rapid.IntRange(-1, 2).Draw(t, "weight"))
			r.Live = &cluster.LiveChange{MovesInFlight: ptr(rapid.IntRange(0, 9).Draw(t, "moves"))}
			m := cluster.Moment{Now: now, Suspected: map[string]bool{rapid.SampledFrom(ids).Draw(t, "suspected"): true}}

			changes, err := cluster.Judge(s, r, m)
			if again, errAgain := cluster.Judge(s, r, m); !reflect.DeepEqual(again, changes) || !reflect.DeepEqual(errAgain, err) {
				t.Fatalf("%+v was judged in two ways", r)
			}
			if err != nil {
				if _, ok := err.(*cluster.Refusal); !ok {
					t.Fatalf("the error is a %T", err)
				}
				continue
			}
			for _, c := range changes {
				if s.Protected(c.Key) {
					t.Fatalf("%+v writes over %s", r, c.Key)
				}
			}
			before := alive(s, m)
			s = s.With(changes...)
			if before > 0 && alive(s, m) == 0 {
				t.Fatalf("%+v leaves no active node", r)
			}
			for p := range backplane.Partition(8) {
				if p == 5 {
					continue
				}
				a := s.Assignment(p)
				for _, id := range []string{a.Owner, a.Next, a.Previous} {
					if n, ok := s.Node(id); id != "" && (!ok || n.State == cluster.Left) {
						t.Fatalf("%+v leaves partition %d with %s", r, p, id)
					}
				}
			}
		}
	})
}

func alive(s *cluster.Snapshot, m cluster.Moment) int {
	count := 0
	for _, n := range s.Nodes() {
		if n.State == cluster.Active && !m.Suspected[n.ID] {
			count++
		}
	}
	return count
}
