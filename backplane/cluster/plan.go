package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/backplane"
)

// Why says why partitions move.
type Why string

// The reasons for moves.
const (
	WhyUnowned   Why = "unowned"   // nobody owns them, or a node that is not known
	WhySuspected Why = "suspected" // their owner is silent
	WhyDraining  Why = "draining"  // their owner hands all over
	WhyStandby   Why = "standby"   // their owner is a standby now
	WhyLeft      Why = "left"      // their owner has left
	WhyRequested Why = "requested" // somebody asked for just that
	WhyBalance   Why = "balance"   // so that each node has its share
)

// Step is how far a decision takes a move.
type Step string

// The steps of a move, in their order; Replace is a move in one step.
const (
	StepWarm    Step = "warm"    // To gets ready
	StepFlip    Step = "flip"    // To was ready, and owns them; From serves the clients that it has
	StepRelease Step = "release" // From has let go
	StepReplace Step = "replace" // To owns them at once
	StepCancel  Step = "cancel"  // To need not get ready any more
)

// Move is partitions that go from one node to another for one reason.
type Move struct {
	Partitions Ranges `json:"partitions"`
	From       string `json:"from"` // "" for nobody
	To         string `json:"to"`
	Why        Why    `json:"why"`
	// Step is empty where the whole move is meant.
	Step Step `json:"step,omitempty"`
}

// RecordChange is what happens to a record that is not a partition's.
type RecordChange struct {
	Key  string `json:"key"`
	What string `json:"what"` // for people, such as "state active -> draining"
}

// Share is how many partitions a node owns before and after.
type Share struct {
	Node   string `json:"node"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

// Plan is what changes in a cluster: by a request, if it were granted now and
// everything that follows from it were done; or by one decision. It can be printed,
// and written as JSON.
type Plan struct {
	// Version is the map version that it begins from.
	Version uint64         `json:"version"`
	Changes []RecordChange `json:"changes,omitempty"`
	Moves   []Move         `json:"moves,omitempty"`
	Shares  []Share        `json:"shares,omitempty"` // of nodes with any, by id
}

// PlanTarget returns the moves that lead from the records to Target.
func PlanTarget(s *Snapshot, m Moment) Plan {
	return planned(s, s, Target(s, m), m, "")
}

// PlanRequest returns what a request leads to: the changes that Judge gives, and the
// moves that follow. Its error is Judge's *Refusal.
func PlanRequest(s *Snapshot, r Request, m Moment) (Plan, error) {
	changes, err := Judge(s, r, m)
	if err != nil {
		return Plan{}, err
	}
	after := s.With(changes...)
	switch r.Kind {
	case KindSettings:
		return planned(s, after, owners(s), m, ""), nil
	case KindMove:
		target := owners(s)
		for _, p := range r.Partitions.Partitions() {
			target[p] = r.To
		}
		return planned(s, after, target, m, WhyRequested), nil
	}
	return planned(s, after, Target(after, m), m, ""), nil
}

// PlanDecision returns what a decision does that leads from one Snapshot to another:
// the Step of each move, and the shares as they are right after it.
func PlanDecision(before, after *Snapshot, m Moment) Plan {
	var moves []single
	for p := range backplane.Partition(max(before.N(), after.N())) {
		moves = append(moves, steps(before, after, p, m)...)
	}
	return Plan{
		Version: before.Version(), Changes: recordChanges(before, after),
		Moves: joinMoves(moves), Shares: shares(owners(before), owners(after)),
	}
}

// planned returns the plan from the owners of before to a target, which after's
// records ask for.
func planned(before, after *Snapshot, target []string, m Moment, why Why) Plan {
	var moves []single
	from := owners(before)
	for p, to := range target {
		if to != from[p] {
			moves = append(moves, single{backplane.Partition(p), Move{From: from[p], To: to, Why: cmp.Or(why, whyMove(after, from[p], m))}})
		}
	}
	return Plan{
		Version: before.Version(), Changes: recordChanges(before, after),
		Moves: joinMoves(moves), Shares: shares(from, target),
	}
}

// owners returns the owner of each partition.
func owners(s *Snapshot) []string {
	o := make([]string, s.N())
	for p := range o {
		o[p] = s.Assignment(backplane.Partition(p)).Owner
	}
	return o
}

// whyMove returns why partitions leave a node.
func whyMove(s *Snapshot, from string, m Moment) Why {
	n, ok := s.Node(from)
	switch {
	case !ok:
		return WhyUnowned
	case m.Suspected[from]:
		return WhySuspected
	case n.State == Draining:
		return WhyDraining
	case n.State == Standby:
		return WhyStandby
	case n.State == Left:
		return WhyLeft
	}
	return WhyBalance
}

// single is the move of one partition.
type single struct {
	partition backplane.Partition
	move      Move
}

// steps returns what a decision does to a partition: usually one step, or none.
func steps(before, after *Snapshot, p backplane.Partition, m Moment) []single {
	a, b := before.Assignment(p), after.Assignment(p)
	var moves []single
	step := func(s Step, from, to string) {
		moves = append(moves, single{p, Move{From: from, To: to, Why: whyMove(after, from, m), Step: s}})
	}
	switch {
	case b.Owner == a.Owner:
	case b.Owner == a.Next && b.Previous == a.Owner:
		step(StepFlip, a.Owner, b.Owner)
	default:
		step(StepReplace, a.Owner, b.Owner)
	}
	if a.Next != "" && a.Next != b.Next && a.Next != b.Owner {
		step(StepCancel, a.Owner, a.Next)
	}
	if b.Next != "" && b.Next != a.Next {
		step(StepWarm, b.Owner, b.Next)
	}
	if a.Previous != "" && a.Previous != b.Previous {
		step(StepRelease, a.Previous, b.Owner)
	}
	return moves
}

// joinMoves joins the moves that differ in their partitions only, in the order of
// their nodes.
func joinMoves(singles []single) []Move {
	partitions := make(map[string][]backplane.Partition)
	var moves []Move
	for _, s := range singles {
		key := strings.Join([]string{s.move.From, s.move.To, string(s.move.Why), string(s.move.Step)}, " ")
		if partitions[key] == nil {
			moves = append(moves, s.move)
		}
		partitions[key] = append(partitions[key], s.partition)
	}
	for i, m := range moves {
		moves[i].Partitions = RangesOf(partitions[strings.Join([]string{m.From, m.To, string(m.Why), string(m.Step)}, " ")])
	}
	slices.SortStableFunc(moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return moves
}

// shares counts the owners before and after.
func shares(before, after []string) []Share {
	index := make(map[string]*Share)
	count := func(owners []string, add func(*Share)) {
		for _, id := range owners {
			if id == "" {
				continue
			}
			if index[id] == nil {
				index[id] = &Share{Node: id}
			}
			add(index[id])
		}
	}
	count(before, func(s *Share) { s.Before++ })
	count(after, func(s *Share) { s.After++ })
	all := make([]Share, 0, len(index))
	for _, s := range index {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Share) int { return cmp.Compare(a.Node, b.Node) })
	return all
}

// recordChanges compares settings, controllers and nodes.
func recordChanges(before, after *Snapshot) []RecordChange {
	var changes []RecordChange
	add := func(key, format string, args ...any) {
		changes = append(changes, RecordChange{key, fmt.Sprintf(format, args...)})
	}
	if was, is := before.settings, after.settings; is != nil {
		switch {
		case was == nil:
			add(KeySettings, "%d partitions of generation %d", is.Partitions, is.Generation)
		default:
			differences(was.Live, is.Live, func(name string, a, b any) { add(KeySettings, "%s %v -> %v", name, a, b) })
		}
	}
	if was, is := before.controller, after.controller; is != nil && (was == nil || was.Node != is.Node || was.Epoch != is.Epoch) {
		add(KeyController, "%s decides, epoch %d", is.Node, is.Epoch)
	}
	for _, was := range before.Nodes() {
		if _, ok := after.Node(was.ID); !ok {
			add(was.Key(), "forgotten")
		}
	}
	for _, is := range after.Nodes() {
		was, ok := before.Node(is.ID)
		if !ok {
			add(is.Key(), "new, %s at %s, weight %d, capacity %d", is.State, is.URL, is.Weight, is.Capacity)
			continue
		}
		differences(was, is, func(name string, a, b any) {
			switch name {
			case "version", "since":
			case "state":
				add(is.Key(), "state %v -> %v (%s)", a, b, is.Reason)
			case "reason":
				if was.State == is.State {
					add(is.Key(), "state %v (%v -> %v)", is.State, a, b)
				}
			default:
				add(is.Key(), "%s %v -> %v", name, a, b)
			}
		})
	}
	return changes
}

// String writes the plan for people, a line for each change and each move.
func (p Plan) String() string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s: %s\n", c.Key, c.What)
	}
	for _, m := range p.Moves {
		fmt.Fprintln(&b, m)
	}
	if b.Len() == 0 {
		return "nothing changes\n"
	}
	return b.String()
}

// String writes the move for people.
func (m Move) String() string {
	noun := "partitions"
	if m.Partitions.Len() == 1 {
		noun = "partition"
	}
	text := fmt.Sprintf("%d %s (%s): %s -> %s: %s", m.Partitions.Len(), noun, m.Partitions, cmp.Or(m.From, "nobody"), cmp.Or(m.To, "nobody"), m.Why)
	if m.Step != "" {
		text = string(m.Step) + " " + text
	}
	return text
}
