package cluster

import (
	"errors"

	"github.com/godwit-im/godwit/backplane"
)

// Moment is what a judgement depends on besides the records.
type Moment struct {
	// Now is the log time, in Unix milliseconds.
	Now int64
	// Suspected has the ids of the nodes that are thought to be dead.
	Suspected map[string]bool
}

// alive reports whether a node could own partitions right now, if it were active.
func (m Moment) alive(n Node) bool { return n.State != Left && !m.Suspected[n.ID] }

// Judge returns what a request changes, none of it with a version yet (see Seal), or
// a *Refusal. No changes and no error mean that all is as asked already, or, for a
// rebalance, that the controller has to compare the owners with Target.
//
// What follows from the changes, the moves of partitions off a node that drains or
// onto one that was added, is not among them: the controller makes these one after
// the other. Only a move names the next owners itself.
//
// The rules, by kind:
//
//   - join: a new id, and one that had left or was about to, or had said that it ends, gets
//     the role that it asks for. All others keep their state: so a node that was replaced while it was silent stays
//     a standby until an operator adds it. The addresses and the capacity are those
//     of the request. The weight counts only for a new id; later it is changed by
//     a request of its own, which a restart must not undo.
//   - leave, drain, standby: of the last active node that is not suspected only if
//     a standby is there, which becomes active in the same decision.
//   - leave: a node with partitions drains first; one without has left at once.
//   - add: a standby or a draining node becomes active, unless it is suspected.
//   - remove: only a node without partitions is forgotten, and not the last active
//     one.
//   - move: to an active node that is not suspected, no more partitions than
//     moves_in_flight allows, and none that is on its way elsewhere. A partition that
//     nobody owns has not to be moved: the node owns it at once.
//   - weight: some active node must keep one above 0.
//   - settings: within their bounds.
func Judge(s *Snapshot, r Request, m Moment) ([]Change, error) {
	if len(r.By) > MaxText {
		return nil, refuse(CodeBadText, "The name of who asks has %d bytes: the most is %d.", len(r.By), MaxText)
	}
	if !s.Understood() {
		return nil, refuse(CodeNewerRecord, "The settings or the controller's record were written by a newer version of godwit.")
	}
	if s.N() == 0 {
		return nil, refuse(CodeNotReady, "The cluster has no settings yet.")
	}
	j := judge{s, m}
	switch r.Kind {
	case KindJoin:
		return j.join(r)
	case KindMove:
		return j.move(r)
	case KindRebalance:
		return nil, nil
	case KindSettings:
		return j.settings(r)
	case KindLeave, KindDrain, KindAdd, KindStandby, KindRemove, KindWeight:
	default:
		return nil, refuse(CodeUnknownKind, "The controller knows no request %.80q.", r.Kind)
	}
	n, err := j.node(r.Node)
	if err != nil {
		return nil, err
	}
	switch r.Kind {
	case KindLeave:
		return j.leave(n)
	case KindDrain:
		return j.retire(n, Draining, ReasonOperator)
	case KindStandby:
		return j.retire(n, Standby, ReasonOperator)
	case KindAdd:
		return j.add(n)
	case KindRemove:
		return j.remove(n)
	default:
		return j.weight(n, r.Weight)
	}
}

// ResultOf returns the answer to a request that Judge gave changes and err for.
func ResultOf(id string, changes []Change, err error, now int64) Result {
	r := Result{ID: id, OK: err == nil, At: now}
	switch refusal := (*Refusal)(nil); {
	case errors.As(err, &refusal):
		r.Reason, r.Message = refusal.Code, refusal.Message
	case err == nil && len(changes) == 0:
		r.Reason, r.Message = CodeUnchanged, Codes[CodeUnchanged]
	}
	return r
}

// judge has what all rules need.
type judge struct {
	s *Snapshot
	m Moment
}

// node returns the node that a request names.
func (j judge) node(id string) (Node, error) {
	if !ValidID(id) {
		return Node{}, refuse(CodeBadID, "%.80q cannot be the id of a node.", id)
	}
	if j.s.Protected(NodeKey(id)) {
		return Node{}, refuse(CodeNewerRecord, "The record of node %q was written by a newer version of godwit.", id)
	}
	n, ok := j.s.Node(id)
	if !ok {
		return Node{}, refuse(CodeUnknownNode, "The cluster has no node %q.", id)
	}
	return n, nil
}

// become returns the change of a node's state, none if it has that state already.
func (j judge) become(n Node, state State, reason Reason) []Change {
	if n.State == state {
		return nil
	}
	n.State, n.Reason, n.Since = state, reason, j.m.Now
	return []Change{Put(n)}
}

func (j judge) leave(n Node) ([]Change, error) {
	switch {
	case n.State == Left, stopping(n):
		return nil, nil
	case len(j.s.RolesOf(n.ID)) == 0 && (n.State != Active || j.othersActive(n.ID)):
		return j.become(n, Left, ReasonLeave), nil
	case n.State == Draining:
		// An operator drains it already; now it goes for good once it has no partitions.
		n.Reason = ReasonLeave
		return []Change{Put(n)}, nil
	}
	return j.retire(n, Draining, ReasonLeave)
}

// stopping reports whether a node hands its partitions over because it stops.
func stopping(n Node) bool { return n.State == Draining && n.Reason == ReasonLeave }

// retire takes a node out of the active ones.
func (j judge) retire(n Node, state State, reason Reason) ([]Change, error) {
	switch {
	case n.State == state && n.Reason == ReasonEnded:
		n.Reason = reason // it stays so when it is started again
		return []Change{Put(n)}, nil
	case n.State == state:
		return nil, nil
	case n.State == Left:
		return nil, refuse(CodeNodeLeft, "Node %q has left.", n.ID)
	}
	changes := j.become(n, state, reason)
	if n.State != Active || j.othersActive(n.ID) {
		return changes, nil
	}
	spare, ok := BestStandby(j.s, j.m, n.ID)
	if !ok {
		return nil, refuse(CodeLastNode, "Node %q is the last active one, and there is no standby to take its partitions.", n.ID)
	}
	return append(changes, j.become(spare, Active, ReasonPromoted)...), nil
}

// othersActive reports whether a node besides id is active and not suspected.
func (j judge) othersActive(id string) bool {
	for _, n := range j.s.Nodes() {
		if n.ID != id && n.State == Active && j.m.alive(n) {
			return true
		}
	}
	return false
}

func (j judge) add(n Node) ([]Change, error) {
	switch {
	case n.State == Active:
		return nil, nil
	case n.State == Left, stopping(n):
		return nil, refuse(CodeNodeLeft, "Node %q has left, or is about to: start it first.", n.ID)
	case j.m.Suspected[n.ID]:
		return nil, refuse(CodeSuspected, "Node %q is silent.", n.ID)
	}
	return j.become(n, Active, ReasonOperator), nil
}

func (j judge) remove(n Node) ([]Change, error) {
	if roles := j.s.RolesOf(n.ID); len(roles) > 0 {
		return nil, refuse(CodeInUse, "Node %q still has the partitions %s.", n.ID, RangesOf(roles))
	}
	if n.State == Active && !j.othersActive(n.ID) {
		return nil, refuse(CodeLastNode, "Node %q is the last active one.", n.ID)
	}
	return []Change{Delete(n.Key())}, nil
}

func (j judge) weight(n Node, weight *int) ([]Change, error) {
	if weight == nil || *weight < 0 || *weight > MaxWeight {
		return nil, refuse(CodeBadWeight, "The weight must be 0 to %d.", MaxWeight)
	}
	if n.Weight == *weight {
		return nil, nil
	}
	n.Weight = *weight
	change := Put(n)
	if n.State == Active && n.Weight == 0 {
		if share := eligible(j.s.With(change), j.m); len(share) == 0 || share[0].Weight == 0 {
			return nil, refuse(CodeBadWeight, "No other active node has a weight above 0.")
		}
	}
	return []Change{change}, nil
}

func (j judge) move(r Request) ([]Change, error) {
	to, err := j.node(r.To)
	if err != nil {
		return nil, err
	}
	switch {
	case to.State != Active:
		return nil, refuse(CodeNotActive, "Node %q is %s.", to.ID, to.State)
	case j.m.Suspected[to.ID]:
		return nil, refuse(CodeSuspected, "Node %q is silent.", to.ID)
	case len(r.Partitions) == 0:
		return nil, refuse(CodeBadPartitions, "The request names no partitions.")
	}
	if last := r.Partitions[len(r.Partitions)-1].Last; int32(last) >= j.s.N() {
		return nil, refuse(CodeBadPartitions, "There is no partition %d: the last one is %d.", last, j.s.N()-1)
	}
	var changes []Change
	var moving []backplane.Partition
	begin := 0
	for _, p := range r.Partitions.Partitions() {
		if j.s.Protected(PartitionKey(p)) {
			return nil, refuse(CodeNewerRecord, "The record of partition %d was written by a newer version of godwit.", p)
		}
		a := j.s.Assignment(p)
		switch {
		case a.Next == to.ID, a.Next == "" && a.Owner == to.ID:
			continue
		case a.Next != "":
			moving = append(moving, p)
			continue
		case a.Owner == "":
			a.Owner, a.Previous = to.ID, ""
		default:
			a.Next = to.ID
			begin++
		}
		changes = append(changes, Put(a))
	}
	if len(moving) > 0 {
		return nil, refuse(CodeMoving, "The partitions %s are on their way elsewhere.", RangesOf(moving))
	}
	inFlight, most := j.s.inFlight(), j.s.settings.Live.MovesInFlight
	if begin+inFlight > most {
		return nil, refuse(CodeTooManyMoves, "%d partitions are on their way, and %d more would be: moves_in_flight is %d.", inFlight, begin, most)
	}
	return changes, nil
}

func (j judge) settings(r Request) ([]Change, error) {
	if r.Live == nil {
		return nil, refuse(CodeBadSettings, "The request names no setting.")
	}
	s := *j.s.settings
	before := s.Live
	if err := r.Live.apply(&s.Live); err != nil {
		return nil, err
	}
	if s.Live.same(before) {
		return nil, nil
	}
	return []Change{Put(s)}, nil
}
