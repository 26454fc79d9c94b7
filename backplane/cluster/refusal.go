package cluster

import "fmt"

// Code says why a request was refused, or that nothing had to change. Codes are
// stable: programs may compare them.
type Code string

// The codes of Results and Refusals.
const (
	// CodeUnchanged: everything is as asked already. It goes with a Result that is OK.
	CodeUnchanged Code = "unchanged"

	// CodeUnknownKind: this controller knows no such request.
	CodeUnknownKind Code = "unknown_kind"
	// CodeNotReady: the cluster has no settings yet.
	CodeNotReady Code = "not_ready"
	// CodeExpired: the request waited for a controller for longer than anybody waits for
	// its result.
	CodeExpired Code = "expired"
	// CodeNewerRecord: the record that would change has a format that this controller
	// does not understand.
	CodeNewerRecord Code = "newer_record"
	// CodeBadID: the text cannot be the id of a node.
	CodeBadID Code = "bad_id"
	// CodeUnknownNode: the cluster has no such node.
	CodeUnknownNode Code = "unknown_node"
	// CodeTooManyNodes: the cluster has as many nodes as it may.
	CodeTooManyNodes Code = "too_many_nodes"
	// CodeBadURL: the address of clients is no ws or wss URL that they can use.
	CodeBadURL Code = "bad_url"
	// CodeBadAdmin: the address of operators is no http or https URL.
	CodeBadAdmin Code = "bad_admin"
	// CodeBadCapacity: the number of connections is not above 0, or is absurd.
	CodeBadCapacity Code = "bad_capacity"
	// CodeBadWeight: the weight is missing, below 0, or absurd.
	CodeBadWeight Code = "bad_weight"
	// CodeBadRole: a node joins as active or standby.
	CodeBadRole Code = "bad_role"
	// CodeBadText: a text for people is too long.
	CodeBadText Code = "bad_text"
	// CodeLastNode: no other node could own the partitions.
	CodeLastNode Code = "last_node"
	// CodeNodeLeft: the node does not run: start it first.
	CodeNodeLeft Code = "node_left"
	// CodeSuspected: the node is silent.
	CodeSuspected Code = "suspected"
	// CodeInUse: the node has partitions: drain it first.
	CodeInUse Code = "in_use"
	// CodeNotActive: only an active node gets partitions.
	CodeNotActive Code = "not_active"
	// CodeBadPartitions: there are no such partitions, or none was named.
	CodeBadPartitions Code = "bad_partitions"
	// CodeMoving: a partition is on its way to another node.
	CodeMoving Code = "moving"
	// CodeTooManyMoves: more partitions would be on their way than may be at a time.
	CodeTooManyMoves Code = "too_many_moves"
	// CodeBadSettings: a live setting is missing or out of its bounds.
	CodeBadSettings Code = "bad_settings"
)

// Codes has every code and what it means, as a sentence for documents.
var Codes = map[Code]string{
	CodeUnchanged:     "Everything is as asked already.",
	CodeUnknownKind:   "The controller knows no such request.",
	CodeNotReady:      "The cluster has no settings yet: its first controller writes them.",
	CodeExpired:       "The request waited for a controller for too long; ask again.",
	CodeNewerRecord:   "The record was written by a newer version of godwit; ask again once the controller runs that version.",
	CodeBadID:         "An id is 1 to 64 letters, digits, dots, underscores and hyphens.",
	CodeUnknownNode:   "The cluster has no node of that id.",
	CodeTooManyNodes:  "The cluster has as many nodes as it may; remove those that have left.",
	CodeBadURL:        "The address for clients must be a ws or wss URL without user, query and fragment.",
	CodeBadAdmin:      "The address for operators must be an http or https URL without user, query and fragment.",
	CodeBadCapacity:   "The capacity must be a number of connections above 0.",
	CodeBadWeight:     "The weight must be 0 to 10000, and some active node's must be above 0.",
	CodeBadRole:       "A node joins as active or standby.",
	CodeBadText:       "The name of who asks is too long.",
	CodeLastNode:      "No other node is there to own the partitions; add one first.",
	CodeNodeLeft:      "The node has left; start it first.",
	CodeSuspected:     "The node is silent; see that it runs and reaches Kafka.",
	CodeInUse:         "The node still has partitions; drain it and wait.",
	CodeNotActive:     "Only active nodes get partitions; add the node first.",
	CodeBadPartitions: "The partitions must be named, and exist.",
	CodeMoving:        "A partition is on its way to another node already; wait for that.",
	CodeTooManyMoves:  "More partitions would be on their way than moves_in_flight allows; move fewer at a time.",
	CodeBadSettings:   "A setting is missing or out of its bounds.",
}

// Refusal is the error of a request that was refused: nothing changes.
type Refusal struct {
	Code Code
	// Message is a sentence for people, with the values that are wrong.
	Message string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s (%s)", r.Message, r.Code) }

// refuse returns a *Refusal.
func refuse(code Code, format string, args ...any) error {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}
