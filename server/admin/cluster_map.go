package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/codec"
)

// ClusterMap is the answer of GET /v1/map: all that a client needs to compute the node of
// any user.
type ClusterMap struct {
	Generation uint32           `json:"generation"`
	Partitions int32            `json:"partitions"` // N of backplane.PartitionOf
	MapVersion uint64           `json:"map_version"`
	Nodes      []ClusterMapNode `json:"nodes"` // those that own partitions, in the order of their ids
}

// ClusterMapNode is a node and what it owns.
type ClusterMapNode struct {
	Node       string         `json:"node"`
	URL        string         `json:"url"`
	Partitions cluster.Ranges `json:"partitions"`
}

// ClusterRoute is the answer of GET /v1/route: that of the public port, and who else has
// the partition.
type ClusterRoute struct {
	User       string              `json:"user,omitzero"` // if one was asked for
	Partition  backplane.Partition `json:"partition"`
	Node       string              `json:"node"`
	URL        string              `json:"url"`
	MapVersion uint64              `json:"map_version"`
	Next       string              `json:"next,omitzero"`
	Previous   string              `json:"previous,omitzero"`
}

// clusterMap answers with a ClusterMap. Whoever has one asks with its ETag in
// If-None-Match, and gets 304 while it is the one in force.
func (s *Server) clusterMap(w http.ResponseWriter, r *http.Request) {
	snap, err := snapshotOf(s.config.Cluster)
	if err == nil {
		_, err = parameters(r.URL)
	}
	if err != nil {
		refuseError(w, err)
		return
	}
	settings, _ := snap.Settings() // snapshotOf has seen that there are some
	// A topic that was made anew counts its versions from 1 again, hence its time.
	tag := fmt.Sprintf(`"%x-%x"`, settings.Created, snap.Version())
	w.Header().Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	owned := make(map[string][]backplane.Partition)
	for p := range backplane.Partition(snap.N()) {
		owner := snap.Assignment(p).Owner
		owned[owner] = append(owned[owner], p)
	}
	m := ClusterMap{Generation: settings.Generation, Partitions: settings.Partitions, MapVersion: snap.Version()}
	for _, n := range snap.Nodes() {
		if len(owned[n.ID]) > 0 {
			m.Nodes = append(m.Nodes, ClusterMapNode{Node: n.ID, URL: n.URL, Partitions: cluster.RangesOf(owned[n.ID])})
		}
	}
	answerJSON(w, &m)
}

// matches reports whether a tag is one of those in an If-None-Match header (RFC 9110,
// section 13.1.2: a weak comparison).
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

// clusterRoute answers with the route of the parameter "user" or "partition".
func (s *Server) clusterRoute(w http.ResponseWriter, r *http.Request) {
	route, err := s.routeOf(r)
	if err != nil {
		refuseError(w, err)
		return
	}
	answerJSON(w, route)
}

func (s *Server) routeOf(r *http.Request) (*ClusterRoute, error) {
	values, err := parameters(r.URL, "user", "partition")
	if err != nil {
		return nil, err
	}
	snap, err := snapshotOf(s.config.Cluster)
	if err != nil {
		return nil, err
	}
	route := ClusterRoute{MapVersion: snap.Version()}
	if text, ok := values["partition"]; ok {
		if _, both := values["user"]; both {
			return nil, badParameter("user and partition exclude each other")
		}
		p, err := strconv.ParseUint(text, 10, 31)
		if err != nil || p >= uint64(snap.N()) {
			return nil, badParameter(fmt.Sprintf("partition: a number from 0 to %d", snap.N()-1))
		}
		route.Partition = backplane.Partition(p)
	} else {
		user, err := userOf(values)
		if err != nil {
			return nil, err
		}
		route.User = string(user)
		route.Partition = backplane.PartitionOf(route.User, snap.N())
	}
	a := snap.Assignment(route.Partition)
	owner, ok := snap.Node(a.Owner)
	if !ok {
		return nil, &Refusal{Code: codec.CodeNotReady, Message: fmt.Sprintf("partition %d has no owner", route.Partition)}
	}
	route.Node, route.URL, route.Next, route.Previous = owner.ID, owner.URL, a.Next, a.Previous
	return &route, nil
}

// answerJSON answers with v.
func answerJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuseError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// refuseError answers with an error, which is a *Refusal unless it is a mistake of this
// program.
func refuseError(w http.ResponseWriter, err error) {
	e := &Refusal{Code: codec.CodeInternal, Message: err.Error()}
	errors.As(err, &e)
	refuseQuestion(w, e)
}
