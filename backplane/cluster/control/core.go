package control

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
)

// Config is what a Core does not find in the log.
type Config struct {
	// Node is the id of this node.
	Node string
	// Settings are those of a new cluster. Partitions and Generation are what the
	// topic of the messages has; Version and Created are filled in.
	Settings cluster.Settings
}

// Core is the state of a controller, see the package's documentation.
type Core struct {
	// Static.
	config Config

	// What the log has.
	snapshot *cluster.Snapshot
	requests map[string]cluster.Change // by id; the Body is a cluster.Request
	results  map[string]cluster.Result // by id
	watch    *beats.Watch

	// The place of the controller.
	leads   bool
	took    bool   // whether the record that says so was decided
	epoch   uint64 // of that record
	since   int64  // of that record
	awaited uint64 // the version of the last decision

	// There was nothing to decide, and there will not be while nothing happens but that
	// time passes until sweep and beats tell nothing new.
	idle      bool
	sweep     int64
	suspected map[string]bool
}

// New returns the Core of a node that has read nothing yet.
func New(config Config) *Core {
	return &Core{
		config:   config,
		snapshot: new(cluster.Snapshot),
		requests: make(map[string]cluster.Change),
		results:  make(map[string]cluster.Result),
		watch:    beats.NewWatch(),
	}
}

// Apply takes what records of the cluster's topic do, in the order of the log.
func (c *Core) Apply(changes ...cluster.Change) {
	c.idle = false
	for _, change := range changes {
		prefix, id, _ := strings.Cut(change.Key, "/")
		switch prefix + "/" {
		case cluster.PrefixRequest:
			if r, ok := change.Body.(cluster.Request); ok {
				c.requests[id] = change
				c.began(r)
			} else {
				// Deleted, or not understood: then it is for a newer controller.
				delete(c.requests, id)
			}
		case cluster.PrefixResult:
			if r, ok := change.Body.(cluster.Result); ok {
				c.results[id] = r
			} else {
				delete(c.results, id)
			}
		case cluster.PrefixNode:
			c.expect(id, change.Body)
		}
	}
	c.snapshot = c.snapshot.With(changes...)
	if now, ok := c.snapshot.Controller(); ok && c.took && now.Node != c.config.Node && now.Epoch >= c.epoch {
		c.Yield()
	}
}

// began notes that whoever asks to join runs, also if the last beat that was heard under its
// name was the end of a process: that of the one before.
func (c *Core) began(r cluster.Request) {
	if seen, ok := c.watch.Latest(r.Node); ok && seen.Last && r.Kind == cluster.KindJoin {
		c.watch.Expect(r.Node)
	}
}

// expect makes the silence of a node count from when it was let in.
func (c *Core) expect(id string, body cluster.Body) {
	if n, ok := body.(cluster.Node); ok && n.State != cluster.Left {
		if before, ok := c.snapshot.Node(id); !ok || before.State == cluster.Left {
			c.watch.Expect(id)
		}
	}
}

// Beat takes the next heartbeat, with its log time in Unix milliseconds.
func (c *Core) Beat(b beats.Beat, logTime int64) {
	before, heard := c.watch.Latest(b.Node)
	tells := len(b.Warm)+len(b.Released) > 0 || len(before.Warm)+len(before.Released) > 0
	if !heard || before.Suspected || tells {
		c.idle = false
	}
	c.watch.Beat(b, logTime)
}

// Lead tells that this node holds the controller's id, and that all records that were
// committed before it did were applied. After a commit that failed, or whose outcome is
// not known, it is to be called again once that outcome, too, has been read.
func (c *Core) Lead() {
	c.leads, c.took, c.awaited, c.idle = true, false, 0, false
}

// Yield tells that this node does not hold the controller's id any more.
func (c *Core) Yield() { c.leads, c.took = false, false }

// Leads reports whether this node decides: between Lead and Yield, or until Apply found
// that another node has taken the place, which Snapshot().Controller() names.
func (c *Core) Leads() bool { return c.leads }

// Snapshot returns the records as they were applied.
func (c *Core) Snapshot() *cluster.Snapshot { return c.snapshot }

// Watch returns the state of the heartbeats. It may be read, by the Core's goroutine.
func (c *Core) Watch() *beats.Watch { return c.watch }

// Moment returns what the beats say about the nodes of the records: what the Core judges
// requests by. now is the log time in Unix milliseconds.
func (c *Core) Moment(now int64) cluster.Moment {
	m := cluster.Moment{Now: now, Suspected: make(map[string]bool)}
	for _, n := range c.snapshot.Nodes() {
		if n.State != cluster.Left && c.watch.Suspected(n.ID) {
			m.Suspected[n.ID] = true
		}
	}
	return m
}

// Next returns the next decision, if there is one to make, for log time now in Unix
// milliseconds. It is to be asked after each Apply and each Beat. While a decision
// is on its way there is no other one.
//
// A Core decides nothing while the settings or the controller's record are of a
// newer version of godwit (Snapshot().Understood()): the node should leave the place to
// one of that version.
func (c *Core) Next(now int64) (Decision, bool) {
	if !c.leads || !c.snapshot.Understood() || c.snapshot.Version() < c.awaited {
		return Decision{}, false
	}
	m := c.Moment(now)
	if c.idle && now < c.sweep && maps.Equal(m.Suspected, c.suspected) {
		return Decision{}, false
	}
	if !c.took {
		return c.step(m).take(), true
	}
	for _, try := range []func(*step) bool{
		(*step).begin,
		(*step).replace,
		(*step).flip,
		(*step).release,
		(*step).welcome,
		(*step).promote,
		(*step).assign,
		(*step).answer,
		(*step).retire,
		(*step).move,
		(*step).forget,
	} {
		if d := c.step(m); try(d) {
			return d.decide(), true
		}
	}
	c.idle, c.sweep, c.suspected = true, c.nextSweep(), m.Suspected
	return Decision{}, false
}

// pending returns the requests without a result, in the order of the log.
func (c *Core) pending() []cluster.Change {
	var pending []cluster.Change
	for id, change := range c.requests {
		if _, answered := c.results[id]; !answered && id != BalanceID {
			pending = append(pending, change)
		}
	}
	slices.SortFunc(pending, func(a, b cluster.Change) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Key, b.Key))
	})
	return pending
}
