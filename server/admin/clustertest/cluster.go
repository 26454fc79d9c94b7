package clustertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
)

const (
	// Begin is the log time at which every Cluster begins, in Unix milliseconds.
	Begin = 1_767_225_600_000

	// Capacity is how many connections each node says it holds.
	Capacity = 1000
)

// Cluster is what a node sees of its cluster. It implements admin.Cluster.
type Cluster struct {
	self string

	mu struct {
		sync.Mutex
		core     *control.Core
		nodes    []*node
		now      int64 // log time
		offset   int64 // of the next record
		held     bool
		degraded bool
		lost     error // of Propose
		alarm    error
		empty    bool
		trail    []control.Entry
		requests []cluster.Request
		results  map[string]cluster.Result
		changed  chan struct{}
	}
}

// node is what makes up the beats of a node.
type node struct {
	id     string
	beats  uint64
	silent bool
}

// New returns a cluster in which nodes have joined and share the partitions, and the first
// of them is the controller, as self sees it.
func New(self string, partitions int32, nodes ...string) *Cluster {
	c := &Cluster{self: self}
	settings := cluster.Settings{Partitions: partitions, Generation: 1, Live: cluster.DefaultLive()}
	c.mu.core = control.New(control.Config{Node: nodes[0], Settings: settings})
	c.mu.changed = make(chan struct{})
	c.mu.results = make(map[string]cluster.Result)
	c.mu.now = Begin
	c.mu.core.Lead()
	for _, id := range nodes {
		c.Start(id, cluster.Active)
	}
	c.Step(40) // beyond the time in which nobody is suspected, and all moves
	return c
}

// Start has another node join.
func (c *Cluster) Start(id string, role cluster.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.nodes = append(c.mu.nodes, &node{id: id})
	c.decide()
	c.request(cluster.Request{
		ID: "join-" + id, Kind: cluster.KindJoin, Node: id, Role: role, URL: "ws://" + id + ".example/v1/connect",
		Admin: "http://" + id + ".example:8081", Capacity: Capacity, By: id,
	})
}

// Relocate has a node that runs tell another address for operators.
func (c *Cluster) Relocate(id, admin string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request(cluster.Request{
		ID: strings.ToLower(rand.Text()), Kind: cluster.KindJoin, Node: id, URL: "ws://" + id + ".example/v1/connect",
		Admin: admin, Capacity: Capacity, By: id,
	})
}

// Step lets the time of n beats pass.
func (c *Cluster) Step(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		c.mu.now += beats.Interval
		for _, n := range c.mu.nodes {
			if !n.silent {
				c.mu.core.Beat(c.beat(n), c.mu.now)
			}
		}
		c.decide()
	}
	c.ring()
}

// beat returns the next beat of a node, which is ready for what it is to own and has let go
// of what it owned, unless they are held.
func (c *Cluster) beat(n *node) beats.Beat {
	n.beats++
	s := c.mu.core.Snapshot()
	b := beats.Beat{
		Node: n.id, Incarnation: 0xfeed, N: n.beats, Version: s.Version(),
		Controller: n == c.mu.nodes[0], Degraded: c.mu.degraded && n.id == c.self, Connections: 7,
	}
	if c.mu.held {
		return b
	}
	var warm, released []backplane.Partition
	for p := range backplane.Partition(s.N()) {
		a := s.Assignment(p)
		if a.Next == n.id {
			warm = append(warm, p)
		}
		if a.Previous == n.id {
			released = append(released, p)
		}
	}
	b.Warm, b.Released = cluster.RangesOf(warm), cluster.RangesOf(released)
	return b
}

// decide makes all decisions that there are to make.
func (c *Cluster) decide() {
	for {
		d, ok := c.mu.core.Next(c.mu.now)
		if !ok {
			return
		}
		c.apply(d.Changes...)
		c.mu.trail = append(c.mu.trail, d.Entry)
	}
}

// apply has changes read back, as if they had come from the log.
func (c *Cluster) apply(changes ...cluster.Change) {
	for i := range changes {
		c.mu.offset++
		changes[i].Offset, changes[i].Time = c.mu.offset, c.mu.now
		if r, ok := changes[i].Body.(cluster.Result); ok {
			c.mu.results[r.ID] = r
		}
	}
	c.mu.core.Apply(changes...)
}

// request has the controller answer a request.
func (c *Cluster) request(r cluster.Request) cluster.Result {
	c.mu.requests = append(c.mu.requests, r)
	c.apply(cluster.Put(r))
	c.decide()
	c.ring()
	result, ok := c.mu.results[r.ID]
	if !ok {
		panic(fmt.Sprintf("clustertest: request %+v was not answered", r))
	}
	return result
}

// ring tells those who wait that something may be new.
func (c *Cluster) ring() {
	close(c.mu.changed)
	c.mu.changed = make(chan struct{})
}

// Silence has a node beat no more, or beat again.
func (c *Cluster) Silence(id string, silent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.mu.nodes {
		if n.id == id {
			n.silent = silent
		}
	}
}

// End has a node end, and say so with its last beat.
func (c *Cluster) End(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.mu.nodes {
		if n.id == id {
			n.silent = true
			b := c.beat(n)
			b.Last = true
			c.mu.core.Beat(b, c.mu.now)
		}
	}
	c.decide()
	c.ring()
}

// Hold keeps what is on its way where it is, or lets it go on.
func (c *Cluster) Hold(held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.held = held
}

// Degrade cuts the node off from the log, or takes that back.
func (c *Cluster) Degrade(degraded bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.degraded = degraded
	c.ring()
}

// Lose has Propose fail with err, or work again with nil.
func (c *Cluster) Lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.lost = err
}

// Distrust has the node raise an alarm, or take it back with nil.
func (c *Cluster) Distrust(alarm error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.alarm = alarm
}

// Empty has the node know nothing of the cluster, or know it again.
func (c *Cluster) Empty(empty bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.empty = empty
}

// Requests returns the requests that were made.
func (c *Cluster) Requests() []cluster.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.requests[:len(c.mu.requests):len(c.mu.requests)]
}

// Node implements admin.Cluster.
func (c *Cluster) Node() string { return c.self }

// Snapshot implements admin.Cluster.
func (c *Cluster) Snapshot() *cluster.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.empty {
		return nil
	}
	return c.mu.core.Snapshot()
}

// Beats implements admin.Cluster.
func (c *Cluster) Beats() []beats.Seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	watch := c.mu.core.Watch()
	var all []beats.Seen
	for _, n := range c.mu.core.Snapshot().Nodes() {
		seen, ok := watch.Latest(n.ID)
		if !ok {
			seen = beats.Seen{Beat: beats.Beat{Node: n.ID}, Suspected: watch.Suspected(n.ID)}
		}
		all = append(all, seen)
	}
	return all
}

// Degraded implements admin.Cluster.
func (c *Cluster) Degraded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.degraded
}

// Alarm implements admin.Cluster.
func (c *Cluster) Alarm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.alarm
}

// Trail implements admin.Cluster.
func (c *Cluster) Trail() []control.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.trail[:len(c.mu.trail):len(c.mu.trail)]
}

// Changed implements admin.Cluster.
func (c *Cluster) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.changed
}

// Propose implements admin.Cluster.
func (c *Cluster) Propose(ctx context.Context, r cluster.Request) (cluster.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.lost != nil {
		return cluster.Result{}, fmt.Errorf("clustertest: %w", c.mu.lost)
	}
	return c.request(r), ctx.Err()
}
