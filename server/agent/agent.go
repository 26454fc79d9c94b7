package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/backplane/cluster"
	"github.com/godwit-im/godwit/backplane/cluster/beats"
	"github.com/godwit-im/godwit/backplane/cluster/control"
	"github.com/godwit-im/godwit/backplane/cluster/kafkalog"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/placement"
)

// Loops are the event loops as the agent needs them. reactor.Reactor is one.
type Loops interface {
	// Settle returns when every loop has finished what it was doing.
	Settle(ctx context.Context) error
	// Move tells clients where their users are served now. It does not keep the slice.
	Move(clients []registry.Handle)
	// TellDegraded tells every client that the node has lost its log.
	TellDegraded()
}

// Config is what an Agent works with. It is immutable.
type Config struct {
	Kafka kafka.Config

	// Node is the node's id, URL and Admin where clients and operators reach it. Capacity
	// is how many connections it holds. Role and Weight count for a node that is new.
	Node       string
	URL, Admin string
	Capacity   int
	Role       cluster.State
	Weight     int

	Placement *placement.Current
	Registry  *registry.Registry
	Consumer  Consumer
	Loops     Loops

	// Live is told the settings that may change while the node runs, at first and whenever
	// they have changed.
	Live func(cluster.Live)
	// Produced and Fetched return when Kafka last answered the node's producer and its
	// consumer.
	Produced, Fetched func() time.Time
	Log               *slog.Logger
}

// Agent is a node's part in its cluster.
type Agent struct {
	// Static.
	cfg         Config
	log         *slog.Logger
	view        *cluster.View
	inbox       *inbox
	records     *kafkalog.Log
	listener    *kafkalog.Listener
	beater      *kafkalog.Beater
	incarnation uint64
	began       time.Time
	ctx         context.Context // ends when the agent closes
	cancel      context.CancelFunc
	working     sync.WaitGroup
	reports     chan func()        // to be run by the agent's goroutine; has no room, so that what was put is run
	joining     context.CancelFunc // ends the attempts to join
	joinEnded   chan struct{}      // closed when they have ended
	failed      chan struct{}
	failing     sync.Once
	failure     error // valid when failed is closed

	// Owned by the beating goroutine, and by Close after it.
	beaten uint64

	// Owned by the agent's goroutine.
	core     *control.Core
	lead     *lead
	holdings *holdings
	mover    *mover
	live     *cluster.Live     // in force; nil before the first
	applied  *cluster.Snapshot // the latest that was looked at
	joined   bool

	// Atomic.
	pulse    atomic.Pointer[beats.Beat]
	degraded atomic.Bool
	state    atomic.Pointer[state]

	mu        sync.Mutex
	news      chan struct{}           // guarded by mu: closed when something has changed
	trail     []control.Entry         // guarded by mu: the latest decisions of this node
	decisions map[control.Kind]uint64 // guarded by mu: how many there were
	broken    error                   // guarded by mu: why the latest records make no map
}

// state is what the agent's goroutine tells others of.
type state struct {
	ready      error
	seen       []beats.Seen
	suspected  map[string]bool // of the nodes of the records
	partitions counts
}

// Start reads the records of the cluster, and returns when it has; the node asks to be let
// in from then on. It fails when the records are of another log than the node's.
func Start(ctx context.Context, c Config) (_ *Agent, err error) {
	a := &Agent{
		cfg: c, log: c.Log, view: cluster.NewView(), inbox: newInbox(), incarnation: rand.Uint64(), began: time.Now(),
		reports: make(chan func()), joinEnded: make(chan struct{}), failed: make(chan struct{}),
		news: make(chan struct{}), decisions: make(map[control.Kind]uint64),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	a.core = control.New(control.Config{Node: c.Node, Settings: cluster.Settings{
		Partitions: c.Kafka.Partitions, Generation: c.Kafka.Generation, Live: cluster.DefaultLive(),
	}})
	a.lead = &lead{
		node: c.Node, core: a.core, open: a.take, alarm: a.Alarm,
		start: a.background, report: a.report, decided: a.decided, log: c.Log,
	}
	a.mover = newMover(c.Registry, c.Kafka.Partitions, c.Loops.Move)
	a.holdings = &holdings{
		consumer: c.Consumer, current: c.Placement, settle: c.Loops.Settle, start: a.background, report: a.report, kept: a.mover.keep, log: c.Log,
		since: func() (int64, bool) { return readFrom(time.Now(), a.began, a.core.Watch()) },
	}
	a.state.Store(&state{ready: errNotIn})
	a.pulse.Store(&beats.Beat{Node: c.Node, Incarnation: a.incarnation})

	if a.records, err = kafkalog.Open(ctx, c.Kafka, a.read); err != nil {
		return nil, err
	}
	if err := a.check(a.view.Snapshot()); err != nil {
		return nil, err
	}
	if a.listener, err = kafkalog.Listen(c.Kafka, a.inbox.addBeats); err != nil {
		return nil, err
	}
	if a.beater, err = kafkalog.NewBeater(c.Kafka, a.beat); err != nil {
		return nil, err
	}
	a.working.Go(a.run)
	joining, stop := context.WithCancel(a.ctx)
	a.joining = stop
	a.working.Go(func() {
		defer close(a.joinEnded)
		a.join(joining)
	})
	return a, nil
}

// Close ends the agent, and tells the others so if that can be done within 1.5 s. The node
// must have stopped taking users in.
func (a *Agent) Close() {
	a.cancel()
	if a.beater != nil {
		a.beater.Close()
	}
	if a.listener != nil {
		a.listener.Close()
	}
	if a.records != nil {
		a.records.Close()
	}
	a.working.Wait()
	if a.lead.session != nil {
		a.lead.session.Close()
	}
}

// take takes the right to write decisions.
func (a *Agent) take(ctx context.Context) (session, error) {
	s, err := a.records.Take(ctx)
	if err != nil {
		return nil, err // not a nil *kafkalog.Session in an interface
	}
	return s, nil
}

// check returns an error if the records are not those of the node's log.
func (a *Agent) check(s *cluster.Snapshot) error {
	set, ok := s.Settings()
	k := &a.cfg.Kafka
	if ok && (set.Partitions != k.Partitions || set.Generation != k.Generation) {
		return fmt.Errorf("agent: the cluster has generation %d with %d partitions, and this node is configured for generation %d with %d",
			set.Generation, set.Partitions, k.Generation, k.Partitions)
	}
	return nil
}

// read takes records in the order of the log. The reading goroutine calls it.
func (a *Agent) read(records []cluster.Record) {
	changes := make([]cluster.Change, len(records))
	for i, r := range records {
		changes[i] = cluster.Parse(r)
	}
	a.view.Apply(changes...)
	a.inbox.addChanges(changes)
	a.changed()
}

// background runs f on a goroutine that Close waits for; its context ends with the agent.
func (a *Agent) background(f func(context.Context)) { a.working.Go(func() { f(a.ctx) }) }

// report has the agent's goroutine run f. It reports false if that will not be, because
// the agent closes.
func (a *Agent) report(f func()) bool {
	select {
	case a.reports <- f:
		return true
	case <-a.ctx.Done():
		return false
	}
}

// fail ends the node.
func (a *Agent) fail(err error) {
	a.failing.Do(func() {
		a.failure = err
		close(a.failed)
	})
}

// run is the agent's goroutine.
func (a *Agent) run() {
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		var report func()
		select {
		case <-a.inbox.bell:
		case report = <-a.reports:
		case <-tick.C:
		case <-a.ctx.Done():
			return
		}
		// What was read before a report was made comes before it.
		a.takeInbox()
		if report != nil {
			report()
		}
		a.step(time.Now())
	}
}

func (a *Agent) takeInbox() {
	changes, heard := a.inbox.take()
	if len(changes) > 0 {
		a.core.Apply(changes...)
	}
	for i := range heard {
		a.core.Beat(heard[i].Beat, heard[i].Time)
		if a.core.Watch().Due(a.cfg.Node) {
			a.lead.due = true
		}
	}
	if w := a.core.Watch(); len(heard) > 0 && w.Superseded(a.cfg.Node, a.incarnation) {
		a.fail(fmt.Errorf("agent: another process runs as node %q and began later", a.cfg.Node))
	}
}

// step does what follows from what is known by now.
func (a *Agent) step(now time.Time) {
	a.assign(a.core.Snapshot())
	a.holdings.step()
	if a.live != nil {
		a.holdings.letGo(a.mover.turn(now, a.holdings.leaving(), a.live.MovedPerSecond))
	}
	a.lead.step(now)
	a.touch(now)
	a.tell(now)
	a.publish()
}

// assign puts the map of a snapshot in force.
func (a *Agent) assign(s *cluster.Snapshot) {
	if s == a.applied {
		return
	}
	if err := a.check(s); err != nil {
		a.applied = s
		a.fail(err)
		return
	}
	if set, ok := s.Settings(); ok && (a.live == nil || !reflect.DeepEqual(set.Live, *a.live)) {
		a.live = &set.Live
		a.cfg.Live(set.Live)
	}
	m, err := placement.FromSnapshot(s, a.cfg.Node)
	if before := a.cfg.Placement.Load().Version(); err == nil && s.Version() < before {
		err = fmt.Errorf("agent: the records have map version %d, and there was %d before", s.Version(), before)
	}
	// Without a map, as in a new cluster, what is in force stays.
	if err == nil && !a.holdings.assign(m) {
		return // until the next step
	}
	a.applied = s
	a.mu.Lock()
	a.broken = err
	a.mu.Unlock()
}

// publish tells what has changed.
func (a *Agent) publish() {
	before := a.state.Load()
	s := &state{
		seen: a.core.Watch().Nodes(), suspected: a.core.Moment(a.core.Watch().Now()).Suspected, partitions: a.holdings.count(),
	}
	s.ready = a.readiness(s.partitions)
	a.state.Store(s)
	if (before.ready == nil) != (s.ready == nil) || !maps.Equal(before.suspected, s.suspected) {
		a.changed()
	}
}

var errNotIn = errors.New("the node is not in the cluster")

// readiness returns nil if the node does what the cluster asks of it.
func (a *Agent) readiness(c counts) error {
	s := a.core.Snapshot()
	if !a.joined || a.holdings.place == nil {
		if seen, ok := a.lead.ahead(); ok && s.N() == 0 {
			return fmt.Errorf("the records of the cluster have not begun, and node %q goes by map version %d: "+
				"it has read another topic; all nodes must be stopped before any is started", seen.Node, seen.Version)
		}
		return errNotIn
	}
	if n, ok := s.Node(a.cfg.Node); (!ok || n.State == cluster.Left) && !s.Protected(cluster.NodeKey(a.cfg.Node)) {
		return errNotIn
	}
	if c.behind > 0 {
		return fmt.Errorf("%d partitions that the node owns are still being read", c.behind)
	}
	return nil
}

// decided remembers a decision for operators.
func (a *Agent) decided(e control.Entry) {
	a.log.Info("agent: decided", "version", e.Version, "kind", string(e.Kind), "decision", e.String())
	a.mu.Lock()
	a.decisions[e.Kind]++
	if len(a.trail) == trailLength {
		a.trail = append(a.trail[:0:0], a.trail[1:]...)
	}
	a.trail = append(a.trail, e)
	a.mu.Unlock()
	a.changed()
}

// changed wakes those who watch.
func (a *Agent) changed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.news)
	a.news = make(chan struct{})
}
