package beats

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/godwit-im/godwit/backplane/cluster"
)

// Beat is what a node says of itself twice a second.
type Beat struct {
	// Node is the name of the node, which is the record's key as well.
	Node string
	// Incarnation is a random number that the process drew when it started, so that two
	// processes under one name are told apart.
	Incarnation uint64
	// N counts the beats of this process, from 1, those that got lost among them.
	N uint64
	// Version is the map version that the node has applied. What Warm and Released
	// say is said of the partitions as they are in it.
	Version uint64
	// Controller is the flag of the node that decides.
	Controller bool
	// Degraded tells that the node was cut off until a moment ago, see Degraded.
	Degraded bool
	// Warm are the partitions that the node is next owner of and ready to serve.
	Warm cluster.Ranges
	// Released are the partitions that the node is previous owner of and does not
	// serve any more.
	Released cluster.Ranges
	// Connections is how many clients are connected.
	Connections int
	// Last tells that the process ends, and that no beat follows.
	Last bool
}

// ErrBadBeat is wrapped by every error of Parse.
var ErrBadBeat = errors.New("not a beat")

// version is that of the format. A later one may add fields, and may not change what
// these mean: nodes of two versions of the program live in one cluster while it is
// upgraded, and none may be suspected for what it says besides.
const version = 1

// wire is the record's value.
type wire struct {
	V           int            `json:"v"`
	Node        string         `json:"node"`
	Incarnation string         `json:"incarnation"` // 16 hexadecimal digits: JSON numbers end at 2^53
	N           uint64         `json:"n"`
	Version     uint64         `json:"version"`
	Controller  bool           `json:"controller"`
	Degraded    bool           `json:"degraded"`
	Warm        cluster.Ranges `json:"warm"`
	Released    cluster.Ranges `json:"released"`
	Connections int            `json:"connections"`
	Last        bool           `json:"last,omitzero"`
}

// Encode returns the value of the record that carries b.
func (b *Beat) Encode() []byte {
	value, err := json.Marshal(&wire{
		V: version, Node: b.Node, Incarnation: fmt.Sprintf("%016x", b.Incarnation), N: b.N, Version: b.Version,
		Controller: b.Controller, Degraded: b.Degraded, Warm: b.Warm, Released: b.Released, Connections: b.Connections, Last: b.Last,
	})
	if err != nil {
		// Nothing in a wire can fail but a name that is not UTF-8, and that is refused where
		// names come in.
		panic("beats: " + err.Error())
	}
	return value
}

// Parse reads the value of a record. Fields that it does not know are passed over. Its
// errors wrap ErrBadBeat.
func Parse(value []byte) (Beat, error) {
	if len(value) > MaxBeat {
		return Beat{}, fmt.Errorf("%w: it has %d bytes, more than %d", ErrBadBeat, len(value), MaxBeat)
	}
	var w wire
	if err := json.Unmarshal(value, &w); err != nil {
		return Beat{}, fmt.Errorf("%w: %w", ErrBadBeat, err)
	}
	incarnation, err := strconv.ParseUint(w.Incarnation, 16, 64)
	switch {
	case w.V < version:
		return Beat{}, fmt.Errorf("%w: its version is %d", ErrBadBeat, w.V)
	case w.Node == "" || len(w.Node) > MaxNode:
		return Beat{}, fmt.Errorf("%w: the name of the node has %d bytes", ErrBadBeat, len(w.Node))
	case err != nil:
		return Beat{}, fmt.Errorf("%w: the incarnation is %q", ErrBadBeat, w.Incarnation)
	case w.N == 0:
		return Beat{}, fmt.Errorf("%w: beats are counted from 1", ErrBadBeat)
	case w.Connections < 0:
		return Beat{}, fmt.Errorf("%w: it tells of %d connections", ErrBadBeat, w.Connections)
	}
	return Beat{
		Node: w.Node, Incarnation: incarnation, N: w.N, Version: w.Version,
		Controller: w.Controller, Degraded: w.Degraded, Warm: w.Warm, Released: w.Released, Connections: w.Connections, Last: w.Last,
	}, nil
}
