package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// statusTimeout bounds a question to an admin port, and changeTimeout a request to the
	// controller, which the port itself gives up after 20 s.
	statusTimeout = 5 * time.Second
	changeTimeout = 25 * time.Second

	// settlePoll is how often it is looked whether the cluster is as it should be.
	settlePoll = 100 * time.Millisecond

	// maxAnswer bounds an answer of an admin port, in bytes.
	maxAnswer = 16 << 20

	// movedShare is the part of all partitions that a Move moves: one of so many, at least one.
	movedShare = 8
)

// Status is what the admin port of a node says of the cluster (GET /v1/cluster), as far as
// it matters here.
type Status struct {
	Node       string `json:"node"` // that answers
	Degraded   bool   `json:"degraded"`
	MapVersion uint64 `json:"map_version"`
	Controller *struct {
		Node string `json:"node"`
	} `json:"controller"`
	Nodes      []NodeStatus  `json:"nodes"`
	Partitions []ShareStatus `json:"partitions"`
}

// NodeStatus is what a Status says of a node.
type NodeStatus struct {
	ID        string `json:"id"`
	State     string `json:"state"` // active, standby, draining or left
	Suspected bool   `json:"suspected"`
	Owner     int    `json:"owner"`    // partitions that it owns
	Next      int    `json:"next"`     // that it gets ready to own
	Previous  int    `json:"previous"` // that it owned, and still serves
}

// ShareStatus is what a Status says of partitions that the same nodes have.
type ShareStatus struct {
	Partitions string `json:"partitions"` // such as "0-127,200"
	Owner      string `json:"owner"`
	Next       string `json:"next"`
	Previous   string `json:"previous"`
}

// change is a request of an operator (POST /v1/cluster/requests).
type change struct {
	Kind       string `json:"kind"`
	Node       string `json:"node,omitempty"`
	Partitions string `json:"partitions,omitempty"`
	To         string `json:"to,omitempty"`
	By         string `json:"by"`
}

// errNobody is the error of a cluster in which no node answers.
var errNobody = errors.New("world: no node answers that is not degraded")

// ask makes a request at the admin port of a node and decodes its answer.
func (w *World) ask(ctx context.Context, node, method, path string, body, answer any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, w.admin[node]+path, text)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("world: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("world: %s %s of %s: %w", method, path, node, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("world: %s %s of %s: %s: %.500s", method, path, node, response.Status, content)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("world: %s %s of %s: %w", method, path, node, err)
	}
	return nil
}

// Status returns what a node says of the cluster.
func (w *World) Status(ctx context.Context, node string) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	s := new(Status)
	if err := w.ask(ctx, node, http.MethodGet, "/v1/cluster", nil, s); err != nil {
		return nil, err
	}
	return s, nil
}

// latest returns what the node says that has read most, of those that answer and are not
// degraded.
func (w *World) latest(ctx context.Context) (best *Status, err error) {
	err = errNobody
	for _, node := range w.nodes {
		if !w.members[node].answers() {
			continue
		}
		s, failed := w.Status(ctx, node)
		switch {
		case failed != nil:
			err = errors.Join(errNobody, failed)
		case !s.Degraded && (best == nil || s.MapVersion > best.MapVersion):
			best = s
		}
	}
	if best != nil {
		err = nil
	}
	return best, err
}

// settle asks the cluster until it is as it should be: done says whether, and asks for a
// change where that is needed. What fails is tried again, and told when ctx ends.
func (w *World) settle(ctx context.Context, what string, done func(*Status) (bool, error)) error {
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	for {
		s, err := w.latest(ctx)
		if err == nil {
			var ok bool
			if ok, err = done(s); ok && err == nil {
				return nil
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("world: %s: %w: %w", what, ctx.Err(), errors.Join(err, w.seen(s)))
		}
	}
}

// seen tells a status in an error.
func (w *World) seen(s *Status) error {
	if s == nil {
		return nil
	}
	return fmt.Errorf("%s says at map version %d: %+v", s.Node, s.MapVersion, s.Nodes)
}

// request asks a node that answers for a change.
func (w *World) request(ctx context.Context, at string, c change) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	c.By = "godwit verify"
	var answer struct{}
	return w.ask(ctx, at, http.MethodPost, "/v1/cluster/requests", c, &answer)
}

// Controller returns the node that decides.
func (w *World) Controller(ctx context.Context) (node string, err error) {
	err = w.settle(ctx, "there is no controller", func(s *Status) (bool, error) {
		if s.Controller == nil {
			return false, nil
		}
		node = s.Controller.Node
		return slices.ContainsFunc(s.Nodes, func(n NodeStatus) bool { return n.ID == node && !n.Suspected }), nil
	})
	return node, err
}

// Activate returns when a node that runs is active and owns partitions, and gets no more of
// them. It has it added where it is a standby, or is drained. A node that is alone owns them
// all, when it is ready.
func (w *World) Activate(ctx context.Context, node string) (evidence string, err error) {
	if w.config.Pebble {
		return w.ready(ctx, node)
	}
	err = w.settle(ctx, node+" is not active", func(s *Status) (bool, error) {
		n := s.of(node)
		if n == nil || n.Suspected {
			return false, nil
		}
		if n.State == "standby" || n.State == "draining" {
			return false, w.request(ctx, s.Node, change{Kind: "add", Node: node})
		}
		own, err := w.Status(ctx, node)
		if err != nil {
			return false, err
		}
		evidence = fmt.Sprintf("%s is %s with %d partitions, map version %d", node, n.State, n.Owner, s.MapVersion)
		return n.State == "active" && n.Owner > 0 && n.Next == 0 && !own.Degraded && own.MapVersion >= s.MapVersion, nil
	})
	return evidence, err
}

// ready returns when a node says that it serves.
func (w *World) ready(ctx context.Context, node string) (evidence string, err error) {
	m, err := w.named(node)
	if err != nil {
		return "", err
	}
	err = w.until(ctx, node+" does not serve", func() (bool, error) { return healthy(ctx, m.health), nil })
	return node + " serves", err
}

// Drain has a node hand over all partitions and returns when it has none.
func (w *World) Drain(ctx context.Context, node string) (evidence string, err error) {
	asked := false
	var had int
	var before uint64
	err = w.settle(ctx, node+" is not drained", func(s *Status) (bool, error) {
		n := s.of(node)
		if n == nil {
			return false, nil
		}
		if !asked {
			had, before = n.Owner, s.MapVersion
			err := w.request(ctx, s.Node, change{Kind: "drain", Node: node})
			asked = err == nil
			return false, err
		}
		evidence = fmt.Sprintf("%s has none of its %d partitions any more, map version %d, was %d", node, had, s.MapVersion, before)
		return n.Owner+n.Next+n.Previous == 0 && s.MapVersion > before, nil
	})
	return evidence, err
}

// Move moves some partitions of other nodes to a node and returns when it owns them. pick
// chooses which.
func (w *World) Move(ctx context.Context, node string, pick uint64) (evidence string, err error) {
	var moving []int
	var before uint64
	err = w.settle(ctx, "no partitions move to "+node, func(s *Status) (bool, error) {
		owners, resting := s.owners(w.config.Partitions)
		if moving == nil {
			var others []int
			for p, owner := range owners {
				if owner != node && resting[p] {
					others = append(others, p)
				}
			}
			if len(others) == 0 {
				return false, nil
			}
			first := int(pick % uint64(len(others)))
			chosen := others[first:min(len(others), first+max(1, w.config.Partitions/movedShare))]
			before = s.MapVersion
			err := w.request(ctx, s.Node, change{Kind: "move", Partitions: list(chosen), To: node})
			if err == nil {
				moving = chosen
			}
			return false, err
		}
		evidence = fmt.Sprintf("%s owns partitions %s, map version %d, was %d", node, list(moving), s.MapVersion, before)
		return !slices.ContainsFunc(moving, func(p int) bool { return owners[p] != node }), nil
	})
	return evidence, err
}

// list returns partitions as requests have them.
func list(partitions []int) string {
	var texts []string
	for _, p := range partitions {
		texts = append(texts, strconv.Itoa(p))
	}
	return strings.Join(texts, ",")
}

// of returns what the status says of a node, nil if it does not know it.
func (s *Status) of(node string) *NodeStatus {
	i := slices.IndexFunc(s.Nodes, func(n NodeStatus) bool { return n.ID == node })
	if i < 0 {
		return nil
	}
	return &s.Nodes[i]
}

// owners returns who owns each of n partitions, and whether it is on no way.
func (s *Status) owners(n int) (owners []string, resting []bool) {
	owners, resting = make([]string, n), make([]bool, n)
	for _, share := range s.Partitions {
		for text := range strings.SplitSeq(share.Partitions, ",") {
			first, last, ok := strings.Cut(text, "-")
			if !ok {
				last = first
			}
			from, err := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			if err != nil || err2 != nil {
				continue
			}
			for p := from; p <= to && p < n; p++ {
				owners[p], resting[p] = share.Owner, share.Next == "" && share.Previous == ""
			}
		}
	}
	return owners, resting
}
