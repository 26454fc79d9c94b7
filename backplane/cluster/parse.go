package cluster

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/godwit-im/godwit/backplane"
)

// The functions here read the JSON object of each kind of record, without its "v".
// They refuse what would make the record useless to every reader. A request is
// judged later, and may say anything that can be read, so that it gets an answer.
// Live settings out of their bounds count as those of a new cluster: without any
// settings no node could start.

func parseSettings(object map[string]json.RawMessage) (Body, error) {
	s := Settings{Live: DefaultLive()}
	var err error
	if s.unknown, err = parseFields(object, &s); err != nil {
		return nil, err
	}
	if s.Partitions < 1 || s.Partitions > backplane.MaxPartitions {
		return nil, fmt.Errorf("has %d partitions: there must be 1 to %d", s.Partitions, backplane.MaxPartitions)
	}
	if s.Live.change().apply(new(Live)) != nil {
		kept := s.Live.unknown
		s.Live = DefaultLive()
		s.Live.unknown = kept
	}
	return s, nil
}

func parseNode(id string, object map[string]json.RawMessage) (Body, error) {
	n := Node{ID: id, Weight: 1}
	var err error
	if n.unknown, err = parseFields(object, &n); err != nil {
		return nil, err
	}
	switch n.State {
	case Active, Standby, Draining, Left:
	default:
		return nil, fmt.Errorf("has the state %q, which means nothing", n.State)
	}
	if n.Weight < 0 || n.Weight > MaxWeight || n.Capacity < 0 || n.Capacity > MaxCapacity {
		return nil, fmt.Errorf("has weight %d and capacity %d: the highest are %d and %d, the lowest 0", n.Weight, n.Capacity, MaxWeight, MaxCapacity)
	}
	return n, nil
}

func parseAssignment(id string, object map[string]json.RawMessage) (Body, error) {
	p, ok := parsePartitionKey(id)
	if !ok {
		return nil, errors.New("names no partition in its key")
	}
	a := Assignment{Partition: p}
	var err error
	if a.unknown, err = parseFields(object, &a); err != nil {
		return nil, err
	}
	if !ValidID(a.Owner) || a.Next != "" && !ValidID(a.Next) || a.Previous != "" && !ValidID(a.Previous) {
		return nil, errors.New("names a node by what cannot be an id")
	}
	return a, nil
}

func parseController(object map[string]json.RawMessage) (Body, error) {
	var c Controller
	var err error
	if c.unknown, err = parseFields(object, &c); err != nil {
		return nil, err
	}
	if !ValidID(c.Node) {
		return nil, errors.New("names a node by what cannot be an id")
	}
	return c, nil
}

func parseRequest(id string, object map[string]json.RawMessage) (Body, error) {
	r := Request{ID: id}
	var err error
	r.unknown, err = parseFields(object, &r)
	return r, err
}

func parseResult(id string, object map[string]json.RawMessage) (Body, error) {
	r := Result{ID: id}
	var err error
	r.unknown, err = parseFields(object, &r)
	return r, err
}
