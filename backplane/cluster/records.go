package cluster

import "github.com/godwit-im/godwit/backplane"

// Body is what a record says: a Settings, Node, Assignment, Controller, Request,
// Result or Foreign. They are values: a changed copy is a new one.
type Body interface {
	// Key returns the key of the record.
	Key() string
	// stamped returns the body with the version of a decision.
	stamped(version uint64) Body
}

// Settings is the record of what holds for the whole cluster. The first controller
// writes it, from its own configuration; only Live changes afterwards.
type Settings struct {
	Version    uint64 `json:"version"`
	Partitions int32  `json:"partitions"` // N of the messages topic
	Generation uint32 `json:"generation"` // of the messages topic
	Created    int64  `json:"created"`    // Unix milliseconds
	Live       Live   `json:"live"`

	unknown unknown
}

// Live is the settings that may change while the nodes run.
type Live struct {
	// MovesInFlight is how many partitions may have a next owner at a time.
	MovesInFlight int `json:"moves_in_flight"`
	// MovedPerSecond is how many clients a node tells in a second to go elsewhere.
	MovedPerSecond int `json:"moved_per_second"`
	// LogLevel is debug, info, warn or error; empty is as each node is configured.
	LogLevel string `json:"log_level"`
	// SendsPerSecond and SendsBurst bound the sends of a connection; 0 is as each node
	// is configured.
	SendsPerSecond int `json:"sends_per_second"`
	SendsBurst     int `json:"sends_burst"`

	unknown unknown
}

// DefaultLive returns the live settings of a new cluster.
func DefaultLive() Live {
	return Live{MovesInFlight: 32, MovedPerSecond: 500}
}

// State says what a node is for.
type State string

// The states of a node.
const (
	// Active: it has its share of the partitions.
	Active State = "active"
	// Standby: it has none, and takes those of a node that fails.
	Standby State = "standby"
	// Draining: it hands its partitions over, and gets no others.
	Draining State = "draining"
	// Left: it has none, and does not run.
	Left State = "left"
)

// Reason says how a node came to be in its state.
type Reason string

// The reasons in records of nodes.
const (
	// ReasonJoined: it asked to join.
	ReasonJoined Reason = "joined"
	// ReasonLeave: it stops, and asked to leave.
	ReasonLeave Reason = "leave"
	// ReasonOperator: an operator asked for it.
	ReasonOperator Reason = "operator"
	// ReasonSuspected: it was silent, and others took its partitions.
	ReasonSuspected Reason = "suspected"
	// ReasonEnded: it ended without having left, and others took its partitions.
	ReasonEnded Reason = "ended"
	// ReasonPromoted: the last active node went, and this one took its place.
	ReasonPromoted Reason = "promoted"
	// ReasonReplaced: an active node fell silent, and this one took its partitions.
	ReasonReplaced Reason = "replaced"
)

// Node is the record of a node.
type Node struct {
	ID       string `json:"-"` // of the key
	Version  uint64 `json:"version"`
	URL      string `json:"url"`      // where clients connect: ws or wss
	Admin    string `json:"admin"`    // where operators ask: http or https
	Capacity int    `json:"capacity"` // connections
	Weight   int    `json:"weight"`   // its share of the partitions is weight / sum of the active nodes' weights
	State    State  `json:"state"`
	Reason   Reason `json:"reason"`
	Since    int64  `json:"since"` // when State began, log time in Unix milliseconds

	unknown unknown
}

// Assignment is the record of a partition.
type Assignment struct {
	Partition backplane.Partition `json:"-"` // of the key
	Version   uint64              `json:"version"`
	// Owner is the node that clients are sent to.
	Owner string `json:"owner"`
	// Next, if any, gets ready to own it.
	Next string `json:"next,omitempty"`
	// Previous, if any, owned it before, and serves the clients that it has until they
	// have gone.
	Previous string `json:"previous,omitempty"`

	unknown unknown
}

// Controller is the record of the node that decides. Every decision writes it, last;
// see Seal.
type Controller struct {
	Version uint64 `json:"version"`
	Node    string `json:"node"`
	// Epoch grows by one with each node that takes over.
	Epoch uint64 `json:"epoch"`
	Since int64  `json:"since"` // when Node took over, log time in Unix milliseconds

	unknown unknown
}

// Kind says what a request asks for.
type Kind string

// The kinds of requests. Judge has their rules.
const (
	// KindJoin: Node has started, with the addresses that the request tells.
	KindJoin Kind = "join"
	// KindLeave: Node stops.
	KindLeave Kind = "leave"
	// KindDrain: Node hands over what it owns, and goes on running.
	KindDrain Kind = "drain"
	// KindAdd: Node becomes active.
	KindAdd Kind = "add"
	// KindStandby: Node becomes a standby.
	KindStandby Kind = "standby"
	// KindRemove: Node is forgotten.
	KindRemove Kind = "remove"
	// KindMove: Partitions go to node To.
	KindMove Kind = "move"
	// KindWeight: Node's weight becomes Weight.
	KindWeight Kind = "weight"
	// KindRebalance: partitions move to where Target has them.
	KindRebalance Kind = "rebalance"
	// KindSettings: the live settings change as Live says.
	KindSettings Kind = "settings"
)

// Request is the record in which anybody asks the controller for a change. Which
// fields it needs depends on Kind.
type Request struct {
	ID         string      `json:"-"` // of the key
	Kind       Kind        `json:"kind"`
	Node       string      `json:"node,omitempty"`
	Partitions Ranges      `json:"partitions,omitempty"` // of a move
	To         string      `json:"to,omitempty"`         // of a move
	Live       *LiveChange `json:"live,omitempty"`       // of settings
	URL        string      `json:"url,omitempty"`        // of a join, as in Node
	Admin      string      `json:"admin,omitempty"`      // of a join, as in Node
	Capacity   int         `json:"capacity,omitempty"`   // of a join, as in Node
	Weight     *int        `json:"weight,omitempty"`     // of a weight, and of a join, where nil is 1
	Role       State       `json:"role,omitempty"`       // of a join: Active, which is the default, or Standby
	By         string      `json:"by"`                   // who asks, for people
	At         int64       `json:"at"`                   // when, by the asker's clock in Unix milliseconds, for people

	unknown unknown
}

// LiveChange is a change of live settings: nil leaves one as it is.
type LiveChange struct {
	MovesInFlight  *int    `json:"moves_in_flight,omitempty"`
	MovedPerSecond *int    `json:"moved_per_second,omitempty"`
	LogLevel       *string `json:"log_level,omitempty"`
	SendsPerSecond *int    `json:"sends_per_second,omitempty"`
	SendsBurst     *int    `json:"sends_burst,omitempty"`
}

// Result is the record with the answer to a request.
type Result struct {
	ID      string `json:"-"` // of the key
	Version uint64 `json:"version"`
	OK      bool   `json:"ok"`
	Reason  Code   `json:"reason,omitempty"`  // why not, or that nothing had to change
	Message string `json:"message,omitempty"` // the same for people
	At      int64  `json:"at"`                // when it was decided, log time in Unix milliseconds

	unknown unknown
}

// Foreign stands for a record that is not understood.
type Foreign struct {
	RecordKey string
	// Value is the record as it was read. It must not be changed.
	Value []byte
	// Err says why: a *NewerError for a record of a higher version, which must not be
	// written over, or a *FormatError for anything else.
	Err error
}

// Key implements Body.
func (Settings) Key() string     { return KeySettings }
func (n Node) Key() string       { return NodeKey(n.ID) }
func (a Assignment) Key() string { return PartitionKey(a.Partition) }
func (Controller) Key() string   { return KeyController }
func (r Request) Key() string    { return RequestKey(r.ID) }
func (r Result) Key() string     { return ResultKey(r.ID) }
func (f Foreign) Key() string    { return f.RecordKey }

func (s Settings) stamped(version uint64) Body {
	s.Version = version
	return s
}

func (n Node) stamped(version uint64) Body {
	n.Version = version
	return n
}

func (a Assignment) stamped(version uint64) Body {
	a.Version = version
	return a
}

func (c Controller) stamped(version uint64) Body {
	c.Version = version
	return c
}

func (r Result) stamped(version uint64) Body {
	r.Version = version
	return r
}

func (r Request) stamped(uint64) Body { return r }
func (f Foreign) stamped(uint64) Body { return f }
