package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/godwit-im/godwit/backplane"
	"github.com/godwit-im/godwit/backplane/history"
	"github.com/godwit-im/godwit/backplane/kafka"
	"github.com/godwit-im/godwit/registry"
	"github.com/godwit-im/godwit/server/admin"
	"github.com/godwit-im/godwit/server/auth"
	"github.com/godwit-im/godwit/server/config"
	"github.com/godwit-im/godwit/server/delivery"
	"github.com/godwit-im/godwit/server/historian"
	"github.com/godwit-im/godwit/server/placement"
	"github.com/godwit-im/godwit/server/reactor"
	"github.com/godwit-im/godwit/server/session"
	"github.com/godwit-im/godwit/server/tail"
	"github.com/godwit-im/godwit/server/timeline"
)

// Options is what a node is started with.
type Options struct {
	Config *config.Config
	// Key is the key that tokens are verified with, the contents of the file that
	// Config names.
	Key []byte
	// Embedded says that the log is the embedded broker, which has made its topic
	// itself: there is no cluster whose safety could be verified.
	Embedded bool
	// Pages are served at the root of the admin port, nil for none.
	Pages http.Handler
	// Sign makes tokens for the pages; nil outside of development.
	Sign func(user string, ttl time.Duration) (string, error)
	Log  *slog.Logger
	// Level is the level of Log, which a setting of the cluster may change; nil where it
	// cannot.
	Level *slog.LevelVar
}

// Node is a running node.
type Node struct {
	log         *slog.Logger
	producer    *kafka.Producer
	consumer    *kafka.Consumer
	reader      *kafka.Reader
	store       history.Store        // nil without history
	historian   *historian.Historian // nil where another process writes the store
	watch       *historian.Watch     // of that process; nil where there is none
	timelines   *timeline.Service
	reads       *readPool
	verifiers   *verifyPool
	dispatchers []*delivery.Dispatcher
	cluster     *clusterPart  // nil where the map is a setting of the node
	rate        *session.Rate // of every connection
	failed      chan struct{} // closed when the node cannot go on
	reactor     *reactor.Reactor
	admin       *admin.Server
	advertise   string
	state       atomic.Int32
}

// The states of a node.
const (
	starting int32 = iota
	serving
	stopping
)

// Start starts a node and returns when it accepts connections; until it has
// caught up with its partitions it refuses them as not ready (see Ready). ctx
// bounds the start only.
func Start(ctx context.Context, o Options) (_ *Node, err error) {
	n := &Node{log: o.Log, failed: make(chan struct{})}
	defer func() {
		if err != nil {
			n.abort()
		}
	}()
	own := *o.Config // it may get an address
	c := &own
	kc, err := KafkaConfig(c, o.Log)
	if err != nil {
		return nil, err
	}
	if !o.Embedded {
		if err := verifyTopic(ctx, c, kc, o.Log); err != nil {
			return nil, err
		}
	}
	verifier, err := auth.NewVerifier(auth.Options{Algorithm: c.Token.Algorithm, Key: o.Key, Issuer: c.Token.Issuer, Audience: c.Token.Audience})
	if err != nil {
		return nil, err
	}
	if n.producer, err = kafka.NewProducer(kc); err != nil {
		return nil, err
	}
	workers := workersOf(c)
	n.verifiers = newVerifyPool(verifier, workers)

	tails := tail.NewTails(c.Kafka.Generation, c.Kafka.Partitions, workers, int64(c.Limits.TailBytes))
	if c.Cluster.Enabled {
		n.cluster = &clusterPart{node: c.Node}
	}
	n.rate = session.NewRate(c.Limits.SendsPerSecond, c.Limits.SendsBurst)
	memory := delivery.NewMemory(int64(c.Limits.NodeFrameBytes))
	deps := &session.Deps{
		Registry:    registry.New(),
		Producer:    n.producer,
		Tails:       tails,
		Memory:      memory,
		Verifier:    verifier,
		VerifyLater: n.verifiers.later,
		Placement:   placement.NewCurrent(placement.Unknown(c.Kafka.Partitions, c.Node)),
		Ready:       func() bool { return n.state.Load() == serving && n.consumer.Err() == nil },
		Reached:     func(p backplane.Partition) bool { return n.consumer.Reached(p) },
		Degraded:    n.cluster.Degraded,
	}
	re := reactor.New(reactor.Config{
		Listen: c.Listen, Loops: c.Loops, FDTables: c.FDTables == config.FDTablesPerLoop, Connections: c.Limits.Connections, Session: sessionConfig(c, n.rate), Log: o.Log,
	}, deps)
	if err := n.consume(kc, workers, deps, re); err != nil {
		return nil, err
	}
	if err := re.Bind(); err != nil {
		return nil, err
	}
	if c.Advertise == "" {
		c.Advertise = config.ConnectURL(re.Addr().String())
	}
	n.advertise = c.Advertise
	if !c.Cluster.Enabled {
		place, err := c.Placement()
		if err != nil {
			return nil, err
		}
		deps.Placement.Store(place)
	}
	// Loops first: with a descriptor table each, they would keep a copy of whatever is
	// open already, such as the files of a store. The clients of the log connect when
	// they are used.
	if err := re.Start(); err != nil {
		return nil, err
	}
	n.reactor = re
	if n.store, err = historian.Open(ctx, c, kc, o.Log); err != nil {
		return nil, err
	}
	readings, err := n.startReads(c, kc, tails, memory)
	if err != nil {
		return nil, err
	}
	deps.Read = n.reads.later // nobody is let in before the node serves
	if err := n.startHistory(ctx, c, kc, deps.Placement); err != nil {
		return nil, err
	}
	if err := n.startAdmin(c, &o, deps, re, readings); err != nil {
		return nil, err
	}
	if c.Cluster.Enabled {
		err = n.startAgent(ctx, c, &o, kc, deps, re)
	} else {
		since := recent(ctx, n.reader, deps.Placement.Load().Partitions(), time.Now())
		err = n.consumer.AddEach(since)
	}
	if err != nil {
		return nil, err
	}
	go n.watchFailures()
	n.state.Store(serving)
	return n, nil
}

// watchFailures closes failed when the node cannot go on. It ends with the reactor.
func (n *Node) watchFailures() {
	var left <-chan struct{} // never, without a cluster
	if a := n.cluster.get(); a != nil {
		left = a.Failed()
	}
	select {
	case <-n.reactor.Ended():
	case <-left:
	}
	close(n.failed)
}

// startReads makes what answers questions about timelines.
func (n *Node) startReads(c *config.Config, kc kafka.Config, tails *tail.Tails, memory *delivery.Memory) (_ *readings, err error) {
	if n.reader, err = kafka.NewReader(kc); err != nil {
		return nil, err
	}
	n.timelines, err = timeline.New(timeline.Config{
		Generation: c.Kafka.Generation, N: c.Kafka.Partitions, Tails: tails, Reader: n.reader, Store: n.store,
		ScanBytes: timeline.DefaultScanBytes, Timeout: timeline.DefaultTimeout, Now: time.Now, Log: n.log,
	})
	if err != nil {
		return nil, err
	}
	w := &readings{timelines: n.timelines, memory: memory, generation: c.Kafka.Generation}
	n.reads = newReadPool(w.answer)
	return w, nil
}

// startHistory has the node write the store if it is its own, and else watch whether others
// write it.
func (n *Node) startHistory(ctx context.Context, c *config.Config, kc kafka.Config, place *placement.Current) error {
	if n.store == nil {
		return nil
	}
	hc, err := historianConfig(ctx, c, kc, n.log)
	if err != nil {
		return err
	}
	hc.Store = n.store
	if c.History.Store == config.HistoryPebble {
		n.historian, err = historian.Start(hc)
		return err
	}
	n.watch = historian.NewWatch(historian.WatchConfig{
		Store: n.store, Log: n.reader, Generation: c.Kafka.Generation, N: c.Kafka.Partitions, Partitions: func() []backplane.Partition { return place.Load().Partitions() },
		LogRetention: hc.LogRetention, Logger: n.log,
	})
	return nil
}

// verifyTopic checks that the topic is what the settings say.
func verifyTopic(ctx context.Context, c *config.Config, kc kafka.Config, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	findings, err := kafka.Verify(ctx, kc, c.Unsafe)
	for _, f := range findings {
		log.Warn("the topic is less safe than it should be", "topic", kc.Topic(), "finding", f.String())
	}
	if unsafe := (*kafka.UnsafeError)(nil); errors.As(err, &unsafe) {
		return fmt.Errorf("%w; make it safer, or set unsafe to accept that acknowledged messages can be lost", err)
	}
	return err
}

// consume makes the dispatchers and the consumer that feeds them; it reads nothing yet.
func (n *Node) consume(kc kafka.Config, workers int, deps *session.Deps, re *reactor.Reactor) error {
	n.dispatchers = make([]*delivery.Dispatcher, workers)
	for i := range n.dispatchers {
		n.dispatchers[i] = delivery.New(delivery.Config{
			Loops: re, Registry: deps.Registry, Memory: deps.Memory, Tails: deps.Tails, Worker: i, Log: n.log,
			Remember: rememberedIDs / workers,
		})
	}
	var err error
	n.consumer, err = kafka.NewConsumer(kc, workers, func(worker int) backplane.Handler { return n.dispatchers[worker] })
	return err
}

func (n *Node) startAdmin(c *config.Config, o *Options, deps *session.Deps, re *reactor.Reactor, w *readings) error {
	token, err := c.AdminToken()
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	for _, m := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		n.producer, n.consumer,
		&collector{reactor: re, registry: deps.Registry, memory: deps.Memory, tails: deps.Tails, timelines: n.timelines.Counters(), dispatchers: n.dispatchers},
	} {
		if err := metrics.Register(m); err != nil {
			return fmt.Errorf("server: metrics: %w", err)
		}
	}
	switch {
	case n.historian != nil:
		err = metrics.Register(n.historian)
	case n.watch != nil:
		err = metrics.Register(n.watch)
	}
	if err == nil && n.cluster != nil {
		err = metrics.Register(n.cluster)
	}
	if err != nil {
		return fmt.Errorf("server: metrics: %w", err)
	}
	if n.admin, err = admin.New(admin.Config{
		Listen: c.Admin, Token: token, Gatherer: metrics, Ready: n.Ready, Warning: n.warning,
		Producer: n.producer, Body: int(c.Limits.BodyBytes), Pages: o.Pages, Sign: o.Sign,
		Timelines: &timelines{
			readings: w, producer: n.producer, reader: n.reader, tails: deps.Tails, placement: deps.Placement, ready: n.Ready,
		},
		Cluster: clusterOf(n.cluster), PublicURL: func() string { return n.advertise }, Log: n.log,
	}); err != nil {
		return err
	}
	return metrics.Register(n.admin)
}

// Ready returns nil when the node serves its users, else why it does not yet, or
// no longer.
func (n *Node) Ready() error {
	switch n.state.Load() {
	case starting:
		return errStarting
	case stopping:
		return errors.New("the node is stopping")
	}
	if n.cluster != nil {
		if err := n.cluster.get().Ready(); err != nil {
			return err
		}
		return n.consumer.Err()
	}
	return n.caughtUp()
}

var errStarting = errors.New("the node is starting")

// caughtUp returns nil when the consumer has reached the present.
func (n *Node) caughtUp() error {
	switch {
	case n.consumer.Err() != nil:
		return n.consumer.Err()
	case !n.consumer.Ready():
		return errors.New("the consumer has not yet caught up with the log")
	}
	return nil
}

// warning returns what an operator must look into although the node serves.
func (n *Node) warning() error {
	if a := n.cluster.get(); a != nil && a.Err() != nil {
		return a.Err()
	}
	switch {
	case n.historian != nil:
		return n.historian.Err()
	case n.watch != nil:
		return n.watch.Err()
	}
	return nil
}

// URL returns the address that clients connect to.
func (n *Node) URL() string { return n.advertise }

// AdminURL returns the address of the admin port.
func (n *Node) AdminURL() string { return "http://" + n.admin.Addr().String() }

// Failed is closed when the node cannot go on; Err says why.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err returns why the node failed, nil if it was stopped.
func (n *Node) Err() error {
	if a := n.cluster.get(); a != nil && a.Failure() != nil {
		return a.Failure()
	}
	select {
	case <-n.reactor.Ended():
		return n.reactor.Err()
	default:
		return nil
	}
}

// Stop stops the node in order: in a cluster it hands its partitions over, for as long as
// LeaveTimeout; then new connections and sends are refused; clients get
// the answers to what they sent, then are told to reconnect; what backends asked
// for is answered; then the log and the loops end. What is not done when ctx ends
// is cut off, and the error says what that was.
func (n *Node) Stop(ctx context.Context) error {
	n.leave(ctx)
	n.state.Store(stopping)
	drain, cancel := part(ctx)
	err := n.reactor.Drain(drain)
	cancel()
	err = errors.Join(err, n.admin.Close(ctx), n.producer.Close(ctx))
	return errors.Join(err, n.end(context.WithoutCancel(ctx)))
}

// leave hands the node's partitions over to others.
func (n *Node) leave(ctx context.Context) {
	a := n.cluster.get()
	if a == nil || a.Failure() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, LeaveTimeout)
	defer cancel()
	if err := a.Leave(ctx); err != nil {
		n.log.Warn("the node stops before all of its partitions are handed over", "err", err)
	}
}

// part returns a context that ends when two thirds of the time are over that ctx has:
// those who do not leave must not cost the others their answers.
func part(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*2/3)
}

// end ends what delivers and answers, and then the loops: they come last, because a
// ring after their end could write to a descriptor that is something else by then.
func (n *Node) end(ctx context.Context) error {
	if n.reactor != nil {
		n.reactor.Quiesce() // workers may wait for room in a mailbox
	}
	if n.consumer != nil {
		n.consumer.Close() // before the agent, who may wait for it
	}
	if a := n.cluster.get(); a != nil {
		a.Close()
	}
	if n.verifiers != nil {
		n.verifiers.stop()
	}
	if n.reads != nil {
		n.reads.stop()
	}
	if n.timelines != nil {
		n.timelines.Close()
	}
	if n.watch != nil {
		n.watch.Close()
	}
	if n.reader != nil {
		n.reader.Close()
	}
	err := n.endHistory(ctx)
	if n.reactor == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	return errors.Join(err, n.reactor.Stop(ctx))
}

func (n *Node) endHistory(ctx context.Context) (err error) {
	if n.historian != nil {
		ctx, cancel := context.WithTimeout(ctx, endTimeout)
		defer cancel()
		err = n.historian.Close(ctx)
	}
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	return err
}

// abort ends what a failed Start has begun.
func (n *Node) abort() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // there is nothing to wait for
	if n.admin != nil {
		_ = n.admin.Close(ctx)
	}
	if n.producer != nil {
		_ = n.producer.Close(ctx)
	}
	_ = n.end(context.Background())
}

func sessionConfig(c *config.Config, rate *session.Rate) session.Config {
	return session.Config{
		Node:           c.Node,
		Body:           int(c.Limits.BodyBytes),
		QueueMessages:  c.Limits.QueueMessages,
		QueueBytes:     int(c.Limits.QueueBytes),
		InFlight:       c.Limits.InFlight,
		Rate:           rate,
		Answers:        answersPerLoop,
		Readings:       readingsPerLoop,
		UpgradeTimeout: c.Limits.UpgradeTimeout,
		Heartbeat:      c.Limits.HeartbeatTime(),
		Idle:           c.Limits.IdleTime(),
		CursorLag:      cursorLag,
	}
}
