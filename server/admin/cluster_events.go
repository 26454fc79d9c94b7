package admin

import (
	"fmt"
	"strings"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/control"
)

// The types of a ClusterEvent.
const (
	// EventStatus begins a stream: Status says how things stand.
	EventStatus = "status"
	// EventController: Node decides from now on.
	EventController = "controller"
	// EventNode: the record of Node is new, has changed, or is gone.
	EventNode = "node"
	// EventSuspected and EventHeard: Node is suspected, or is not any more.
	EventSuspected = "suspected"
	EventHeard     = "heard"
	// EventPartitions: the roles of Partitions changed from From to To.
	EventPartitions = "partitions"
	// EventSettings: the settings changed.
	EventSettings = "settings"
	// EventDecision: this node has decided, as the controller.
	EventDecision = "decision"
	// EventDegraded: Degraded of the node that tells all this has changed.
	EventDegraded = "degraded"
	// EventAlive: nothing has happened for a while.
	EventAlive = "alive"
)

// ClusterEvent is a line of GET /v1/cluster/watch.
type ClusterEvent struct {
	Type       string `json:"type"`
	Time       int64  `json:"time"`        // when the node noticed, by its clock in Unix milliseconds
	MapVersion uint64 `json:"map_version"` // that the node has read by then, or that of Decision
	// Text says the same for people, in a sentence.
	Text string `json:"text,omitempty"`

	Node       string         `json:"node,omitempty"`
	Partitions cluster.Ranges `json:"partitions,omitempty"`
	From       *ClusterRoles  `json:"from,omitempty"`
	To         *ClusterRoles  `json:"to,omitempty"`
	Decision   *control.Entry `json:"decision,omitempty"`
	Status     *ClusterStatus `json:"status,omitempty"`
}

// clusterMoment is what a stream has told of a cluster.
type clusterMoment struct {
	snap      *cluster.Snapshot
	suspected map[string]bool
	degraded  bool
	decided   uint64 // the map version of the latest decision told
}

// momentOf returns what c says at this moment, and the decisions later than those of an
// earlier moment. The error is a *Refusal.
func momentOf(c Cluster, before *clusterMoment) (*clusterMoment, []control.Entry, error) {
	snap, err := snapshotOf(c)
	if err != nil {
		return nil, nil, err
	}
	m := &clusterMoment{snap: snap, suspected: make(map[string]bool), degraded: c.Degraded(), decided: before.decided}
	for _, s := range c.Beats() {
		m.suspected[s.Node] = s.Suspected
	}
	var fresh []control.Entry
	for _, d := range c.Trail() {
		if d.Version > m.decided {
			fresh = append(fresh, d)
			m.decided = d.Version
		}
	}
	return m, fresh, nil
}

// eventsBetween returns what happened between two moments, causes before effects, without
// times.
func eventsBetween(from, to *clusterMoment, fresh []control.Entry) []ClusterEvent {
	var events []ClusterEvent
	add := func(e ClusterEvent) {
		e.MapVersion = to.snap.Version()
		events = append(events, e)
	}
	if from.degraded != to.degraded {
		text := "this node reaches the log again"
		if to.degraded {
			text = "this node is cut off from the log: what it tells may be old"
		}
		add(ClusterEvent{Type: EventDegraded, Text: text})
	}
	for _, n := range to.snap.Nodes() {
		switch was, is := from.suspected[n.ID], to.suspected[n.ID]; {
		case is && !was:
			add(ClusterEvent{Type: EventSuspected, Node: n.ID, Text: n.ID + " is suspected: the others go on without hearing it"})
		case was && !is:
			add(ClusterEvent{Type: EventHeard, Node: n.ID, Text: n.ID + " is heard again"})
		}
	}
	for i := range fresh {
		events = append(events, ClusterEvent{Type: EventDecision, MapVersion: fresh[i].Version, Text: fresh[i].Text, Decision: &fresh[i]})
	}
	if from.snap == to.snap {
		return events
	}
	if text := controllerChange(from.snap, to.snap); text != "" {
		k, _ := to.snap.Controller()
		add(ClusterEvent{Type: EventController, Node: k.Node, Text: text})
	}
	eachNodeChange(from.snap, to.snap, func(id, text string) {
		add(ClusterEvent{Type: EventNode, Node: id, Text: text})
	})
	for _, e := range partitionChanges(from.snap, to.snap) {
		add(e)
	}
	if text := settingsChange(from.snap, to.snap); text != "" {
		add(ClusterEvent{Type: EventSettings, Text: text})
	}
	return events
}

// controllerChange says which node decides if that has changed, else "".
func controllerChange(from, to *cluster.Snapshot) string {
	was, _ := from.Controller()
	is, ok := to.Controller()
	if !ok || was.Node == is.Node && was.Epoch == is.Epoch {
		return ""
	}
	return fmt.Sprintf("%s is the controller (epoch %d)", is.Node, is.Epoch)
}

// eachNodeChange calls f for each node whose record changed, in the order of ids.
func eachNodeChange(from, to *cluster.Snapshot, f func(id, text string)) {
	for _, was := range from.Nodes() {
		if _, ok := to.Node(was.ID); !ok {
			f(was.ID, was.ID+" is removed")
		}
	}
	for _, is := range to.Nodes() {
		was, ok := from.Node(is.ID)
		if !ok {
			f(is.ID, fmt.Sprintf("%s is new: %s, at %s", is.ID, is.State, is.URL))
			continue
		}
		var what []string
		if was.State != is.State || was.Since != is.Since {
			what = append(what, fmt.Sprintf("is %s (%s)", is.State, is.Reason))
		}
		if was.Weight != is.Weight {
			what = append(what, fmt.Sprintf("has the weight %d", is.Weight))
		}
		if was.Capacity != is.Capacity {
			what = append(what, fmt.Sprintf("has room for %d connections", is.Capacity))
		}
		if was.URL != is.URL || was.Admin != is.Admin {
			what = append(what, fmt.Sprintf("is at %s", is.URL))
		}
		if len(what) > 0 {
			f(is.ID, is.ID+" "+strings.Join(what, ", "))
		}
	}
}

// partitionChanges returns the changes of roles, those of the same kind together.
func partitionChanges(from, to *cluster.Snapshot) []ClusterEvent {
	type change struct{ from, to ClusterRoles }
	var (
		order   []change
		members = make(map[change][]backplane.Partition)
	)
	for p := range backplane.Partition(max(from.N(), to.N())) {
		c := change{rolesOf(from.Assignment(p)), rolesOf(to.Assignment(p))}
		if c.from == c.to {
			continue
		}
		if members[c] == nil {
			order = append(order, c)
		}
		members[c] = append(members[c], p)
	}
	events := make([]ClusterEvent, len(order))
	for i, c := range order {
		partitions := cluster.RangesOf(members[c])
		events[i] = ClusterEvent{Type: EventPartitions, Partitions: partitions, From: &c.from, To: &c.to, Text: roleChange(partitions, c.from, c.to)}
	}
	return events
}

// roleChange says in a sentence what happens to partitions.
func roleChange(partitions cluster.Ranges, from, to ClusterRoles) string {
	var what []string
	switch {
	case from.Owner == to.Owner:
	case from.Owner == "":
		what = append(what, "owned by "+to.Owner)
	default:
		what = append(what, fmt.Sprintf("owned by %s, no longer by %s", to.Owner, from.Owner))
	}
	switch {
	case to.Next != "" && to.Next != from.Next:
		what = append(what, to.Next+" gets ready to own them")
	case to.Next == "" && from.Next != "" && from.Next != to.Owner:
		what = append(what, from.Next+" is not to own them any more")
	}
	switch {
	case to.Previous != "" && to.Previous != from.Previous:
		what = append(what, to.Previous+" serves those of its clients that have not left")
	case to.Previous == "" && from.Previous != "":
		what = append(what, from.Previous+" has let go")
	}
	noun := "partitions"
	if partitions.Len() == 1 {
		noun = "partition"
	}
	return fmt.Sprintf("%s %s: %s", noun, partitions, strings.Join(what, ", "))
}

// settingsChange says what changed in the settings, "" if nothing did.
func settingsChange(from, to *cluster.Snapshot) string {
	was, _ := from.Settings()
	is, _ := to.Settings()
	var what []string
	before, after := LiveSettings(was.Live), LiveSettings(is.Live)
	for i := range after {
		if before[i] != after[i] {
			what = append(what, fmt.Sprintf("%s is %v", after[i].Name, after[i].Value))
		}
	}
	if was.Generation != is.Generation || was.Partitions != is.Partitions {
		what = append(what, fmt.Sprintf("generation %d with %d partitions", is.Generation, is.Partitions))
	}
	return strings.Join(what, ", ")
}

// LiveSetting is a live setting: a string or an int.
type LiveSetting struct {
	Name  string
	Value any
}

// LiveSettings returns the live settings by their names in JSON, always the same ones in
// the same order.
func LiveSettings(l cluster.Live) []LiveSetting {
	return []LiveSetting{
		{"moves_in_flight", l.MovesInFlight},
		{"moved_per_second", l.MovedPerSecond},
		{"log_level", l.LogLevel},
		{"sends_per_second", l.SendsPerSecond},
		{"sends_burst", l.SendsBurst},
	}
}
