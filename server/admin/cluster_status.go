package admin

import (
	"fmt"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
	"github.com/godwit-im/godwit/codec"
)

// ClusterStatus is the answer of GET /v1/cluster: the cluster as one node sees it.
type ClusterStatus struct {
	Node       string `json:"node"`     // that answers
	Degraded   bool   `json:"degraded"` // it is cut off from the log: all this may be old
	MapVersion uint64 `json:"map_version"`
	// Controller is nil before there was one.
	Controller *ClusterController `json:"controller,omitempty"`
	Settings   ClusterSettings    `json:"settings"`
	Nodes      []ClusterNode      `json:"nodes"`      // in the order of their ids
	Partitions []ClusterShare     `json:"partitions"` // in the order of their first partitions
	Decisions  []control.Entry    `json:"decisions"`  // the latest of this node, oldest first
}

// ClusterController says which node decides.
type ClusterController struct {
	Node  string `json:"node"`
	Epoch uint64 `json:"epoch"`
	Since int64  `json:"since"` // Unix milliseconds
}

// ClusterSettings is what holds for all nodes.
type ClusterSettings struct {
	Partitions int32        `json:"partitions"`
	Generation uint32       `json:"generation"`
	Created    int64        `json:"created"` // Unix milliseconds
	Live       cluster.Live `json:"live"`
}

// ClusterNode is a node, and how many partitions it has in each role.
type ClusterNode struct {
	ID       string         `json:"id"`
	URL      string         `json:"url"`   // for clients
	Admin    string         `json:"admin"` // for operators
	Capacity int            `json:"capacity"`
	Weight   int            `json:"weight"`
	State    cluster.State  `json:"state"`
	Reason   cluster.Reason `json:"reason"`
	Since    int64          `json:"since"`    // of State, in Unix milliseconds
	Owner    int            `json:"owner"`    // partitions that it owns
	Next     int            `json:"next"`     // that it gets ready to own
	Previous int            `json:"previous"` // that it owned, and still serves
	// Suspected: the others go on without hearing it.
	Suspected bool `json:"suspected"`
	// Beat is nil for a node that was not heard lately.
	Beat *ClusterBeat `json:"beat,omitempty"`
}

// ClusterBeat is the latest beat of a node.
type ClusterBeat struct {
	Time int64 `json:"time"` // log time in Unix milliseconds
	// AgeMS is how much older it is than the latest beat of any node, in milliseconds.
	AgeMS       int64  `json:"age_ms"`
	Incarnation string `json:"incarnation"` // a number of the process, in hexadecimal
	N           uint64 `json:"n"`           // of its beats, from 1
	MapVersion  uint64 `json:"map_version"` // that the node has applied
	Controller  bool   `json:"controller"`
	Degraded    bool   `json:"degraded"`
	Connections int    `json:"connections"`
	// Warm are the partitions that it is next owner of and ready to serve, and Released those
	// that it is previous owner of and does not serve any more.
	Warm     cluster.Ranges `json:"warm"`
	Released cluster.Ranges `json:"released"`
}

// ClusterShare is partitions that the same nodes have in the same roles.
type ClusterShare struct {
	Partitions cluster.Ranges `json:"partitions"` // such as "0-127,200"
	ClusterRoles
}

// ClusterRoles is who has a partition. An empty id is nobody.
type ClusterRoles struct {
	Owner    string `json:"owner"`
	Next     string `json:"next,omitempty"`
	Previous string `json:"previous,omitempty"`
}

func rolesOf(a cluster.Assignment) ClusterRoles { return ClusterRoles{a.Owner, a.Next, a.Previous} }

// statusOfCluster returns what c says at this moment. The error is a *Refusal.
func statusOfCluster(c Cluster) (*ClusterStatus, error) {
	snap, err := snapshotOf(c)
	if err != nil {
		return nil, err
	}
	s := &ClusterStatus{
		Node: c.Node(), Degraded: c.Degraded(), MapVersion: snap.Version(),
		Partitions: sharesOf(snap),
		Decisions:  c.Trail(),
	}
	if k, ok := snap.Controller(); ok {
		s.Controller = &ClusterController{Node: k.Node, Epoch: k.Epoch, Since: k.Since}
	}
	settings, _ := snap.Settings() // snapshotOf has seen that there are some
	s.Settings = ClusterSettings{Partitions: settings.Partitions, Generation: settings.Generation, Created: settings.Created, Live: settings.Live}
	s.Nodes = nodesOf(snap, c.Beats())
	return s, nil
}

// snapshotOf returns what c has read of the cluster, once that is something to show. The
// error is a *Refusal.
func snapshotOf(c Cluster) (*cluster.Snapshot, error) {
	snap := c.Snapshot()
	if snap == nil {
		return nil, &Refusal{Code: codec.CodeNotReady, Message: "the node has not read yet what its cluster is"}
	}
	if snap.N() == 0 {
		return nil, &Refusal{Code: codec.CodeNotReady, Message: "the cluster has no settings yet: its first controller writes them"}
	}
	return snap, nil
}

// nodesOf returns the nodes of snap with their beats.
func nodesOf(snap *cluster.Snapshot, seen []beats.Seen) []ClusterNode {
	var latest int64
	heard := make(map[string]*beats.Seen, len(seen))
	for i := range seen {
		latest = max(latest, seen[i].Time)
		heard[seen[i].Node] = &seen[i]
	}
	nodes := make([]ClusterNode, len(snap.Nodes()))
	index := make(map[string]*ClusterNode, len(nodes))
	for i, n := range snap.Nodes() {
		nodes[i] = ClusterNode{
			ID: n.ID, URL: n.URL, Admin: n.Admin, Capacity: n.Capacity, Weight: n.Weight,
			State: n.State, Reason: n.Reason, Since: n.Since,
		}
		if s := heard[n.ID]; s != nil {
			nodes[i].Suspected = s.Suspected
			nodes[i].Beat = beatOf(s, latest)
		}
		index[n.ID] = &nodes[i]
	}
	for p := range backplane.Partition(snap.N()) {
		a := snap.Assignment(p)
		if n := index[a.Owner]; n != nil {
			n.Owner++
		}
		if n := index[a.Next]; n != nil {
			n.Next++
		}
		if n := index[a.Previous]; n != nil {
			n.Previous++
		}
	}
	return nodes
}

// beatOf returns a beat, nil for a node that was not heard.
func beatOf(s *beats.Seen, latest int64) *ClusterBeat {
	if s.N == 0 {
		return nil
	}
	return &ClusterBeat{
		Time: s.Time, AgeMS: latest - s.Time, Incarnation: fmt.Sprintf("%016x", s.Incarnation), N: s.N, MapVersion: s.Version,
		Controller: s.Controller, Degraded: s.Beat.Degraded, Connections: s.Connections, Warm: s.Warm, Released: s.Released,
	}
}

// sharesOf returns all partitions of snap, those with the same roles together.
func sharesOf(snap *cluster.Snapshot) []ClusterShare {
	var (
		order   []ClusterRoles
		members = make(map[ClusterRoles][]backplane.Partition)
	)
	for p := range backplane.Partition(snap.N()) {
		roles := rolesOf(snap.Assignment(p))
		if members[roles] == nil {
			order = append(order, roles)
		}
		members[roles] = append(members[roles], p)
	}
	shares := make([]ClusterShare, len(order))
	for i, roles := range order {
		shares[i] = ClusterShare{cluster.RangesOf(members[roles]), roles}
	}
	return shares
}
